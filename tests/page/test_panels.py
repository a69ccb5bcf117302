"""Panels, and the schedules of a page's methods: what the pages of the zoo's models do not reach."""

from __future__ import annotations

import re

import pytest
import torch
from PIL import Image

from v2drop import VisionLayout
from v2drop.layout import MediaItem, View
from v2drop_page.panels import STEPS, make_panels

PICTURE = View(2, 2, (0, 0, 40, 20))


def panels_of(*media):
    """The panels of a prompt with these media."""
    layout = VisionLayout.of((torch.ones(1, sum(map(len, media)), dtype=torch.bool), media))
    shown = [
        [Image.new("RGB", (each.width, each.height))] * (len(each.views) if each.is_video else 1) for each in media
    ]
    return make_panels(shown, [f"{number}.png" for number in range(len(media))], layout)


def test_a_class_token_stands_above_the_picture_and_a_newline_beside_it():
    [panel] = panels_of(MediaItem(20, 40, [View(2, 2, (0, 0, 40, 20), class_token=True, newlines="each row")]))
    assert panel.marks == [True, False, False, True, False, False, True]
    assert panel.shapes[1] == (0, 0, 20, 10)
    assert panel.shapes[0][1] + panel.shapes[0][3] <= 0
    assert all(panel.shapes[number][0] > 40 for number in (3, 6))
    left, top, width, height = panel.frame
    for x, y, w, h in panel.shapes:
        assert left <= x <= x + w <= left + width + 1e-6
        assert top <= y <= y + h <= top + height + 1e-6


def test_several_pictures_are_told_apart_by_their_files():
    panels = panels_of(MediaItem(20, 40, [PICTURE]), MediaItem(20, 40, [PICTURE]))
    assert [panel.title for panel in panels] == ["0.png, picture", "1.png, picture"]
    assert [panel.tokens for panel in panels] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_of_a_long_video_steps_from_first_to_last_are_shown():
    views = [View(1, 2, (0, 0, 40, 20), frames=(number, number), time=number / 2) for number in range(50)]
    panels = panels_of(MediaItem(20, 40, views, is_video=True))
    assert len(panels) == STEPS
    assert (panels[0].tokens, panels[-1].tokens) == ([0, 1], [98, 99])
    assert (panels[0].title, panels[-1].title) == ("0.0 s", "24.5 s")


def test_a_large_picture_is_stored_smaller_than_it_is():
    noise = Image.effect_noise((3000, 2000), 80).convert("RGB")
    layout = VisionLayout.of(
        (torch.ones(1, 4, dtype=torch.bool), [MediaItem(2000, 3000, [View(2, 2, (0, 0, 3000, 2000))])])
    )
    [panel] = make_panels([[noise]], ["photo.jpg"], layout)
    assert panel.image.startswith("data:image/jpeg")
    assert len(panel.image) < 2e6
    assert panel.size == (3000, 2000)


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["--out", "/nowhere/page.html"], "/nowhere/page.html"),
        (["--method", "best"], "'best'.*fastv"),
        (["--retain", "0.5", "--preset", "llava-1.5-192"], "contradict"),
        (["--image", "nowhere.png"], "nowhere.png"),
        (["--comparison", "nowhere.json"], "nowhere.json"),
    ],
)
def test_mistakes_are_told_without_a_traceback(arguments, quoted, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, printed = command("show", *arguments)
    assert (code, printed.out) == (2, "")
    assert "Traceback" not in printed.err
    assert re.search(quoted, printed.err), printed.err
    assert not list(tmp_path.iterdir())
