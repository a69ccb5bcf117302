"""Pages about one question, in a real browser: a picture, a picture in tiles, and a video."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

import v2drop
from v2drop_cli.show import show
from v2drop_loading.checkpoints import find_adapter, find_checkpoint, load_model
from v2drop_loading.media import as_inputs, read_media
from v2drop_loading.question import ExampleKind, choose_question

PAGES = {"llava": ExampleKind.IMAGE, "llava_next": ExampleKind.IMAGE, "qwen2_vl": ExampleKind.VIDEO}
METHODS = ["v2drop", "fastv", "random"]


@dataclass
class Example:
    """A page, and what it is about, asked for apart from it."""

    path: object
    network: object
    inputs: dict
    layout: v2drop.VisionLayout
    schedule: v2drop.Schedule

    def dropped(self, layer, method="v2drop"):
        """Numbers of the vision tokens that a forward call has dropped before this layer, and of those alive."""
        depth = self.network.config.get_text_config().num_hidden_layers
        choice = {"schedule": self.schedule}
        if method == "fastv":  # it cuts elsewhere
            choice = {"retained": self.schedule.retained(depth)}
        with v2drop.attach(self.network, method=method, **choice) as run, torch.inference_mode():
            self.network(**self.inputs)
        columns = self.layout.position.tolist()
        stages = [stage for stage in run.report.kept if stage <= layer]
        alive = set(run.report.kept[max(stages)][0].tolist()) if stages else set(columns)
        assert len(alive) == run.report.tokens_per_layer[layer]
        return {number for number, column in enumerate(columns) if column not in alive}, len(alive)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Pages that `v2drop show` wrote, made when asked for."""
    made = {}

    def make(name):
        if name not in made:
            path = tmp_path_factory.mktemp(name) / "page.html"
            show(model=name, example=PAGES[name], method=METHODS, out=path)
            checkpoint = find_checkpoint(name)
            question = choose_question(checkpoint, [], None, None, None, PAGES[name])
            network, processor = load_model(checkpoint, "cpu")
            adapter = find_adapter(checkpoint)
            inputs = as_inputs(processor, read_media(question, adapter, processor), question.prompt)
            layout = adapter.layout(network, inputs)
            inputs.pop("video_metadata", None)
            made[name] = Example(path, network, dict(inputs), layout, checkpoint.schedule)
        return made[name]

    return make


@pytest.fixture(params=PAGES)
def example(request, examples, open_page):
    """Each of the examples, and its page."""
    example = examples(request.param)
    page = open_page(example.path)
    page.resize(1280)
    return example, page


def shown(page, dropped):
    """Numbers of the tokens that the page shows as dropped, or as kept."""
    found = page.run(
        "return [...document.querySelectorAll('.panels.kept [data-token]')]"
        ".filter((token) => token.classList.contains('dropped') === arguments[0]).map((token) => +token.dataset.token)",
        dropped,
    )
    assert len(found) == len(set(found))
    return set(found)


def press(page, selector, key, times=1):
    """Press a key on an element, as somebody without a mouse does."""
    from selenium.webdriver.common.keys import Keys

    page.find(selector).send_keys(*[getattr(Keys, key)] * times)


def test_at_every_layer_the_page_shows_what_the_report_says(example):
    example, page = example
    depth = example.network.config.get_text_config().num_hidden_layers
    seen = set()
    press(page, "#layer", "HOME")
    for layer in range(depth):
        dropped, alive = example.dropped(layer)
        assert shown(page, dropped=True) == dropped
        assert len(shown(page, dropped=False)) == alive
        assert page.find("#status").text.startswith(f"Layer {layer}: {alive} of {len(example.layout.position)} tokens")
        seen.add(alive)
        press(page, "#layer", "ARROW_RIGHT")
    assert len(seen) == 1 + len(example.schedule.stages)


def test_dropped_tokens_look_dark_and_kept_ones_do_not(example):
    _, page = example
    opacity = "return getComputedStyle(document.querySelector('.panels.kept .token:not(.mark)' + arguments[0])).fill"
    assert page.run(opacity, ".dropped") == "rgb(16, 18, 27)"
    assert page.run(opacity, ":not(.dropped)") == "rgba(0, 0, 0, 0)"


