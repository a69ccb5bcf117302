"""Pictures and video frames with the tokens kept at each stage; dropped tokens are darkened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from v2drop import DropReport, VisionLayout
from v2drop_loading.media import Media
from v2drop_loading.pictures import frames_as_images
from v2drop_terminal.errors import CommandError

PANEL, FRAME = 288, 144  # pixels: pictures and video frames are enlarged to at least these sides
LONGEST = 3  # times that: the maximum of the longer side
FRAMES = 8  # steps that are shown of a longer video
CAPTION, GAP = 22, 8


class _Panel(NamedTuple):
    caption: str
    picture: Image.Image


class _Row(NamedTuple):
    title: str | None
    panels: list[_Panel]


def check_overlay(path: Path) -> None:
    """Raise CommandError if an overlay cannot be written: before the run, not after it."""
    if not path.resolve().parent.is_dir():
        raise CommandError(f"cannot write {path}: no such folder: {path.resolve().parent}")
    if path.is_dir() or path.suffix.lower() not in Image.registered_extensions():
        raise CommandError(f"cannot write {path}: name an image file, such as overlay.png")


def as_shown(
    media: Media, layout: VisionLayout, pixel_values: Tensor | None, processor: Any
) -> list[list[Image.Image]]:
    """Each picture or video in the pixel coordinates of its tokens' boxes: one image, or one per frame.

    That is the whole picture at the layout's size, or the cropped one if the processor crops pictures to one size.
    """
    sizes = [(width, height) for height, width in layout.size.tolist()]
    if pixel_values is not None and pixel_values.ndim == 4:
        seen = [as_the_model_sees_it(pixels, processor.image_processor) for pixels in pixel_values]
        pictures = [picture.crop((0, 0, *size)) for picture, size in zip(seen, sizes, strict=False)]
    else:
        pictures = [picture.resize(size) for picture, size in zip(media.pictures, sizes, strict=False)]
    shown = [[picture] for picture in pictures]
    if media.frames is not None:
        shown.append([frame.resize(sizes[-1]) for frame in frames_as_images(media.frames)])
    return shown


def as_the_model_sees_it(pixel_values: Tensor, image_processor: Any) -> Image.Image:
    """Undo an image processor's normalisation of one picture [3, height, width]."""
    mean = torch.tensor(image_processor.image_mean)[:, None, None]
    std = torch.tensor(image_processor.image_std)[:, None, None]
    pixels = (pixel_values.float().cpu() * std + mean).clamp(0, 1) * 255
    return Image.fromarray(pixels.round().to(torch.uint8).permute(1, 2, 0).numpy())


def draw_overlay(
    shown: Sequence[Sequence[Image.Image]], names: Sequence[str], layout: VisionLayout, report: DropReport
) -> Image.Image:
    """The pictures and videos of the first sample, as they are and at each stage.

    A picture is a row with one panel per stage; if its tokens show it both as a whole and in tiles, a row for each. A video
    is a row per stage, with its frames from left to right. Tokens that end a row of the picture are counted, not drawn.

    Args:
        shown: as `as_shown` returns it.
        names: file names, shown if there are several.
        layout: where tokens lie.
        report: which tokens were kept.
    """
    stages = {"all": set(layout.position[layout.sample == 0].tolist())}
    stages |= {f"from layer {layer}": set(samples[0].tolist()) for layer, samples in report.kept.items()}
    rows = []
    for number, images in enumerate(shown):
        mine = (layout.sample == 0) & (layout.picture == number)
        film = bool(layout.is_video[number])
        new = _film_rows(images, layout, mine, stages) if film else _picture_rows(images[0], layout, mine, stages)
        rows += [_Row(names[number] if len(shown) > 1 else None, []), *new]
    return _sheet([row for row in rows if row.title or row.panels])


