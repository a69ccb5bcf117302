"""Chooses which frames of a video to read: those shown at given instants, by the times of the frames."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple


class Sample(NamedTuple):
    """Frames to read, by number in the video, in ascending order, and the seconds from one instant to the next."""

    numbers: list[int]
    step: Fraction


@dataclass(frozen=True)
class Timeline:
    """When each frame of a video is shown. A frame stays until the next one.

    Args:
        ticks: when each frame appears, in ticks of the file's clock from the first frame, ascending.
        tick: seconds per tick; times are rounded to it.
        single_gap: seconds that the only frame of a one-frame video stays.
    """

    ticks: Sequence[int]
    tick: Fraction
    single_gap: Fraction = Fraction(1)

    def time(self, number: int) -> Fraction:
        """When a frame appears, in seconds from the first frame."""
        return self.ticks[number] * self.tick

    @cached_property
    def gap(self) -> Fraction:
        """The usual gap from one frame to the next, in seconds.

        This is the mean of the gaps around the median: rounding and jitter average out, and long gaps do not count.
        """
        gaps = sorted(gap for gap in self._gaps if gap > 0)
        if not gaps:
            return self.single_gap
        middle = gaps[len(gaps) // 2]
        usual = [gap for gap in gaps if middle <= 2 * gap <= 3 * middle]
        return Fraction(sum(usual), len(usual)) * self.tick

    @property
    def rate(self) -> Fraction:
        """The usual rate, in frames per second."""
        return 1 / self.gap

    @property
    def duration(self) -> Fraction:
        """Seconds from the start of the first frame to the end of the last."""
        return self.time(-1) + self.gap

    def count(self) -> int:
        """How many frames `all` returns."""
        return sum(self._stays)

    def all(self) -> Sample:
        """Every frame; one that stays longer than usual is repeated, so that equal steps take equal times."""
        return Sample([number for number, stay in enumerate(self._stays) for _ in range(stay)], self.gap)

    def spread(self, count: int) -> Sample:
        """The frames shown at `count` equally spaced instants, from the first frame's start to the last one's."""
        if count >= self.count():
            return self.all()
        step = self.time(-1) / max(1, count - 1)
        return Sample([self._shown_at(step * number) for number in range(count)], step)

    def every(self, seconds: Fraction) -> Sample:
        """The frames shown every `seconds` from 0 to the end of the video, but no more often than it was filmed."""
        if seconds <= self.gap:
            return self.all()
        count = int((self.time(-1) + self._rounding) / seconds) + 1
        return Sample([self._shown_at(seconds * number) for number in range(count)], seconds)

    @cached_property
    def _gaps(self) -> list[int]:
        return [later - earlier for earlier, later in zip(self.ticks, self.ticks[1:], strict=False)]

    @cached_property
    def _stays(self) -> list[int]:
        """How many usual gaps each frame stays."""
        usual = float(self.gap / self.tick)
        return [*(max(1, round(gap / usual)) for gap in self._gaps), 1]

    def _shown_at(self, instant: Fraction) -> int:
        return max(0, bisect_right(self.ticks, (instant + self._rounding) / self.tick) - 1)

    @cached_property
    def _rounding(self) -> Fraction:
        """How late rounding (to milliseconds, say) may make a time. Clocks about as slow as the frames are exact."""
        return self.tick if self.tick <= self.gap / 4 else Fraction(0)
