"""Reading videos as Qwen2-VL takes them: at the size that a checkpoint wants, by qwen-vl-utils, an even number of frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from v2drop import MediaError
from v2drop_media.qwen_sizes import check_scalable, limits, qwen_vl_utils
from v2drop_media.videos import Video, check_fps

if TYPE_CHECKING:
    from v2drop_media.video_metadata import SampledVideo
    from v2drop_media.video_times import Sample


def load_video(path: str | Path, video_processor: Any, fps: float = 2.0) -> tuple[Tensor, SampledVideo]:
    """A video's frames at the size that a checkpoint wants, and what is known of them.

    The frames are those shown at instants at equal distances, by the file's own times; one that stays long is repeated.

    Args:
        path: the file.
        video_processor: the checkpoint's own, `processor.video_processor`: its patches, pixels and numbers of frames hold,
            not qwen-vl-utils' defaults.
        fps: how many frames of each second to read, within the processor's fewest and most, and no more than were filmed;
            an even number is read.

    Returns:
        Frames, float [frames, 3, height, width] from 0 to 255, and their metadata. Both go to the processor as they are:
        `processor(videos=[frames], video_metadata=[metadata], do_sample_frames=False, return_metadata=True, ...)`; its
        `video_metadata` lets `Qwen2VLAdapter.layout` tell times.

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
    """Which frames to read: as many as qwen-vl-utils' `smart_nframes` reads of a video of one rate."""
    together, filmed = processor.temporal_patch_size, video.timeline.count()
    if filmed < together:
        raise MediaError(
            f"{video.path} has {filmed} frame: the model looks at {together} at a time; pass it as a picture"
        )
    count = max(float(video.timeline.duration) * fps, processor.min_frames)
    return video.timeline.spread(int(min(count, processor.max_frames, filmed)) // together * together)


def _size(video: Video, frames: int, processor: Any) -> list[int]:
    """Height and width that qwen-vl-utils' `fetch_video` scales so many frames to."""
    vision_process, side = qwen_vl_utils(), processor.patch_size * processor.merge_size
    fewest, most = limits(processor).values()
    together = vision_process.MODEL_SEQ_LEN * 0.9 * vision_process.FRAME_FACTOR / frames
    bound = max(min(vision_process.VIDEO_MAX_TOKEN_NUM, together) * side**2, int(fewest * 1.05))
    return list(vision_process.smart_resize(video.height, video.width, side, fewest, min(most, bound)))


def _resized(frame: Tensor, size: list[int]) -> Tensor:
    from torchvision.transforms import InterpolationMode  # type: ignore[import-untyped]
    from torchvision.transforms.functional import resize  # type: ignore[import-untyped]

    return resize(frame, size, interpolation=InterpolationMode.BICUBIC, antialias=True).float()