def _picture_rows(picture: Image.Image, layout: VisionLayout, mine: Tensor, stages: dict[str, set[int]]) -> list[_Row]:
    views = {"whole": mine & (layout.tile < 0), "tiles": mine & (layout.tile >= 0)}
    views = {name: tokens for name, tokens in views.items() if tokens.any()}
    scale = _scale(picture, PANEL)
    rows = []
    for name, tokens in views.items():
        prefix = f"{name}, " if len(views) > 1 else ""
        panels = [
            _Panel(
                f"{prefix}{_count(stage, tokens, layout, kept)}", _panel(picture, layout, tokens, kept, scale, stage)
            )
            for stage, kept in stages.items()
        ]
        rows.append(_Row(None, panels))
    return rows


def _film_rows(
    images: Sequence[Image.Image], layout: VisionLayout, mine: Tensor, stages: dict[str, set[int]]
) -> list[_Row]:
    steps = sorted({(first, last) for first, last in layout.frames[mine].tolist()})
    few = [steps[round(number * (len(steps) - 1) / (FRAMES - 1))] for number in range(FRAMES)]
    chosen = steps if len(steps) <= FRAMES else few
    scale = _scale(images[0], FRAME)
    rows = []
    for stage, kept in stages.items():
        panels = []
        for first, last in chosen:
            tokens = mine & (layout.frames == torch.tensor([first, last])).all(1)
            time = float(layout.time[tokens][0])
            when = f"{time:.1f} s" if math.isfinite(time) else f"frame {first}"
            image = images[min(first, len(images) - 1)]
            caption = when if stage == "all" else f"{when}: {len(_kept(tokens, layout, kept))} of {int(tokens.sum())}"
            panels.append(_Panel(caption, _panel(image, layout, tokens, kept, scale, stage)))
        part = f" ({len(chosen)} of {len(steps)} time steps shown)" if stage == "all" and chosen != steps else ""
        rows.append(_Row(_count(stage, mine, layout, kept) + part, panels))
    return rows


def _kept(tokens: Tensor, layout: VisionLayout, kept: set[int]) -> list[int]:
    return [number for number in tokens.nonzero().flatten().tolist() if int(layout.position[number]) in kept]


def _count(stage: str, tokens: Tensor, layout: VisionLayout, kept: set[int]) -> str:
    count = len(_kept(tokens, layout, kept))
    return f"all {count} tokens" if stage == "all" else f"{stage}: {count}"


def _panel(
    picture: Image.Image, layout: VisionLayout, tokens: Tensor, kept: set[int], scale: float, stage: str
) -> Image.Image:
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    large = picture.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
    if stage == "all":
        return large
    dark = Image.blend(large, Image.new("RGB", large.size, (24, 24, 32)), 0.82)
    for number in _kept(tokens, layout, kept):
        left, top, right, bottom = (round(edge * scale) for edge in layout.box[number].tolist())
        if right > left and bottom > top and int(layout.row[number]) >= 0:  # not a row's end or a class token
            dark.paste(large.crop((left, top, right, bottom)), (left, top))
    return dark


def _scale(picture: Image.Image, side: int) -> float:
    """A whole number for small pictures, so that their pixels stay square."""
    whole = max(1, -(-side // min(picture.size)))
    return min(whole, LONGEST * side / max(picture.size))


def _sheet(rows: Sequence[_Row]) -> Image.Image:
    """Rows of panels with their captions above them, on white."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    placed: list[tuple[str, Image.Image | None, int, int]] = []
    top, right = 0, 0
    for row in rows:
        if row.title:
            placed.append((row.title, None, 0, top))
            right = max(right, 2 + round(draw.textlength(row.title, font_size=14)))
            top += CAPTION
        left = 0
        for caption, picture in row.panels:
            placed.append((caption, picture, left, top))
            width = max(picture.width, 2 + round(draw.textlength(caption, font_size=14)))
            right = max(right, left + width)
            left += width + GAP
        if row.panels:
            top += CAPTION + max(panel.picture.height for panel in row.panels) + GAP
    sheet = Image.new("RGB", (right, top - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for text, panel, left, top in placed:
        draw.text((left + 2, top + 4), text, fill="black", font_size=14)
        if panel is not None:
            sheet.paste(panel, (left, top + CAPTION))
    return sheet
