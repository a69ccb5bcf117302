"""Which frames are on the screen at instants, by times alone."""

from __future__ import annotations

from fractions import Fraction

import pytest

import v2drop.layout.frame_times
from v2drop_media.video_times import Timeline

TICK = Fraction(1, 1000)


def _steady(rate, count, tick=TICK):
    return Timeline([round(Fraction(number, rate) / tick) for number in range(count)], tick)


@pytest.mark.parametrize("rate", [1, 24, 30, 60, 120, 240])
def test_rounded_times_of_one_rate_have_that_rate_and_lose_no_frame(rate):
    timeline = _steady(rate, 100)
    assert float(timeline.rate) == pytest.approx(rate, rel=0.01)
    assert timeline.all().numbers == timeline.every(Fraction(1, 1000)).numbers == list(range(100))
    assert timeline.spread(34).numbers == list(range(0, 100, 3))


def test_frames_that_stay_are_repeated_and_equal_steps_take_equal_times():
    timeline = Timeline([0, 1, 2, 3, 10, 11], Fraction(1, 10))
    assert timeline.gap == Fraction(1, 10)
    assert timeline.all() == ([0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 4, 5], Fraction(1, 10))
    assert timeline.count() == 12
    assert timeline.every(Fraction(1, 2)) == ([0, 3, 4], Fraction(1, 2))
    assert timeline.spread(2) == ([0, 5], Fraction(11, 10))
    assert timeline.duration == Fraction(12, 10)


def test_a_frame_is_shown_from_its_time_on_and_not_before():
    coarse = Timeline(range(30), Fraction(1, 10))
    assert coarse.every(Fraction(29, 100)).numbers == [0, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29]


def test_frames_at_one_time_and_a_frame_alone_are_no_trouble():
    assert Timeline([0], TICK).spread(4).numbers == [0]
    assert Timeline([0, 0, 0], TICK).spread(2).numbers == [2, 2]
    assert Timeline([0, 0, 1000, 2000], TICK).gap == 1


def test_an_hour_of_frames_is_sampled_by_time():
    timeline = _steady(30, 108_000)
    assert timeline.every(Fraction(1, 2)).numbers == list(range(0, 108_000, 15))
    assert len(timeline.spread(768).numbers) == 768


def test_the_times_of_the_file_hold_before_numbers_and_rates():
    entry = {"fps": 10.0, "frames_indices": [0, 1, 2], "frame_times": [0.0, 0.1, 8.0]}
    assert v2drop.layout.frame_times.frame_times({"video_metadata": [entry]}, 0, 4) == [0.0, 0.1, 8.0, 8.0]
