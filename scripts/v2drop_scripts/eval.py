"""`v2drop eval`: real benchmarks through lmms-eval, dense and with tokens dropped."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from .checkpoints import PRESET_HELP, RETAIN_HELP, find_checkpoint, load_config
from .compare_options import AsJson
from .entrants import DENSE
from .errors import CommandError
from .eval_runs import ANSWERS, Evaluation, make_run
from .eval_table import compare, markdown, print_tables
from .journal import Journal
from .results import versions

LMMS_MODELS = {
    "llava": "v2drop_llava_hf",
    "llava_next": "v2drop_llava_next",
    "llava_onevision": "v2drop_llava_hf",
    "qwen2_vl": "v2drop_qwen2_vl",
}


def evaluate(
    model: Annotated[str, typer.Option(help="A zoo model, a folder, or an id on the hub.")],
    tasks: Annotated[str, typer.Option(help="lmms-eval's tasks, separated by commas: textvqa_val,mme.")],
    preset: Annotated[str | None, typer.Option(help=PRESET_HELP)] = None,
    retain: Annotated[float | None, typer.Option(help=RETAIN_HELP)] = None,
    method: Annotated[str, typer.Option(help="What chooses the tokens that stay.")] = "v2drop",
    processes: Annotated[int, typer.Option(min=1, help="Through accelerate, each with its share of questions.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many questions of each task.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Of lmms-eval; its llava_hf takes 1 alone.")] = 1,
    include_path: Annotated[Path | None, typer.Option(help="A folder with tasks of your own.")] = None,
    model_args: Annotated[str | None, typer.Option(help="More of lmms-eval's --model_args: lossless=True.")] = None,
    out: Annotated[Path, typer.Option(help="A folder for answers and results. A stopped run goes on.")] = Path(
        "out/eval"
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print lmms-eval's command lines and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run lmms-eval's tasks on a model, dense and with tokens dropped, and show the share of the scores that is kept.

    It prints the command lines and runs them; lmms-eval fetches tasks from the hub.
    """
    if preset is not None and retain is not None:
        raise CommandError(f"--preset {preset} and --retain {retain} contradict each other: pass one of the two")
    if method == DENSE:
        raise CommandError("--method dense: dense always runs; pass what it is compared with, such as v2drop")
    checkpoint = find_checkpoint(model)
    model_type = load_config(checkpoint).model_type
    if model_type not in LMMS_MODELS:
        raise CommandError(
            f"{model} is a {model_type} model, for which there is no lmms-eval model here: {', '.join(LMMS_MODELS)}"
        )
    evaluation = Evaluation(
        LMMS_MODELS[model_type], model, tasks, model_args, include_path, limit, batch_size, processes,
        not torch.cuda.is_available(),
    )  # fmt: skip
    choices: dict[str, dict[str, Any]] = {
        DENSE: {"method": DENSE},
        method: {"method": method, "preset": preset, "retained": retain},
    }
    runs = {label: make_run(evaluation, choice, out / label) for label, choice in choices.items()}
    shown = Console(stderr=not dry_run, highlight=False, soft_wrap=True, markup=False)
    if dry_run:
        for run in runs.values():
            shown.print(str(run))
        return
    settings = {"commands": [str(run) for run in runs.values()], "versions": {**versions(), "lmms_eval": _lmms_eval()}}
    journal = Journal(out, settings)
    finished = {record["run"]: Path(record["results"]) for record in journal.records}
    for label, run in runs.items():
        if label not in finished:
            shown.print(str(run))
            finished[label] = run.execute()
            journal.add({"run": label, "results": str(finished[label])})
    from v2drop_lmms_eval.figures import of_folder

    results = compare(finished, {label: of_folder(run.folder / ANSWERS) for label, run in runs.items()})
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "results.md").write_text(markdown(results))
    if as_json:
        typer.echo(json.dumps(results))
    else:
        print_tables(Console(), results)


def _lmms_eval() -> str:
    try:
        return version("lmms-eval")
    except PackageNotFoundError:
        raise CommandError("lmms-eval is not installed: pip install 'v2drop[eval]'") from None
