"""Reads videos for Qwen2-VL: an even number of frames, scaled by qwen-vl-utils to a checkpoint's size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from v2drop import MediaError

from .qwen_sizes import check_scalable, limits, qwen_vl_utils
from .videos import Video, check_fps

if TYPE_CHECKING:
    from .video_metadata import SampledVideo
    from .video_times import Sample


def load_video(path: str | Path, video_processor: Any, fps: float = 2.0) -> tuple[Tensor, SampledVideo]:
    """Read a video's frames at the size that a checkpoint expects, and their metadata.

    The frames are those shown at equally spaced instants, by the file's own times; a frame that stays long is repeated.

    Args:
        path: the file.
        video_processor: the checkpoint's `processor.video_processor`. Its patch size, pixel limits and frame limits
            apply, not the defaults of qwen-vl-utils.
        fps: frames per second to read, within the processor's minimum and maximum of frames, and no more than were
            filmed; an even number is read.

    Returns:
        Frames, float [frames, 3, height, width] from 0 to 255, and their metadata. Pass both to the processor as is:
        `processor(videos=[frames], video_metadata=[metadata], do_sample_frames=False, return_metadata=True, ...)`; its
        `video_metadata` gives `Qwen2VLAdapter.layout` the times.

    Raises:
        MediaError: the file cannot be read or used, or `fps` is not a number above 0.
        ImportError: qwen-vl-utils or PyAV is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
    check_fps(fps)
    video = Video(path)
    sample = _sample(video, video_processor, fps)
    check_scalable(path, video.width, video.height, video_processor)
    size = _size(video, len(sample.numbers), video_processor)
    frames, metadata = video.read(sample)
    # one by one: a video's frames at the size of the file may not fit into memory together
    return torch.stack([_resized(frame, size) for frame in frames]), metadata


def _sample(video: Video, processor: Any, fps: float) -> Sample:
    """Which frames to read: as many as qwen-vl-utils' `smart_nframes` reads at a constant rate."""
    together, filmed = processor.temporal_patch_size, video.timeline.count()
    if filmed < together:
        raise MediaError(
            f"{video.path} has {filmed} frame: the model looks at {together} at a time; pass it as a picture"
        )
    count = max(float(video.timeline.duration) * fps, processor.min_frames)
    return video.timeline.spread(int(min(count, processor.max_frames, filmed)) // together * together)


def _size(video: Video, frames: int, processor: Any) -> list[int]:
    """Height and width that qwen-vl-utils' `fetch_video` scales this many frames to."""
    vision_process, side = qwen_vl_utils(), processor.patch_size * processor.merge_size
    fewest, most = limits(processor).values()
    together = vision_process.MODEL_SEQ_LEN * 0.9 * vision_process.FRAME_FACTOR / frames
    bound = max(min(vision_process.VIDEO_MAX_TOKEN_NUM, together) * side**2, int(fewest * 1.05))
    return list(vision_process.smart_resize(video.height, video.width, side, fewest, min(most, bound)))


def _resized(frame: Tensor, size: list[int]) -> Tensor:
    from torchvision.transforms import InterpolationMode  # type: ignore[import-untyped]
    from torchvision.transforms.functional import resize  # type: ignore[import-untyped]

    return resize(frame, size, interpolation=InterpolationMode.BICUBIC, antialias=True).float()
