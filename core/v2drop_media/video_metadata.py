"""What a processor is told about a video's frames: transformers' metadata, with the times of the file."""

from __future__ import annotations

from transformers.video_utils import VideoMetadata

from .video_times import Sample, Timeline


class SampledVideo(VideoMetadata):
    """transformers' `VideoMetadata`, which knows when each frame that was read comes on the screen.

    The stock class takes frames to come at one rate: frame `n` at `n / fps`. Here its numbers count frames at the video's
    usual rate: where that is the only one, they are the frames' numbers in the file; where it is not, `frames_indices[i] /
    fps` is still the frame's time, to half a usual gap. So processors that compute times themselves are right too.

    Attributes:
        frame_times: seconds from the video's first frame to each frame that was read; `timestamps` are the same. Not
            among the keys, so that `VideoMetadata(**metadata)` works.
        sampled_fps: instants at which frames were read, a second; Qwen2.5-VL's `second_per_grid_ts` are made of it.
    """

    def __init__(self, timeline: Timeline, sample: Sample, width: int, height: int) -> None:
        """`sample` was read of a video whose frames are `width` x `height` pixels as they are shown."""
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
