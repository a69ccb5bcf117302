"""v2drop for stock `Qwen2_5_VLForConditionalGeneration` of transformers 5."""

from .adapter import Qwen2_5_VLAdapter

__all__ = ["Qwen2_5_VLAdapter"]
