"""v2drop for stock `LlavaOnevisionForConditionalGeneration` of transformers 5."""

from .adapter import LlavaOnevisionAdapter

__all__ = ["LlavaOnevisionAdapter"]
