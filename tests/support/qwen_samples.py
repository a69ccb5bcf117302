"""Random samples for the Qwen2-VL family: pictures and videos of any size, mixed, some at the end of the prompt."""

from __future__ import annotations

import inspect

import torch

from support.tiny_qwen2_vl import END, IMAGE, START, VIDEO

PATCH, FRAMES = 4, 2  # pixels along a patch's side; frames per temporal step


def qwen_sample(test, generator, media):
    """Inputs of one sample, for a conformance test of a model with these placeholders."""
    runs, grids, patches = [], {IMAGE: [], VIDEO: []}, {IMAGE: [], VIDEO: []}
    for _ in range(media):
        kind = (IMAGE, VIDEO)[int(torch.randint(2, (), generator=generator))]
        frames = 1 if kind == IMAGE else int(torch.randint(1, 4, (), generator=generator))
        rows, columns = (2 * torch.randint(1, 5, (2,), generator=generator)).tolist()
        grids[kind].append((frames, rows, columns))
        patches[kind].append(torch.randn(frames * rows * columns, 3 * FRAMES * PATCH**2, generator=generator))
        last = [END] if torch.rand((), generator=generator) > 0.3 else []
        runs.append(torch.tensor([START, *[kind] * (frames * rows * columns // 4), *last]))
    ids = test.prompt(generator, runs)
    sample = {"input_ids": ids}
    if "mm_token_type_ids" in inspect.signature(test.model().forward).parameters:
        sample["mm_token_type_ids"] = (ids == IMAGE) + 2 * (ids == VIDEO)  # transformers 5.0 does not use them
    for kind, pixels, grid in ((IMAGE, "pixel_values", "image"), (VIDEO, "pixel_values_videos", "video")):
        if grids[kind]:
            sample |= {pixels: torch.cat(patches[kind]), f"{grid}_grid_thw": torch.tensor(grids[kind])}
    return sample
