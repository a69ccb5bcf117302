"""Pages of comparisons, in a real browser."""

from __future__ import annotations

import json

import pytest

from v2drop_cli.show import show
from v2drop_comparing.given_answers import Difference, Differences, Said
from v2drop_page.comparison_page import save_plots, write_comparison
from v2drop_terminal.errors import CommandError

MODEL = "<b>tiny</b> & model"
NOT_MEASURED = ("p_random", "prefill_ms", "decode_ms", "total_ms", "prefill_ratio", "decode_ratio", "flops")
UNREACHED = (
    *NOT_MEASURED, "retained", "asked", "right", "accuracy", "interval", "by_kind", "of_dense", "position", "peak_bytes",
    "kv_bytes",
)  # fmt: skip


def row(method, budget, right, **more):
    """One row of results: of 200 questions."""
    accuracy = right / 200
    return {
        "model": MODEL, "modality": "image", "method": method, "budget": budget, "schedule": None,
        "retained": budget or 1.0, "asked": 200, "right": right, "accuracy": accuracy,
        "interval": [accuracy - 0.05, min(accuracy + 0.05, 1.0)], "by_kind": {"where": [right // 2, 100], "what": [3, 100]},
        "of_dense": accuracy / 0.9, "p_random": 0.01, "prefill_ms": 12.5, "decode_ms": 30.25, "total_ms": 42.0,
        "prefill_ratio": 0.5,
        "prefill_ratio_quartiles": [0.48, 0.53], "decode_ratio": 0.9, "peak_bytes": 123e6, "kv_bytes": 456e3, "flops": 7e8,
        "prefill_quartiles": [12.0, 14.0], "error": None,
        "position": {"mean": 0.625, "histogram": [0.05] * 5 + [0.15] * 5}, **more,
    }  # fmt: skip


def results(rows, skipped=()):
    """As `results.collect` returns them."""
    return {
        "command": "compare-methods", "date": "2001-02-03", "seed": 5, "versions": {"v2drop": "1.2.3"}, "device": "cpu",
        "dtype": "float32", "threads": 1, "task": {"name": "a task", "questions": 200}, "rows": rows,
        "skipped": list(skipped),
    }  # fmt: skip


FULL = results(
    [
        row("dense", None, 180, position=None, p_random=None),
        row("v2drop", 0.333, 170),
        row("v2drop", 0.111, 120),
        row("random", 0.333, 140, p_random=None),
        row("random", 0.111, 100, p_random=None),
        row("a new one", 0.333, 150),
        {**row("fastv", 0.111, 0), **dict.fromkeys(UNREACHED), "error": "cannot reach it"},
    ],
    [{"file": "asked.jsonl", "line": 7, "reason": "no answer"}],
)  # fmt: skip


def opened(results, tmp_path, open_page):
    """The page that shows results."""
    write_comparison(results, tmp_path / "page.html")
    page = open_page(tmp_path / "page.html")
    page.resize(1280)
    return page


@pytest.fixture
def page(tmp_path, open_page):
    return opened(FULL, tmp_path, open_page)


def label(page, end):
    """The alternative text of the plot whose id ends so."""
    return page.run(f"return document.querySelector('.plot[id$=\"{end}\"] svg').getAttribute('aria-label')")


def test_every_plot_is_there_with_its_numbers_as_text(page):
    assert label(page, "accuracy").endswith(
        "dense 90.0%; v2drop, 60.0% at 0.111, 85.0% at 0.333; random, 50.0% at 0.111, 70.0% at 0.333; "
        "a new one, 75.0% at 0.333."
    )
    for end, number in (("prefill-ms", "12.5"), ("decode-ms", "30.25"), ("peak-bytes", "123"), ("kv-bytes", "456")):
        assert f"dense {number}; v2drop, {number} at 0.111, {number} at 0.333" in label(page, end)
    assert "v2drop, 0.625 at 0.111" in label(page, "place")
    assert "5, 5, 5, 5, 5, 15" in label(page, "histogram")


def test_the_accuracy_plot_has_bands_and_the_share_of_dense(page):
    plot = "document.querySelector('.plot[id$=\"accuracy\"]')"
    bands = page.run(f"return {plot}.querySelectorAll('[id*=FillBetween], [id*=PolyCollection]').length")
    assert bands == 3
    words = page.run(f"return [...{plot}.querySelectorAll('text')].map((text) => text.textContent)")
    assert {"right answers, %", "share of dense, %", "v2drop", "random", "a new one", "dense"} <= set(words)


def test_accuracy_is_drawn_against_time_and_flops(page):
    start = "dense, 90.0 % at {0}; v2drop, 60.0 % at {0}, 85.0 % at {0}; random, 50.0 % at {0}, 70.0 % at {0}; "
    assert start.format("42") in label(page, "accuracy-time")
    assert start.format("700") in label(page, "accuracy-flops")


def test_plots_are_written_as_files_too(tmp_path):
    save_plots(FULL, tmp_path / "plots")
    names = {file.name for file in (tmp_path / "plots").iterdir()}
    assert {"b-tiny-b-model-image-accuracy.svg", "b-tiny-b-model-image-accuracy-time.pdf"} <= names
    assert len(names) == 2 * 10
    drawn = (tmp_path / "plots" / "b-tiny-b-model-image-accuracy.svg").read_text()
    assert "right answers, %" in drawn
    assert "var(--" not in drawn
    assert (tmp_path / "plots" / "b-tiny-b-model-image-accuracy.pdf").read_bytes().startswith(b"%PDF")


def test_plots_of_models_with_like_names_are_all_written(tmp_path):
    names = ("models/a", "models-a", "Models A", "...", "x" * 300)
    save_plots(results([row("v2drop", 0.333, 170, model=name) for name in names]), tmp_path)
    accuracies = sorted(file.name for file in tmp_path.glob("*-accuracy.svg"))
    assert len(accuracies) == len(names) == len({name.casefold() for name in accuracies})
    assert max(map(len, accuracies)) < 120


def test_many_kinds_of_question_stand_in_several_tables(tmp_path, open_page):
    kinds = {f"a kind of question, number {number}": [number, 20] for number in range(20)}
    page = opened(results([row("v2drop", 0.333, 170, by_kind=kinds)]), tmp_path, open_page)
    assert page.texts("h4").count("Right answers by kind of question") == 4
    assert (
        max(
            page.run(
                "return [...document.querySelectorAll('.wide')].map((card) => card.scrollWidth - card.clientWidth)"
            )
        )
        == 0
    )


def test_differences_are_cards_with_the_picture_and_who_says_what(tmp_path, open_page):
    dense = Said(3, "dense", None, 0, "left", True)
    others = [
        Said(3, method, budget, 0, answer, False)
        for method, budget, answer in (("v2drop", 0.5, "right"), ("v2drop", 0.333, "right"), ("fastv", 0.5, ""))
    ]
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw=="
    one = Difference("where", "where is <it> ?", "3.png", ["left", "Left"], pixel, dense, others)
    gone = Difference("where", "and that ?", "4.png", ["up"], "", dense, others)
    write_comparison(FULL, tmp_path / "page.html", [Differences("tiny, image", 7, 200, [one, gone])])
    page = open_page(tmp_path / "page.html")
    assert page.texts("h3")[-1] == "tiny, image: 7 of 200 questions are answered differently from the dense model"
    first, second = page.texts(".cards article")
    assert first.splitlines() == [
        "where is <it> ? 3.png; right: left or Left",
        "left (right): dense",
        "right (wrong): v2drop at 0.5, 0.333",
        "(nothing) (wrong): fastv at 0.5",
    ]
    assert second.startswith("and that ? 4.png; right: up")
    assert page.run("return [...document.querySelectorAll('.cards img')].map((img) => img.naturalWidth)") == [1]
    assert page.asked_and_complained() == ([], [])


def test_no_table_is_wider_than_its_card(page):
    wider = page.run(
        "return [...document.querySelectorAll('.wide')].map((card) => card.scrollWidth - card.clientWidth)"
    )
    assert wider == [0, 0, 0]


def test_bars_are_as_high_as_their_numbers(tmp_path, open_page):
    rows = [row("v2drop", 0.333, 170, prefill_ms=10.0), row("random", 0.333, 140, prefill_ms=30.0)]
    page = opened(results(rows), tmp_path, open_page)
    bars = page.run(
        "return [...document.querySelectorAll('.plot[id$=\"prefill-ms\"] [clip-path] ')]"
        ".filter((bar) => ['rgb(224, 83, 61)', 'rgb(133, 139, 149)'].includes(getComputedStyle(bar).fill))"
        ".map((bar) => bar.getBoundingClientRect().height)"
    )
    assert len(bars) == 2
    assert bars[1] == pytest.approx(3 * bars[0], rel=0.02)


def test_the_table_holds_every_measured_row_and_what_is_missing_is_told(page):
    tables = page.run(
        "return [...document.querySelectorAll('.comparison table')].map((table) => [...table.tBodies[0].rows]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent)))"
    )
    wanted = [
        [each["method"], "-" if each["budget"] is None else f"{each['budget']:.3f}"] for each in FULL["rows"][:-1]
    ]
    assert [[cells[:2] for cells in rows] for rows in tables] == [wanted] * 3
    known, kinds, taken = tables
    assert known[1][3:6] == ["85.0%", "80.0% - 90.0%", "94.4%"]
    assert kinds[1][2:] == ["3.0%", "85.0%"]  # what, where
    assert taken[1][2:4] == ["12.5 ± 1.0", "30.2"]
    assert taken[1][5:7] == ["0.50", "unclear"]
    assert page.texts("h4") == ["Tokens kept and accuracy", "Right answers by kind of question", "Time and memory"]
    told = page.texts("section.comparison li")
    assert told == [f"{MODEL}, image: fastv at 0.111: cannot reach it", "asked.jsonl, line 7: no answer"]
    about = page.find(".about").text
    assert all(word in about for word in ("2001-02-03", "seed 5", "v2drop 1.2.3", "cpu, float32, 1 thread", "200"))


def test_names_are_text_and_never_markup(page):
    assert page.texts("h3")[0] == f"{MODEL}, image"
    assert page.run("return document.querySelectorAll('b').length") == 0


def test_what_was_not_measured_has_no_plot(tmp_path, open_page):
    bare = dict.fromkeys((*NOT_MEASURED, "retained", "interval", "of_dense", "peak_bytes", "kv_bytes", "position"))
    page = opened(results([row("v2drop", 0.333, 170, **bare), row("v2drop", 0.5, 180, **bare)]), tmp_path, open_page)
    ids = page.run("return [...document.querySelectorAll('.plot')].map((plot) => plot.id)")
    assert [each.rpartition("-")[2] for each in ids] == ["accuracy"]
    assert page.asked_and_complained() == ([], [])


def test_each_model_has_its_own_plots(tmp_path, open_page):
    rows = [row("v2drop", 0.333, 170, model=model) for model in ("one", "two")]
    page = opened(results(rows), tmp_path, open_page)
    assert page.texts("h3")[:2] == ["one, image", "two, image"]
    ids = page.run("return [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))


def test_it_is_quiet_self_contained_and_fits(page, tmp_path):
    for width in (1280, 400):
        page.resize(width)
        for scheme in ("light", "dark"):
            page.colours(scheme)
            assert page.overflow() <= 0, (width, scheme)
    assert page.asked_and_complained() == ([], [])
    assert (tmp_path / "page.html").stat().st_size < 1e6


def test_text_stands_out_in_light_and_in_dark(page):
    ratios = []
    for scheme in ("light", "dark"):
        page.colours(scheme)
        ink, paper = page.run(
            "const text = document.querySelector('.plot text'), card = text.closest('.plot');"
            "return [getComputedStyle(text).fill, getComputedStyle(card).backgroundColor]"
        )
        ratios.append(contrast(ink, paper))
    assert min(ratios) > 7, ratios


def contrast(one, other):
    """Of two CSS colours, as WCAG defines it."""

    def luminance(colour):
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_show_writes_the_page_of_several_results(tmp_path, open_page):
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        file.write_text(json.dumps(FULL))
    show(comparison=files, out=tmp_path / "page.html")
    page = open_page(tmp_path / "page.html")
    assert page.texts("h2") == ["compare-methods: a task"] * 2
    ids = page.run("return [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))
    assert page.asked_and_complained() == ([], [])


EMPTY = json.dumps(results([]))


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"rows": 3}', '{"command": "x", "rows": [{}]}', EMPTY, None])
def test_what_is_no_results_file_is_told(tmp_path, content):
    file = tmp_path / "results.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CommandError, match=r"results\.json"):
        show(comparison=[file], out=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