def test_another_method_shows_what_it_keeps(example):
    example, page = example
    last = example.schedule.stages[-2].layer
    press(page, "#layer", "HOME")
    press(page, "#layer", "ARROW_RIGHT", last)
    pictures = []
    for number, method in enumerate(METHODS):
        page.find(f"input[name=method][value='{number}']").click()
        dropped, _ = example.dropped(last, method)
        assert shown(page, dropped=True) == dropped
        pictures.append(frozenset(dropped))
    assert len(set(pictures)) == len(METHODS)


def test_a_stages_button_goes_to_its_layer(example):
    example, page = example
    stages = [stage.layer for stage in example.schedule.stages]
    wanted = ["All tokens", *(f"Stage {number}: layer {layer}" for number, layer in enumerate(stages, 1))]
    assert page.texts(".stages button") == wanted
    press(page, ".stages button:nth-child(3)", "ENTER")
    assert page.find("#status").text.startswith(f"Layer {stages[1]}:")
    assert page.texts(".stages [aria-pressed=true]") == [wanted[2]]
    assert shown(page, dropped=True) == example.dropped(stages[1])[0]


def test_the_heat_map_is_the_dense_models_variation(example):
    example, page = example
    with torch.inference_mode():
        states = example.network(**example.inputs, output_hidden_states=True).hidden_states
    tokens = [state[0, example.layout.position].double() for state in states[:-1]]  # the last one is normalised
    wanted = torch.stack([(after - before).norm(dim=-1) for before, after in pairwise(tokens)])
    data = json.loads(page.run("return document.getElementById('tokens').textContent"))
    torch.testing.assert_close(torch.tensor(data["variation"]).double(), wanted, rtol=1e-3, atol=1e-3)
    fills = "return [...document.querySelectorAll('.panels.heat [data-token]')].map((t) => [+t.dataset.token, t.style.fill])"
    press(page, "#layer", "HOME")
    assert {fill for _, fill in page.run(fills)} == {"transparent"}
    assert page.find("#heat-title").text == "Variation, dense model"
    stages = [stage.layer for stage in example.schedule.stages]
    layer = next(layer for layer in range(1, len(wanted)) if layer not in stages)
    press(page, "#layer", "ARROW_RIGHT", layer)
    assert page.find("#heat-title").text == "Variation, dense model"
    colours = dict(page.run(fills))
    assert colours[int(wanted[layer - 1].argmax())] == "rgb(253, 231, 37)"
    assert colours[int(wanted[layer - 1].argmin())] == "rgb(68, 1, 84)"
    assert len(set(colours.values())) > 20
    first = stages[0]
    assert data["runs"][0]["scores"][0]["layer"] == first
    torch.testing.assert_close(
        torch.tensor(data["runs"][0]["scores"][0]["values"]).double(), wanted[first - 1], rtol=1e-3, atol=1e-3
    )


def test_the_page_opens_on_the_first_stage(example):
    example, page = example
    first = example.schedule.stages[0].layer
    assert page.find("#status").text.startswith(f"Layer {first}:")
    assert shown(page, dropped=True) == example.dropped(first)[0]
    assert page.find("#strip-title").text == "Kept tokens in the order of the sequence"
    assert page.find("#heat-title").text == f"Score of v2drop, before layer {first}"


