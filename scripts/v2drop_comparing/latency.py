"""Times a model on one question at a time, dense and with each contender in turn, and reports the costs."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from v2drop_measuring.timing import LanguageModelTimer

from .contenders import Contender

NEW_TOKENS = 8  # of every timed answer: answers of different lengths could not be compared


def time_answer(model: Any, inputs: Any, contender: Contender, seed: int, question: int) -> dict[str, Any]:
    """Durations and costs of one answer of `NEW_TOKENS` tokens to a single question.

    Dense is timed on the stock model, without hooks; its costs come from a second, untimed run.

    Returns:
        Seconds of the language model: `prefill`, and `decode` of all steps after it. `kv_bytes` and `flops` of the prefill.
    """
    attached: Any = nullcontext() if contender.budget is None else contender.attach(model, seed, [question])
    with attached as run, LanguageModelTimer(model) as timer:
        _answer(model, inputs, NEW_TOKENS)
    if run is None:
        with contender.attach(model, seed, [question]) as run:
            _answer(model, inputs, 1)
    costs = {"kv_bytes": run.report.kv_bytes.dropped, "flops": run.report.flops.dropped}
    return {"prefill": timer.seconds[0], "decode": sum(timer.seconds[1:]), **costs}


def _answer(model: Any, inputs: Any, tokens: int) -> None:
    with torch.inference_mode():
        model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
