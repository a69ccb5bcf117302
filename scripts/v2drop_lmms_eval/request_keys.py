"""Keys for lmms-eval's requests, and plain data for its results, for the journal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeAlias

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts

Answer: TypeAlias = "str | GenerationResult"


def keys_of(requests: Sequence[Instance]) -> list[str]:
    """A key for each request, the same in every run: task, split, document, prompt and options; repeats are counted."""
    seen: Counter[str] = Counter()
    keys = []
    for request in requests:
        content = [each for each in request.args if isinstance(each, (str, int, dict))]
        text = json.dumps([request.task_name, request.doc_id, request.idx, content], sort_keys=True, default=str)
        key = sha256(text.encode()).hexdigest()[:24]
        keys.append(f"{key}-{seen[key]}")
        seen[key] += 1
    return keys


def private_copy(request: Instance) -> Instance:
    """A copy of the request with its own options: lmms-eval's models modify them, and its cache then misses."""
    return replace(
        request, arguments=tuple(deepcopy(each) if isinstance(each, dict) else each for each in request.args)
    )


def answer_of(result: Any) -> tuple[str, int | None]:
    """A result's text, and its number of tokens if lmms-eval's model reports it."""
    if isinstance(result, GenerationResult):
        return result.text, result.token_counts and result.token_counts.output_tokens
    return result, None


def result_of(answer: Sequence[Any]) -> Answer:
    """The inverse of `answer_of`."""
    text, tokens = answer
    return text if tokens is None else GenerationResult(text, TokenCounts(output_tokens=tokens))
