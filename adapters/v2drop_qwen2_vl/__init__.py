"""v2drop for Qwen2-VL, pictures and videos: stock `Qwen2VLForConditionalGeneration` of transformers 5, and the
`Qwen2VLModel` inside it. `load_image` and `load_video` read media as these models expect them."""

from .adapter import Qwen2VLAdapter
from .image import load_image
from .video import load_video

__all__ = ["Qwen2VLAdapter", "load_image", "load_video"]
