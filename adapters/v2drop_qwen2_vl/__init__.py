"""v2drop for Qwen2-VL, pictures and videos: stock `Qwen2VLForConditionalGeneration` of transformers 5, and the
`Qwen2VLModel` inside it. `load_image` and `load_video` read media as these models expect them."""

from v2drop_media.qwen_videos import load_video

from .adapter import Qwen2VLAdapter
from .image import load_image

__all__ = ["Qwen2VLAdapter", "load_image", "load_video"]
