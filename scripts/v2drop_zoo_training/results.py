"""Measure all results in docs/results: ``python -m v2drop_zoo_training.results --journal out/results``.

It runs `v2drop compare-methods` on every zoo model, then `v2drop compare-models` on all of them. Run it again to resume
after an interruption.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import v2drop
from v2drop_cli.compare_output import write_all
from v2drop_comparing.experiment import Settings, run_comparison, subjects_of
from v2drop_comparing.tables import problems
from v2drop_terminal.errors import tell_mistakes

BUDGETS = (0.5, 0.333, 0.222, 0.111)
PAGE = """# Results

Made by `make results` on {date}: seed {seed}, {questions} questions a model, {timed} of them timed one by one; {versions};
{device}, {dtype}, {threads} thread{s}.

All methods answer the same fresh questions about test-split digits, at the same budgets (shares of vision tokens averaged
over layers). V2Drop, random and uniform cut where the model's `v2drop.json` recommends, the others where their authors
cut, scaled to the depth. **The zoo's models were trained to have the property that V2Drop rests on, all but
`llava_control`, which was not taught it, and are no evidence about models of 7B parameters.** They are small: overheads
that are nothing to a large model show in their times. These are of runs by turns on whatever machine it was; on a shared
one look at ratios rather than milliseconds.

{table}

Each as JSON (all that was measured), CSV and Markdown. Beside these stand [the zoo through lmms-eval](lmms_eval.md)
(`make eval-proof`) and [bulk inference](batch.md) (`make batch-proof`).
"""


def main(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("docs/results"),
    journal: Annotated[Path, typer.Option(help="Folder from which an interrupted run resumes.")] = Path("out/results"),
    questions: Annotated[int, typer.Option(min=1, help="Questions per model.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the questions.")] = 0,
    timed: Annotated[int, typer.Option(min=0, help="Number of questions to time.")] = 20,
) -> None:
    """Compare all methods on every zoo model, and V2Drop on all models; write tables and a page about the runs."""
    torch.set_num_threads(1)
    lines = ["| what | files | left out |", "|---|---|---|"]
    subjects = subjects_of()
    runs = [(f"methods-{model}-{modality}", "compare-methods", [(model, modality)]) for model, modality in subjects]
    results: dict[str, Any] = {}
    for name, command, models in [*runs, ("models", "compare-models", subjects)]:
        methods = ["v2drop"] if command == "compare-models" else list(v2drop.methods())
        settings = Settings(command, models, methods, BUDGETS, questions, seed, timed)
        results = run_comparison(settings, journal / name).results
        write_all(results, out, name)
        shown = ", ".join(f"{model} {modality}s" for model, modality in models)
        files = ", ".join(f"[{kind}]({name}.{kind})" for kind in ("md", "csv", "json"))
        lines.append(f"| {command}: {shown} | {files} | {len(problems(results))} |")
    about = {key: results[key] for key in ("date", "seed", "device", "dtype", "threads")}
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    page = PAGE.format(
        **about,
        questions=questions,
        timed=timed,
        versions=versions,
        s="s" * (about["threads"] != 1),
        table="\n".join(lines),
    )
    (out / "README.md").write_text(page)


if __name__ == "__main__":
    tell_mistakes(lambda: typer.run(main))
