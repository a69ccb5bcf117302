"""The truth test of one case: the same act on a model that drops and on one that masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..attaching import attach
from .cases import Case
from .subject import Subject

CLOSE = 1e-4  # relative: two scores at a cut that are closer may change places by rounding

Act = Callable[[Any, Case], list[Tensor]]


def equals_masking(subject: Subject, case: Case, act: Act, plain_act: Act | None = None) -> bool:
    """Whether dropping equals masking, kept sets exactly and what the act returns to 1e-4; AssertionError if not.

    Args:
        act: what is done with the model that drops.
        plain_act: what is done with the model that masks, where that is to give the same in a plainer way.

    Returns:
        False where the case decides nothing, because two scores at a cut are too close.
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
    """Qwen2-VL and its kin keep what they need for positions on the model, and would take that of the batch before."""
    if hasattr(inner, "rope_deltas"):
        inner.rope_deltas = None
