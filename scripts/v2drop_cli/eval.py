"""`v2drop eval`: real benchmarks through lmms-eval, dense and with tokens dropped."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from .options import DEFAULT_HELP, RETAIN_HELP, SCHEDULE_HELP, STAGES_HELP, AsJson, Methods, Model, Presets


def evaluate(
    model: Model,
    tasks: Annotated[str, typer.Option(help="lmms-eval's tasks, separated by commas: textvqa_val,mme.")],
    preset: Presets = None,
    retain: Annotated[
        list[str] | None,
        typer.Option(help=f"{RETAIN_HELP} Repeat it, or pass several as one string: '0.333 0.222'. {DEFAULT_HELP}"),
    ] = None,
    stages: Annotated[list[str] | None, typer.Option(help=f"{STAGES_HELP} Repeat it for several.")] = None,
    schedule: Annotated[list[Path] | None, typer.Option(help=f"{SCHEDULE_HELP} Repeat it for several.")] = None,
    method: Methods = None,
    processes: Annotated[int, typer.Option(min=1, help="accelerate processes, which share the questions.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of questions per task.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Batch size of lmms-eval; its llava_hf supports only 1.")] = 1,
    include_path: Annotated[Path | None, typer.Option(help="A folder with your own tasks.")] = None,
    model_args: Annotated[str | None, typer.Option(help="More --model_args of lmms-eval: lossless=True.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for answers and results; an interrupted run resumes from it. By default one in out/eval."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print lmms-eval's command lines and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run lmms-eval tasks on a model, dense and with tokens dropped, and show the share of the scores that is kept.

    It prints the command lines and runs them, one for each method at each preset and share. lmms-eval downloads tasks
    from the hub.
    """
    from dataclasses import asdict

    import torch
    from rich.console import Console

    from v2drop_lmms_eval.choices import list_choices
    from v2drop_lmms_eval.runs import ANSWERS, Evaluation, make_run
    from v2drop_lmms_eval.table import compare, markdown, print_tables
    from v2drop_loading.checkpoints import find_adapter, find_checkpoint, load_decoder
    from v2drop_loading.schedules import budgets_of
    from v2drop_measuring.journal import Journal
    from v2drop_measuring.versions import versions
    from v2drop_terminal.errors import CommandError

    checkpoint = find_checkpoint(model)
    adapter = find_adapter(checkpoint)
    if adapter.lmms_model is None:
        raise CommandError(
            f"{model} is a {adapter.model_types[0]} model, whose adapter names no model of lmms-eval (`lmms_model`); "
            "see v2drop docs lmms-eval"
        )
    choices = list_choices(
        method or ["v2drop"], preset or [], budgets_of(retain) if retain else [], stages or [], schedule or []
    )
    decoder = load_decoder(checkpoint)
    for choice in choices:
        choice.schedule_on(checkpoint, decoder)  # fail now, not after hours of the dense run
    out = out or Path("out/eval") / re.sub(r"[^\w.-]+", "-", f"{Path(model).name}-{tasks}")[:100]
    evaluation = Evaluation(
        adapter.lmms_model, model, tasks, model_args, include_path, limit, batch_size, processes,
        not torch.cuda.is_available(),
    )  # fmt: skip
    runs = {
        choice.label: make_run(evaluation, choice.options, out / choice.label.replace(" ", "-")) for choice in choices
    }
    shown = Console(stderr=not dry_run, highlight=False, soft_wrap=True, markup=False)
    if dry_run:
        for run in runs.values():
            shown.print(str(run))
        return
    asked = {**asdict(evaluation), "include_path": include_path and str(include_path)}
    journal = Journal(out, {**asked, "versions": {**versions(), "lmms_eval": _lmms_eval()}})
    finished = {record["run"]: Path(record["results"]) for record in journal.records}
    for label, run in runs.items():
        if label not in finished or not finished[label].exists():
            shown.print(str(run))
            finished[label] = run.execute()
            journal.add({"run": label, "results": str(finished[label])})
    journal.close()
    from v2drop_lmms_eval.cost_summary import of_folder

    results = compare(
        {label: finished[label] for label in runs},
        {label: of_folder(run.folder / ANSWERS) for label, run in runs.items()},
    )
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
        from v2drop.installing import pip_install
        from v2drop_terminal.needs import MissingLibraryError

        raise MissingLibraryError("lmms-eval is not installed: " + pip_install("v2drop[eval]")) from None