def test_the_heat_map_of_a_method_that_is_made_of_v2drop_is_its_own(tmp_path, monkeypatch):
    (tmp_path / "reversed_v2drop.py").write_text(
        "from v2drop.methods.v2drop import V2Drop\n\n\n"
        "class Reversed(V2Drop):\n    name = 'reversed'\n\n"
        "    def score(self, context):\n        return -super().score(context)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    show(model="llava", method=["reversed_v2drop:Reversed"], out=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    [run] = json.loads(text.partition('id="tokens">')[2].partition("</script>")[0])["runs"]
    assert run["varies"] is False
    assert all(value < 0 for stage in run["scores"] for value in stage["values"] if value is not None)


def test_another_methods_heat_map_is_its_own_score(example):
    """FastV's: the attention from the last token, by the stock model's own weights."""
    example, page = example
    press(page, "#layer", "END")
    page.find("input[name=method][value='1']").click()
    data = json.loads(page.run("return document.getElementById('tokens').textContent"))
    [stage] = data["runs"][1]["scores"]
    example.network.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            weights = example.network(**example.inputs, output_attentions=True).attentions[stage["layer"] - 1]
    finally:
        example.network.set_attn_implementation("sdpa")
    wanted = weights[0, :, -1].mean(0)[example.layout.position]
    torch.testing.assert_close(torch.tensor(stage["values"]), wanted, rtol=1e-3, atol=1e-6)
    assert page.find("#heat-title").text == f"Score of fastv, before layer {stage['layer']}"
    fills = "return [...document.querySelectorAll('.panels.heat [data-token]')].map((t) => [+t.dataset.token, t.style.fill])"
    assert dict(page.run(fills))[int(wanted.argmax())] == "rgb(253, 231, 37)"


def test_no_table_is_wider_than_its_card(example):
    _, page = example
    assert page.run(
        "return [...document.querySelectorAll('.wide')].map((card) => card.scrollWidth - card.clientWidth)"
    ) == [0]


def test_the_mean_place_is_that_of_the_tokens_shown(example):
    example, page = example
    kept = shown(page, dropped=False)
    mean = sum(kept) / len(kept) / (len(example.layout.position) - 1)
    told = float(page.find(".strip .place").text.removeprefix("mean position of kept tokens: "))
    assert told == pytest.approx(mean, abs=6e-4)
    press(page, "#layer", "END")
    assert page.find(".strip .place").text == "none is kept"


def test_pointing_at_a_token_tells_its_place_and_fate(example):
    from selenium.webdriver import ActionChains

    example, page = example
    token = page.find(".panels.kept [data-token='5']")
    ActionChains(page.driver).scroll_to_element(token).move_to_element(token).perform()
    gone = next((s.layer for s in example.schedule.stages if 5 in example.dropped(s.layer)[0]), None)
    fate = f"dropped before layer {gone}" if gone else "kept to the end"
    total = len(example.layout.position)
    told, _, score = page.find(".token-note").text.partition("; score at layer ")
    assert told == f"Token 6 of {total}, row 1, column 6: {fate}"
    layer, _, value = score.partition(": ")
    assert int(layer) == example.schedule.stages[0].layer
    assert float(value) > 0


def test_the_answers_stand_in_a_table(example):
    example, page = example
    rows = page.texts("section.example tbody tr")
    assert [row.split()[0] for row in rows] == ["dense", *METHODS]
    assert all("33." in row for row in rows[1:])


def test_it_is_quiet_self_contained_and_fits(example):
    example, page = example
    for width in (1280, 400):
        page.resize(width)
        for scheme in ("light", "dark"):
            page.colours(scheme)
            press(page, "#layer", "ARROW_RIGHT")
            assert page.overflow() <= 0, (width, scheme)
    assert page.asked_and_complained() == ([], [])
    assert example.path.stat().st_size < 1e6


def test_pictures_have_descriptions_and_ids_are_unique(example):
    _, page = example
    labels = page.run("return [...document.querySelectorAll('svg')].map((svg) => svg.getAttribute('aria-label'))")
    assert len(labels) >= 6
    assert all(labels)
    ids = page.run("return [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))


def test_tiles_and_row_ends_are_drawn(examples, open_page):
    example = examples("llava_next")
    page = open_page(example.path)
    titles = page.texts(".panels.kept figcaption")
    assert [title.partition(":")[0] for title in titles] == ["Picture as a whole", "In tiles"]
    tiles = page.run("return document.querySelectorAll('.panels.kept .tile').length")
    assert tiles == len(set(example.layout.tile.tolist()) - {-1}) > 1
    ends = page.run("return [...document.querySelectorAll('.panels.kept .mark')].map((mark) => +mark.dataset.token)")
    assert ends == example.layout.newline.nonzero().flatten().tolist()
    assert ends


def test_a_video_is_a_film_strip_with_times(examples, open_page):
    example = examples("qwen2_vl")
    page = open_page(example.path)
    times = [float(title.partition(" s:")[0]) for title in page.texts(".panels.kept figcaption")]
    assert times == sorted({round(time, 1) for time in example.layout.time.tolist()})
    assert len(times) > 2
    assert not any(map(math.isnan, times))
    lefts = page.run(
        "return [...document.querySelectorAll('.panels.kept svg')].map((s) => s.getBoundingClientRect().left)"
    )
    assert lefts == sorted(lefts)
