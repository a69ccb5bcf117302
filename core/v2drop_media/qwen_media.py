"""Reads media for Qwen2-VL and its successors. Their adapters inherit from the class here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .qwen_sizes import read_scaled
from .qwen_videos import load_video

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from .video_metadata import SampledVideo


class QwenMedia:
    """Reads pictures and videos with qwen-vl-utils, at the size that the checkpoint's processor expects."""

    requires: ClassVar[tuple[str, ...]] = ("torchvision", "qwen_vl_utils", "av")

    def read_image(self, path: str | Path, processor: Any) -> Image.Image:
        """See `v2drop_media.images.ReadsImages` and `qwen_sizes.read_scaled`."""
        return read_scaled(path, processor.image_processor)

    def read_video(self, path: str | Path, processor: Any, fps: float) -> tuple[Tensor, SampledVideo]:
        """See `v2drop_media.videos.ReadsVideos` and `load_video`."""
        return load_video(path, processor.video_processor, fps)
