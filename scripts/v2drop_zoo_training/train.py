"""Train a zoo model: ``python -m v2drop_zoo_training.train llava``. Seeded, resumable, up to 40 minutes on two cores.

There are three phases. First the vision tower and projector learn to name what each patch shows, in the word embeddings
of the language model (in place of CLIP pre-training). Then all parts learn to answer, with only a third of the language
model's layers, which is faster. Last, the other layers join, the patch loss fades to a tenth, and a penalty on needless
updates fades in: without it a tiny model lacks the property that V2Drop relies on, as the model card shows.

A model with a parent starts from the parent's weights and skips the second phase.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import typer
from rich.console import Console
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from v2drop_terminal.progress import counting_progress
from v2drop_zoo import CHECKPOINTS
from v2drop_zoo.digits import Split
from v2drop_zoo.media import MediaKind
from v2drop_zoo.questions import ALL_KINDS

from .builders import LAYERS, YOUNG_LAYERS
from .lesson import Lesson
from .question_packing import Packed, pack
from .recipes import RECIPES, Plan, Recipe, save

INSIDE = (".layers.", ".blocks.", ".merger.", "multi_modal_projector")  # parts of a model whose matrices Muon optimizes


def build_optimizers(lesson: Lesson, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside layers, AdamW for the rest: this needs far fewer steps than AdamW alone."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in lesson.named_parameters():
        inside = any(part in name for part in INSIDE)
        (matrices if inside and parameter.ndim == 2 else rest).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=plan.matrix_rate, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def ramp(value: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, linear in between."""
    return min(1.0, max(0.0, (value - start) / (end - start)))


def learning_rate_factor(step: int, plan: Plan) -> float:
    """Each phase warms up; the first cools down; the others run at half its rate, and the last one decays to zero."""
    if step < plan.vision_steps:
        return ramp(step + 1, 0, 20) * (1 - 0.8 * ramp(step, plan.vision_steps * 0.6, plan.vision_steps))
    done = step - plan.vision_steps
    if done < plan.young_steps:
        return 0.5 * ramp(done + 1, 0, 100)
    done -= plan.young_steps
    return 0.5 * ramp(done + 1, 0, 50) * (1 - ramp(done, plan.steps * 0.4, plan.steps))


def layers_at(step: int, plan: Plan) -> Sequence[int]:
    """The layers of the language model that take part; none while only the vision tower learns."""
    if step < plan.vision_steps:
        return ()
    return YOUNG_LAYERS if step < plan.vision_steps + plan.young_steps else range(LAYERS)


