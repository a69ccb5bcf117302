"""A model's answers to a batch of questions, and which of them are right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from v2drop import V2DropError
from v2drop_terminal.errors import CommandError


def generate_answers(model: Any, processor: Any, inputs: Any, max_new_tokens: int) -> list[str]:
    """Generate answers greedily. `inputs` must be on the model's device."""
    return processor.batch_decode(generate_tokens(model, inputs, max_new_tokens), skip_special_tokens=True)


def generate_tokens(model: Any, inputs: Any, max_new_tokens: int) -> Tensor:
    """Generate answer tokens greedily: int64 [B, new tokens]; shorter answers are padded on the right."""
    with torch.inference_mode(), refusals_told():
        tokens = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return tokens[:, inputs["input_ids"].shape[1] :]


@contextmanager
def refusals_told() -> Iterator[None]:
    """Raise a stock model's ValueError about a checkpoint's files or inputs as a CommandError."""
    try:
        yield
    except V2DropError:
        raise
    except ValueError as error:
        raise CommandError(f"the model cannot take these inputs: {error}") from error


def answer_lengths(tokens: Tensor, model: Any) -> list[int]:
    """The number of tokens in each answer, including the end token."""
    ends = model.generation_config.eos_token_id
    ends = torch.as_tensor([] if ends is None else ends, device=tokens.device).flatten()
    before_end = torch.isin(tokens, ends).cumsum(1) == 0
    return (before_end.sum(1) + 1).clamp(max=tokens.shape[1]).tolist()


def is_right(answer: str, wanted: Sequence[str]) -> bool:
    """Whether an answer is one of the expected ones, ignoring case, surrounding space and a final full stop."""
    return _plain(answer) in {_plain(each) for each in wanted}


def _plain(answer: str) -> str:
    return answer.strip().removesuffix(".").casefold()
