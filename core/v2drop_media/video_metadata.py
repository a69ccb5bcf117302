"""Video metadata for processors: transformers' `VideoMetadata`, with the frame times of the file."""

from __future__ import annotations

from transformers.video_utils import VideoMetadata

from .video_times import Sample, Timeline


class SampledVideo(VideoMetadata):
    """transformers' `VideoMetadata`, with the time at which each frame that was read is shown.

    The stock class assumes a constant rate: frame `n` is shown at `n / fps`. Here `frames_indices` counts frames at the
    video's usual rate. If the rate is constant, they are the frame numbers in the file; if not, `frames_indices[i] /
    fps` is still the frame's time, to half a usual gap. So processors that compute times themselves are right too.

    Attributes:
        frame_times: seconds from the video's first frame to each frame that was read; `timestamps` are the same. They
            are not keys, so that `VideoMetadata(**metadata)` works.
        sampled_fps: frames read per second; Qwen2.5-VL's `second_per_grid_ts` is computed from it.
    """

    def __init__(self, timeline: Timeline, sample: Sample, width: int, height: int) -> None:
        """`sample` was read from a video whose frames are shown at `width` x `height` pixels."""
        times = [timeline.time(number) for number in sample.numbers]
        self.frame_times = [float(time) for time in times]
        self._sampled_fps = float(1 / sample.step if sample.step else timeline.rate)
        super().__init__(
            total_num_frames=round(timeline.duration * timeline.rate),
            fps=float(timeline.rate),
            width=width,
            height=height,
            duration=float(timeline.duration),
            video_backend="pyav",
            frames_indices=[round(time * timeline.rate) for time in times],
        )

    @property
    def timestamps(self) -> list[float]:
        return self.frame_times

    @property
    def sampled_fps(self) -> float:
        return self._sampled_fps
