"""Resident memory over many generations, in a separate process."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import psutil
import torch
import typer
from timed_model import HIDDEN, VISION, build_model

import v2drop

FEW, MANY = 10, 1000


def measure() -> dict[str, int]:
    """Bytes of resident memory after 10 and after 1,000 generations of a small model."""
    output = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True).stdout.split()
    return {"after 10": int(output[-2]), "after 1000": int(output[-1])}


def main(generations: Annotated[int, typer.Argument()] = MANY) -> None:
    """Generate repeatedly, and print the resident memory after 10 generations and at the end."""
    torch.set_num_threads(1)
    model, few = build_model(layers=4), 0
    schedule = v2drop.Schedule([(1, 0.5), (2, 0.3), (3, 0.0)])
    generator = torch.Generator().manual_seed(0)
    with v2drop.attach(model, schedule) as run:
        for number in range(generations):
            text = int(torch.randint(1, 20, (), generator=generator))  # lengths differ, as they do in service
            run.vision_mask = torch.ones(1, VISION + text, dtype=torch.bool)
            run.vision_mask[:, VISION:] = False
            embeds = torch.randn(1, VISION + text, HIDDEN, generator=generator)
            model.generate(inputs_embeds=embeds, max_new_tokens=4, do_sample=False, pad_token_id=0)
            assert run.report is not None
            run.report.to_dict()
            if number + 1 == FEW:
                few = psutil.Process().memory_info().rss
    print(few, psutil.Process().memory_info().rss)


if __name__ == "__main__":
    typer.run(main)
