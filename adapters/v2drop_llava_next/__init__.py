"""v2drop for LLaVA-NeXT: stock `LlavaNextForConditionalGeneration` of transformers 5, and the `LlavaNextModel` inside it."""

from .adapter import LlavaNextAdapter

__all__ = ["LlavaNextAdapter"]
