"""The page of a comparison: plots and tables of each model, and the answers that differ from the dense model's."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from v2drop_comparing.given_answers import Difference, Differences, Said
from v2drop_comparing.tables import (
    KNOWN,
    TAKEN,
    Row,
    by_model,
    count_of_questions,
    group_of,
    legend,
    problems,
    right_by_kind,
    unreached,
)

from .comparison_plots import comparison_plots
from .page import html_table, page_part, write_page
from .plots import as_figure, plot_style, save_plot

LONGEST = 80  # characters of a model's name in file names


def write_comparison(results: dict[str, Any], path: Path, differences: Sequence[Differences] = ()) -> None:
    """Write the page of a comparison. `results` are plain data from `results.collect`; numbers may be None."""
    write_page([comparison_section(results, differences)], path)


def save_plots(results: dict[str, Any], folder: Path) -> None:
    """Save every plot as an SVG and a PDF file, named after the model and what it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    with plot_style(on_paper=True):
        for title, rows in by_model(results).items():
            name = _new_name(_slug(title), taken)
            for plot in comparison_plots(rows, name):
                save_plot(plot, folder)


def comparison_section(results: dict[str, Any], differences: Sequence[Differences] = (), number: int = 0) -> str:
    """Plots and tables of a comparison, model by model, then the differences; see `write_comparison`.

    `number` sets its plots apart from those of the page's other comparisons.
    """
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    threads = f"{results['threads']} thread{'s' * (results['threads'] != 1)}"
    left_out = "".join(f"<li>{html.escape(problem)}</li>" for problem in problems(results))
    with plot_style():
        models = [
            _model(results, title, rows, f"comparison-{number}-{place}")
            for place, (title, rows) in enumerate(by_model(results).items())
        ]
    return page_part("comparison.html").substitute(
        command=html.escape(results["command"]),
        task=html.escape(results["task"]["name"]),
        questions=html.escape(count_of_questions(results).capitalize()),
        about=html.escape(
            f"{results['date']}, seed {results['seed']}; {versions}; {results['device']}, {results['dtype']}, {threads}"
        ),
        models="\n".join(models),
        legend="<br>".join(
            html.escape(text) for text in [*(f"-: {reason}" for reason in unreached(results)), legend()]
        ),
        problems=f"<h3>Not as asked</h3><ul>{left_out}</ul>" if left_out else "",
        differences="\n".join(map(_differences, differences)),
    )


def _model(results: dict[str, Any], title: str, rows: Sequence[Row], name: str) -> str:
    plots = "".join(as_figure(plot) for plot in comparison_plots(rows, name))
    tables = [
        ("Tokens kept and accuracy", group_of(results, rows, KNOWN)),
        *(("Right answers by kind of question", table) for table in right_by_kind(rows)),
        ("Time and memory", group_of(results, rows, TAKEN)),
    ]
    parts = [
        f'<h4>{heading}</h4><div class="wide" tabindex="0" role="region" aria-label="{heading}">{html_table(table)}</div>'
        for heading, table in tables
    ]
    return f'<h3>{html.escape(title)}</h3><div class="plots">{plots}</div>{"".join(parts)}'


def _differences(found: Differences) -> str:
    title = f"{found.title}: {found.count} of {found.asked} questions are answered differently from the dense model"
    head = f"<h3>{html.escape(title)}</h3>"
    if not found.shown:
        return head
    first = "" if len(found.shown) == found.count else f"The {len(found.shown)} that most methods answer differently. "
    told = f'<p class="about">{first}All answers are in answers.csv, which --out writes.</p>'
    return f'{head}{told}<div class="cards">{"".join(map(_card, found.shown))}</div>'


def _card(one: Difference) -> str:
    picture = f'<img src="{one.picture}" alt="{html.escape(one.media, quote=True)}">' if one.picture else ""
    said: dict[str, list[Said]] = {}
    for other in one.others:
        said.setdefault(other.answer, []).append(other)
    lines = [_answer(one.dense, "dense"), *(_answer(same[0], _who(same)) for same in said.values())]
    wanted = html.escape(" or ".join(one.wanted))
    return (
        f'<article>{picture}<div><p><q>{html.escape(one.question)}</q> <span class="soft">{html.escape(one.media)}; '
        f"right: {wanted}</span></p><ul>{''.join(lines)}</ul></div></article>"
    )


def _answer(said: Said, who: str) -> str:
    verdict = "right" if said.right else "wrong"
    text = html.escape(said.answer) or "(nothing)"
    return f'<li class="{verdict}"><strong>{text}</strong> ({verdict}): {html.escape(who)}</li>'


def _who(same: Iterable[Said]) -> str:
    """Methods with the budgets at which they give the same answer."""
    budgets: dict[str, list[str]] = {}
    for said in same:
        budgets.setdefault(said.method, []).append(f"{said.budget:g}")
    return "; ".join(f"{method} at {', '.join(found)}" for method, found in budgets.items())


def _slug(text: str) -> str:
    """Text that is valid in a file name on any system."""
    return "-".join("".join(char if char.isalnum() else " " for char in text).split())[:LONGEST] or "model"


def _new_name(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken; case is ignored, as some systems do."""
    number, found = 1, name
    while found.casefold() in taken:
        number, found = number + 1, f"{name}-{number + 1}"
    taken.add(found.casefold())
    return found
