"""The sections of the page that `v2drop show` writes: an example that is asked now, and earlier comparisons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from v2drop_loading.checkpoints import Checkpoint, find_adapter, load_decoder, load_network, load_processor
from v2drop_loading.generation import generate_answers
from v2drop_loading.media import as_inputs, read_media
from v2drop_loading.question import Question
from v2drop_loading.schedules import Keep, choose_schedule
from v2drop_terminal.errors import CommandError, tell_notes

from .comparison_page import comparison_section
from .overlay import as_shown
from .page import example_section
from .panels import make_panels
from .traces import dense_variation, trace

NEEDED = ("command", "rows", "task", "versions")  # keys that results must have
NO_RESULTS = "holds no results of compare-methods or compare-models, as --json and --out write them"


def read_comparison(path: Path, number: int = 0) -> str:
    """The section of a results file; `number` is unique on its page. Raises CommandError if the file has no results."""
    try:
        results = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{path} {NO_RESULTS}: it is not JSON") from error
    lacking = [name for name in NEEDED if not isinstance(results, dict) or name not in results]
    if lacking:
        raise CommandError(f"{path} {NO_RESULTS}: it has no {' and no '.join(lacking)}")
    if not results["rows"]:
        raise CommandError(f"{path} {NO_RESULTS}: it has no rows")
    try:
        return comparison_section(results, number=number)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise CommandError(f"{path} {NO_RESULTS} that can be drawn: {error!r}") from error


def ask_example(
    checkpoint: Checkpoint,
    question: Question,
    methods: Sequence[str],
    keep: Keep,
    max_new_tokens: int,
) -> str:
    """Ask a model a question, dense and with each method, and return the section about it."""
    adapter, decoder = find_adapter(checkpoint), load_decoder(checkpoint)
    schedules = {method: choose_schedule(method, decoder, keep, checkpoint.schedule) for method in methods}
    processor = load_processor(checkpoint)
    media = read_media(question, adapter, processor)
    tell_notes(media.notes)
    inputs = as_inputs(processor, media, question.prompt)
    network = load_network(checkpoint, "cuda" if torch.cuda.is_available() else "cpu")
    metadata = inputs.pop("video_metadata", None)
    inputs = inputs.to(network.device)

    traces = [
        trace(network, processor, inputs, method, schedule, max_new_tokens) for method, schedule in schedules.items()
    ]
    [answer] = generate_answers(network, processor, inputs, max_new_tokens)
    layout = adapter.layout(network, {**inputs, "video_metadata": metadata})
    variation = dense_variation(network, adapter, inputs, layout.position)
    shown = as_shown(media, layout, inputs.get("pixel_values"), processor)
    panels = make_panels(shown, [file.name for file in question.files], layout)
    return example_section(checkpoint.name, question, answer.strip(), layout, panels, variation, traces)