def train_step(
    lesson: nn.Module, optimizers: list[torch.optim.Optimizer], step: int, batch: Packed, plan: Plan
) -> dict[str, torch.Tensor]:
    """One step: forward pass, backward pass and optimizer update."""
    last = (step - plan.vision_steps - plan.young_steps) / plan.steps
    patch_weight = 1 - 0.9 * ramp(last, 0.0, 0.5)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("full_rate", group["lr"]) * learning_rate_factor(step, plan)
    losses = lesson(batch, layers_at(step, plan), patch_weight, plan.penalty * ramp(last, 0.1, 0.5))
    losses["loss"].backward()
    nn.utils.clip_grad_norm_(lesson.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
    return losses


class Classroom:
    """The trainer of a recipe: model, processor, training losses and batches."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.model, self.processor = recipe.build()
        self.lesson = Lesson(self.model, self.processor.tokenizer, recipe)

    def batch(self, rng: np.random.Generator, split: Split, medium: MediaKind, pictures: int, questions: int) -> Packed:
        """A batch of so many pictures, or half as many videos, each of which is about twice the work."""
        pictures = pictures if medium.modality == "image" else max(1, pictures // 2)
        return pack(rng, split, self.model, self.processor, medium, pictures, questions, self.recipe.places)

    def medium_at(self, step: int, seed: int) -> MediaKind:
        """The media of a step in all processes: of one size, so that none waits for another."""
        return self.recipe.media[np.random.default_rng([seed, step]).integers(len(self.recipe.media))]

    @torch.no_grad()
    def lengthen_features(self) -> None:
        """Scale up the vision features between the phases, by the factor of the recipe."""
        if self.recipe.lengthen != 1.0:
            for parameter in self.model.model.visual.merger.mlp[-1].parameters():
                parameter.mul_(self.recipe.lengthen)

    @torch.no_grad()
    def measure(self, layers: Sequence[int], seed: int, pictures: int = 40) -> dict[str, float]:
        """Teacher-forced accuracy on validation digits, over all questions and by kind."""
        scores: dict[str, float] = {}
        for modality in ("image", "video"):
            right, kinds = [], []
            for medium in dict.fromkeys(self.recipe.of(modality)):
                rng = np.random.default_rng([seed, 99])
                count = pictures // len(set(self.recipe.media))
                batch = self.batch(rng, "validation", medium, count, 14)
                answered = self.lesson(batch, layers, 0.0, 0.0)["logits"].argmax(-1) == batch.labels
                right.append(answered[batch.kinds >= 0])
                kinds.append(batch.kinds[batch.kinds >= 0])
            if right:
                every, which = torch.cat(right), torch.cat(kinds)
                scores[modality] = every.float().mean().item()
                for index, name in enumerate(ALL_KINDS):
                    if (which == index).any():
                        scores[f"{modality} {name}"] = every[which == index].float().mean().item()
        return scores


def work(rank: int, name: str, plan: Plan, out: Path, stop_after: int | None = None) -> None:
    """One process: its share of every batch, with averaged gradients. Resumes from `out`'s state.pt if present."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{out / 'rendezvous'}", rank=rank, world_size=plan.processes)
    torch.manual_seed(plan.seed)
    room = Classroom(RECIPES[name])
    lesson = room.lesson
    optimizers = build_optimizers(lesson, plan)
    state_file, start = out / "state.pt", 0
    if state_file.exists():
        state = torch.load(state_file)
        lesson.load_state_dict(state["lesson"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        start = state["step"]
    parallel = DistributedDataParallel(lesson, find_unused_parameters=True)
    end = stop_after or plan.total
    console = Console(quiet=rank != 0)
    with counting_progress(console) as progress:
        task = progress.add_task(name, total=plan.total, completed=start)
        for step in range(start, end):
            if step == plan.vision_steps:
                room.lengthen_features()
            rng = np.random.default_rng([plan.seed, step, rank])  # by step, so that a resumed run sees the same data
            answers = bool(layers_at(step, plan))
            pictures = plan.pictures if answers else plan.vision_pictures
            batch = room.batch(
                rng, "train", room.medium_at(step, plan.seed), pictures, plan.questions if answers else 0
            )
            losses = train_step(parallel, optimizers, step, batch, plan)
            progress.advance(task)
            if (step + 1) % plan.save_every == 0 and rank == 0:
                figures = " ".join(f"{key} {value.item():.3f}" for key, value in losses.items() if value.ndim == 0)
                scores = room.measure(layers_at(step, plan), plan.seed) if answers else {}
                accuracy = " ".join(f"{key} {value:.3f}" for key, value in scores.items())
                console.print(f"step {step + 1}/{plan.total} {figures} {accuracy}", soft_wrap=True)
                state = {
                    "lesson": lesson.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "step": step + 1,
                }
                torch.save(state, out / "state.tmp")
                os.replace(out / "state.tmp", state_file)
    if rank == 0 and end == plan.total:
        save(room.model, room.processor, out)
        state_file.unlink(missing_ok=True)
    dist.destroy_process_group()


def main(
    name: Annotated[str, typer.Argument(help=f"Zoo model: {', '.join(RECIPES)}.")],
    out: Annotated[Path | None, typer.Option(help="Output folder; by default the bundled checkpoint.")] = None,
    seed: int = 0,
    processes: int = Plan.processes,
) -> None:
    """Train a zoo model by its recipe; run it again to resume."""
    if name not in RECIPES:
        raise typer.BadParameter(f"unknown model {name!r}; there are {', '.join(RECIPES)}")
    folder = out or CHECKPOINTS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rendezvous").unlink(missing_ok=True)
    plan = replace(RECIPES[name].plan, seed=seed, processes=processes)
    mp.spawn(work, args=(name, plan, folder), nprocs=processes)
    (folder / "rendezvous").unlink(missing_ok=True)


if __name__ == "__main__":
    typer.run(main)
