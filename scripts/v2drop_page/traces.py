"""The data of one question: how much tokens vary in the dense model, and what each method keeps and answers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import v2drop
from v2drop import Adapter, DropReport, Method, Schedule, token_variation
from v2drop.methods import StageContext
from v2drop.methods.v2drop import V2Drop
from v2drop_loading.generation import generate_answers
from v2drop_loading.methods import find_method
from v2drop_measuring.position_bias import kept_places, summarise
from v2drop_terminal.errors import CommandError

Scores = dict[int, tuple[Tensor, Tensor]]  # by stage layer, positions int64 [n] and their scores float32 [n]


@dataclass(frozen=True)
class Trace:
    """One method's answer, and what it kept.

    Attributes:
        position: as `summarise` returns it.
        scores: by stage layer, the positions of the first sample's tokens that could be dropped, and their scores.
        varies: whether the score is the variation, which is shown at every layer.
    """

    method: str
    schedule: Schedule
    answer: str
    report: DropReport
    position: dict[str, Any] | None
    scores: Scores
    varies: bool


def trace(
    network: Any, processor: Any, inputs: Mapping[str, Any], method: str, schedule: Schedule, max_new_tokens: int
) -> Trace:
    """Answer one question while dropping. Raises CommandError if there was nothing to drop."""
    recorded: Scores = {}
    chosen = find_method(method)
    with v2drop.attach(network, schedule, method=_recording(chosen, recorded)) as run:
        [answer] = generate_answers(network, processor, inputs, max_new_tokens)
    mask = v2drop.get_adapter(network).vision_mask(network, inputs)
    if run.report is None or mask is None:
        raise CommandError(
            "the prompt had no vision tokens: does the model's chat template include the picture or video?"
        )
    position = summarise([kept_places(run.report, mask)])
    varies = type(chosen) is V2Drop and chosen.metric == "l2"
    return Trace(method, schedule, answer.strip(), run.report, position, recorded, varies)


def _recording(method: Method, into: Scores) -> Method:
    """The same method, which also records the first sample's scores at each stage."""

    class Recording(type(method)):  # type: ignore[misc]
        def score(self, context: StageContext) -> Tensor:
            scores: Tensor = super().score(context)
            candidates = context.candidates[0]
            into[context.layer] = context.index[0][candidates].cpu(), scores[0][candidates].float().cpu()
            return scores

    recording = copy(method)
    recording.__class__ = Recording
    return recording


def dense_variation(network: Any, adapter: Adapter, inputs: Mapping[str, Any], columns: Tensor) -> Tensor:
    """How much tokens change in the stock model: float32 [layers - 1, N], on the CPU.

    Row i compares the inputs of layers i + 1 and i by the L2 norm.

    Args:
        columns: int64 [N], the tokens' positions in the first sample.
    """
    rows: list[Tensor] = []
    previous: list[Tensor] = []

    def look(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wanted: Tensor) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        states = states[:1, wanted.to(states.device)]
        if previous:
            rows.append(token_variation(states, previous.pop())[0].cpu())
        previous.append(states)

    hook = partial(look, wanted=columns)
    hooks = [layer.register_forward_pre_hook(hook, with_kwargs=True) for layer in adapter.decoder_layers(network)]
    try:
        with torch.inference_mode():
            network(**inputs, use_cache=False)
    finally:
        for handle in hooks:
            handle.remove()
    return torch.stack(rows) if rows else torch.zeros(0, len(columns))
