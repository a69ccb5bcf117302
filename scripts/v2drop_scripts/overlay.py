"""The picture with the tokens kept at each stage: what was dropped is darkened."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image, ImageDraw

from v2drop import DropReport, VisionLayout

PANEL = 288  # pixels: the side that a picture is enlarged to at least
CAPTION = 22


def as_the_model_sees_it(pixel_values: torch.Tensor, image_processor: Any) -> Image.Image:
    """Undo an image processor's normalisation of one picture [3, height, width]."""
    mean = torch.tensor(image_processor.image_mean)[:, None, None]
    std = torch.tensor(image_processor.image_std)[:, None, None]
    pixels = (pixel_values.float().cpu() * std + mean).clamp(0, 1) * 255
    return Image.fromarray(pixels.round().to(torch.uint8).permute(1, 2, 0).numpy())


def draw_overlay(picture: Image.Image, layout: VisionLayout, report: DropReport) -> Image.Image:
    """The first picture of the first sample once as it is and once a stage, side by side."""
    scale = max(1, -(-PANEL // min(picture.size)))
    large = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    panels = [(f"all {report.vision_tokens[0]} tokens", large)]
    for layer, samples in report.kept.items():
        kept = set(samples[0].tolist())
        panels.append((f"from layer {layer}: {len(kept)}", _darken_dropped(large, layout, kept, scale)))
    gap = 8
    width = len(panels) * large.width + (len(panels) - 1) * gap
    sheet = Image.new("RGB", (width, large.height + CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (caption, panel) in enumerate(panels):
        left = number * (large.width + gap)
        draw.text((left + 2, 4), caption, fill="black", font_size=14)
        sheet.paste(panel, (left, CAPTION))
    return sheet


def _darken_dropped(picture: Image.Image, layout: VisionLayout, kept: set[int], scale: int) -> Image.Image:
    dark = Image.blend(picture, Image.new("RGB", picture.size, (24, 24, 32)), 0.82)
    first = (layout.sample == 0) & (layout.picture == 0)
    for position, box in zip(layout.position[first].tolist(), layout.box[first].tolist(), strict=True):
        if position in kept:
            corners = tuple(round(edge * scale) for edge in box)
            dark.paste(picture.crop(corners), corners)
    return dark
