"""The truth test of one case: the same actions on a model that drops and on one that masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..attaching import attach
from .cases import Case
from .subject import Subject

CLOSE = 1e-4  # relative: rounding may swap two scores at a cut that are closer

Act = Callable[[Any, Case], list[Tensor]]


def equals_masking(subject: Subject, case: Case, act: Act, plain_act: Act | None = None) -> bool:
    """Whether dropping equals masking: kept sets exactly, results of `act` to 1e-4. Raises AssertionError if not.

    Args:
        act: the actions on the model that drops.
        plain_act: the actions on the model that masks, if a simpler form should give the same results.

    Returns:
        False if the case is undecided, because two scores at a cut are too close.
    """
    model, adapter = subject.model(case.attention), subject.adapter()
    given = None if case.form == "ids" else subject.is_vision(case.inputs)
    _forget_positions(adapter.inner_model(model))
    metric = case.metric if subject.method == "v2drop" else None
    with attach(model, case.schedule, adapter=adapter, method=subject.method, metric=metric) as attached:
        attached.vision_mask = given if case.form == "marked embeds" else None
        dropped = act(model, case)
    _forget_positions(adapter.inner_model(model))
    with subject.masking(model, case.schedule, vision_mask=given, metric=case.metric) as truth:
        masked = (plain_act or act)(model, case)
    if truth.closest < CLOSE:
        return False
    if truth.kept:
        assert attached.report is not None, f"nothing was dropped in {case}"
        ours = {layer: [row.tolist() for row in rows] for layer, rows in attached.report.kept.items()}
        theirs = {layer: [row.tolist() for row in rows] for layer, rows in truth.kept.items()}
        assert ours == theirs, f"other tokens are kept in {case}"
    else:
        assert attached.report is None, f"a report without vision tokens in {case}"
    for step, (with_dropping, with_masking) in enumerate(zip(dropped, masked, strict=True)):
        message = f"step {step} of {case}: {{}}".format
        torch.testing.assert_close(with_dropping, with_masking, atol=1e-4, rtol=1e-4, msg=message)
    return True


def _forget_positions(inner: Any) -> None:
    """Reset the position offsets that the Qwen2-VL family stores on the model: they belong to the previous batch."""
    if hasattr(inner, "rope_deltas"):
        inner.rope_deltas = None
