"""v2drop for LLaVA-1.5: stock `LlavaForConditionalGeneration` of transformers 5, and the `LlavaModel` inside it."""

from .adapter import LlavaAdapter

__all__ = ["LlavaAdapter"]
