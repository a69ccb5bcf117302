"""A model's answers to a batch of questions, and which of them are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def generate_answers(model: Any, processor: Any, inputs: Any, max_new_tokens: int) -> list[str]:
    """What a model answers, greedily. `inputs` stand on the model's device."""
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def is_right(answer: str, wanted: Sequence[str]) -> bool:
    """Whether an answer is one of those wanted, but for case, surrounding space and a full stop."""
    return _plain(answer) in {_plain(each) for each in wanted}


def _plain(answer: str) -> str:
    return answer.strip().removesuffix(".").casefold()
