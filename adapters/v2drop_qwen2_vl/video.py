"""Reading videos as Qwen2-VL takes them: by qwen-vl-utils with decord, an even number of frames."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from v2drop import MediaError
from v2drop_media.qwen_sizes import check_scalable, limits, qwen_vl_utils, token_side


def open_video(path: str | Path) -> Any:
    """A decord.VideoReader on a file that holds frames; on any architecture's behalf.

    Raises:
        MediaError: no such file, or decord finds no frames in it.
        ImportError: decord is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
    try:
        import decord  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(f"{error}: videos are read with it: pip install 'v2drop[qwen2-vl]'") from error
    if not Path(path).exists():
        raise MediaError(f"no video file {path}")
    decord.logging.set_level(decord.logging.QUIET)  # FFmpeg's threads complain on stderr of what decord raises
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        frames, rate = len(reader), reader.get_avg_fps()
    except (RuntimeError, decord.DECORDError):
        raise MediaError(f"cannot read {path} as a video: {_why_not(path)}") from None
    if not frames or not math.isfinite(rate) or rate <= 0:
        raise MediaError(f"cannot read {path} as a video: it has {frames} frames, {rate:g} a second")
    return reader


def load_video(path: str | Path, video_processor: Any, fps: float = 2.0) -> tuple[Tensor, dict[str, Any]]:
    """A video's frames read by qwen-vl-utils with decord, at the size that a checkpoint wants, and what is known of them.

    Args:
        path: the file.
        video_processor: the checkpoint's own, `processor.video_processor`: its patches, pixels and numbers of frames hold,
            not qwen-vl-utils' defaults.
        fps: how many frames of each second to read, within the processor's fewest and most; an even number is read.

    Returns:
        Frames, float [frames, 3, height, width] from 0 to 255, and their metadata. Both go to the processor as they are:
        `processor(videos=[frames], video_metadata=[metadata], do_sample_frames=False, return_metadata=True, ...)`; its
        `video_metadata` lets `Qwen2VLAdapter.layout` tell times.

    Raises:
        MediaError: the file cannot be read or used, or `fps` is not a number above 0.
        ImportError: qwen-vl-utils or decord is missing (`pip install 'v2drop[qwen2-vl]'`).
    """
    if not (math.isfinite(fps) and fps > 0):
        raise MediaError(f"fps={fps!r}: frames a second are a number above 0, such as 2")
    reader = open_video(path)
    total, together = len(reader), video_processor.temporal_patch_size
    if total < together:
        raise MediaError(f"{path} has {total} frame: the model looks at {together} at a time; pass it as a picture")
    damaged = f"cannot read the frames of {path}: it is damaged or cut off"
    try:
        height, width, _ = reader[0].shape
    except Exception as error:
        raise MediaError(damaged) from error
    check_scalable(path, width, height, video_processor)
    within = {"min_frames": video_processor.min_frames, "max_frames": min(video_processor.max_frames, total)}
    asked = {"video": str(path), "fps": fps, **within, **limits(video_processor)}
    try:
        frames, metadata = qwen_vl_utils().fetch_video(asked, token_side(video_processor), return_video_metadata=True)
    except Exception as error:  # it logs decord's error, whatever that was, and raises that of the reader it tries next
        raise MediaError(damaged) from error
    return frames, {
        **metadata,
        "fps": float(metadata["fps"]),
        "frames_indices": [int(n) for n in metadata["frames_indices"]],
    }


def _why_not(path: str | Path) -> str:
    if not Path(path).is_file():
        return "it is not a file"
    if not Path(path).stat().st_size:
        return "it is empty"
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return (
                f"it is a picture ({picture.format}): pass it as --image on the command line, to load_image in Python"
            )
    except Exception:  # whatever Pillow makes of it, a picture it is not
        return (
            "it is damaged or cut off, holds no frames, or its codec is not among those of decord; H.264 in an mp4 works: "
            "ffmpeg -i FILE -c:v libx264 out.mp4"
        )
