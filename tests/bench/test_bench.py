"""`v2drop bench` on tiny geometries: what it measures, what it says of it, and what it refuses."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest
import torch
from support import tiny_llava_onevision, tiny_qwen2_5_vl, tiny_qwen2_vl
from transformers import AutoModelForImageTextToText

import v2drop
from v2drop.methods import make_method
from v2drop_bench import memory as bench_memory
from v2drop_bench import plan as bench_plan
from v2drop_bench.geometries import GEOMETRIES, find_geometry, materialise
from v2drop_bench.ideal import Ideal
from v2drop_bench.measure import TimedScoring, Turn, ratios
from v2drop_bench.memory import bytes_needed
from v2drop_bench.plan import growth
from v2drop_bench.prompt import PREFIX, SUFFIX, Length, Prompt
from v2drop_measuring.rounds import exponent, in_turns, spread
from v2drop_terminal.errors import CommandError

TINY = ("--hidden", "112", "--layers", "4", "--rounds", "2")
SCHEDULE = v2drop.Schedule([(1, 0.5), (2, 0.5), (3, 0.0)])


@pytest.fixture
def measured(command):
    """Runs `v2drop bench` in this process: its exit code and what it prints."""
    return partial(command, "bench")


@pytest.fixture(scope="module", params=GEOMETRIES)
def tiny(request):
    """A model of each published geometry, 112 wide and 4 layers deep."""
    return materialise(find_geometry(request.param, 112, 4).on_meta(torch.float32), "cpu")


def test_published_geometries_have_the_published_number_of_weights():
    """LLaMA-7B has 6,738,415,616 weights, LLaVA 64 more tokens; Qwen2-7B has 7,615,616,512."""
    expected = dict.fromkeys(("llava-1.5-7b", "llava-next-7b"), 6_738_415_616 + 2 * 64 * 4096)
    expected["qwen2-vl-7b"] = 7_615_616_512
    for name, weights in expected.items():
        model = find_geometry(name).on_meta(torch.float32)
        parts = (v2drop.get_adapter(model).inner_model(model).language_model, model.lm_head)
        assert sum(weight.numel() for part in parts for weight in part.parameters()) == weights


def test_a_scaled_geometry_keeps_depth_and_ratios():
    for name, hidden in (("llava-1.5-7b", 512), ("qwen2-vl-7b", 896), ("qwen2-vl-7b", 112)):
        true, scaled = GEOMETRIES[name], find_geometry(name, hidden)
        assert (scaled.layers, scaled.hidden) == (true.layers, hidden)
        assert scaled.heads / scaled.kv_heads == true.heads / true.kv_heads
        sizes, published = scaled.stock().get_text_config(), true.stock().get_text_config()
        assert hidden % scaled.heads == 0
        assert sizes.intermediate_size / hidden == pytest.approx(published.intermediate_size / true.hidden)
        assert find_geometry(name, true.hidden) == true


@pytest.mark.parametrize(("hidden", "layers"), [(None, None), (32, None), (None, 3), (128, 2)])
@pytest.mark.parametrize("tiny", [tiny_qwen2_vl, tiny_qwen2_5_vl, tiny_llava_onevision], ids=lambda each: each.__name__)
def test_a_configuration_file_is_a_geometry(tiny, hidden, layers, tmp_path):
    config = tiny.tiny_config()
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    geometry = find_geometry(str(tmp_path), hidden, layers)
    assert (geometry.name, geometry.layers, geometry.hidden) == (
        tmp_path.name,
        layers or config.text_config.num_hidden_layers,
        hidden or config.text_config.hidden_size,
    )
    model = materialise(geometry.on_meta(torch.float32), "cpu")
    prompt = Prompt(model, Length(1, 12), 1)
    assert len(prompt.position_ids) == (1 if tiny is tiny_llava_onevision else 3)
    with torch.no_grad(), v2drop.attach(model, v2drop.Schedule([(1, 0.5)])) as run:
        assert prompt.attached(model, run).last_hidden_state.isfinite().all()
        assert run.report.kept[1][0].shape == (6,)


def test_a_file_may_hold_the_language_models_sizes_beside_the_others(tmp_path):
    nested = tiny_qwen2_vl.tiny_config().to_dict()
    flat = {**nested.pop("text_config"), **nested, "model_type": "qwen2_vl"}
    (tmp_path / "config.json").write_text(json.dumps(flat))
    geometry = find_geometry(str(tmp_path))
    assert (geometry.layers, geometry.hidden) == (flat["num_hidden_layers"], flat["hidden_size"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "knows no model type None"),
        ('{"model_type": "llama"}', "no text_config"),
        ("{", "cannot read"),
        ('{"text_config": {}, "model_type": "x"}', "knows no model type 'x'"),
    ],
)
def test_what_is_no_geometry(tmp_path, text, told):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=told):
        find_geometry(str(path))
    with pytest.raises(CommandError, match=r"pass llava-1.5-7b, .* or a model's config.json"):
        find_geometry("llava-8b")


def test_a_materialised_model_computes_what_a_stock_one_does_with_its_weights(tiny):
    stock = AutoModelForImageTextToText.from_config(tiny.config).eval()
    stock.load_state_dict(tiny.state_dict())
    prompt = Prompt(tiny, Length(2, 9), 2)
    with torch.no_grad():
        ours, theirs = (prompt.dense(model).last_hidden_state for model in (tiny, stock))
    assert ours.std() > 0.1
    torch.testing.assert_close(ours, theirs)


def test_prompts_of_qwen2_vl_go_through_m_rope():
    model = materialise(find_geometry("qwen2-vl-7b", 112, 2).on_meta(torch.float32), "cpu")
    prompt = Prompt(model, Length(4, 6), 3)
    assert prompt.embeds.shape == (3, PREFIX + 24 + SUFFIX, 112)
    axes = prompt.position_ids[:, 2, PREFIX : PREFIX + 24] - PREFIX
    assert [axis.unique().tolist() for axis in axes] == [[0, 1, 2, 3], [0, 1], [0, 1, 2]]
    assert (prompt.position_ids[:, :, -1] < PREFIX + 24).all()  # text goes on behind the grid, not behind its tokens
    picture = Prompt(model, Length(1, 24), 1)
    assert [axis.max() - PREFIX for axis in picture.position_ids[:, 0, PREFIX : PREFIX + 24]] == [0, 3, 5]


@pytest.mark.parametrize("method", ["v2drop", "fastv"])
def test_the_ideal_does_the_same_layers_work_as_the_method(tiny, method):
    prompt = Prompt(tiny, Length(2, 9), 2)
    with torch.no_grad():
        cache = Ideal(tiny, prompt, SCHEDULE, method)()
        with v2drop.attach(tiny, SCHEDULE, method=method) as run:
            expected = prompt.attached(tiny, run).past_key_values
        held = [layer.keys.shape[2] for layer in expected.layers]
        assert held == [PREFIX + SUFFIX + alive for alive in SCHEDULE.tokens_per_layer(4, 18)]
        for ours, theirs in zip(cache.layers, expected.layers, strict=True):
            torch.testing.assert_close(ours.keys, theirs.keys)
            torch.testing.assert_close(ours.values, theirs.values)
        assert prompt.step(tiny, cache, 0).isfinite().all()


def test_timing_scores_changes_nothing(tiny):
    prompt, reports = Prompt(tiny, Length(1, 36), 1), []
    timed = TimedScoring(make_method("v2drop"))
    with torch.no_grad():
        for method in (timed, "v2drop"):
            with v2drop.attach(tiny, SCHEDULE, method=method) as run:
                prompt.attached(tiny, run)
            reports.append(run.report.to_dict())
    assert reports[0] == reports[1]
    assert timed.seconds > 0


def test_ratios_are_taken_within_rounds():
    dense = [Turn(8.0, 0.0, 1.0, 100), Turn(30.0, 0.0, 6.0, 100)]
    ours = [Turn(4.0, 0.1, 0.5, 40), Turn(10.0, 0.5, 3.0, 40)]
    ideal = [Turn(2.0, 0.0, 0.5, 40), Turn(8.0, 0.0, 2.0, 40)]
    found = {name: ratio["median"] for name, ratio in ratios(dense, ours, ideal).items()}
    expected = {"speedup": 2.5, "ideal_speedup": (4 + 3.75) / 2, "overhead": (2 + 1.25) / 2, "scoring": 0.0375}
    assert found == pytest.approx({**expected, "decode": 0.5, "decode_overhead": 1.25})


def test_quartiles_enclose_the_median():
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == {"median": 3.0, "quartiles": [2.0, 4.0]}


def test_each_way_is_first_once():
    order = []
    ways = {name: lambda name=name: order.append(name) for name in "abc"}
    for number in range(3):
        in_turns(ways, number)
    assert order == [*"abc", *"bca", *"cab"]


def test_growth_is_the_power_of_all_tokens():
    assert exponent([100, 200, 400], [3.0, 12.0, 48.0]) == pytest.approx(2)
    rows = [
        {
            "method": "v2drop", "batch": batch, "sequence": sequence, "flops": {"dense": sequence, "dropped": 7},
            "seconds": {way: {"prefill": {"median": sequence**power}} for way, power in POWERS.items()},
        }
        for batch, sequence in ((1, 400), (1, 100), (2, 100))
    ]  # fmt: skip
    (found,) = growth(rows)
    assert (found["method"], found["batch"], found["sequences"]) == ("v2drop", 1, [100, 400])
    assert found["exponents"] == pytest.approx({**POWERS, "dense FLOPs": 1, "dropped FLOPs": 0}, abs=1e-9)


POWERS = {"dense": 2, "dropped": 1.5, "ideal": 1}


def test_json_holds_every_case(measured):
    shapes = ("--tokens", "36", "--tokens", "3x16", "--batch-size", "1", "--batch-size", "2", "--dtype", "float32")
    which = ("--geometry", "llava-1.5-7b", "--geometry", "qwen2-vl-7b", "--method", "v2drop", "--method", "dense")
    code, printed = measured(*TINY, *which, *shapes, "--dtype", "bfloat16", "--json")
    assert code == 0, printed.err
    data = json.loads(printed.out)
    assert (data["rounds"], data["threads"], data["versions"]["torch"]) == (2, 1, torch.__version__)
    models = [(model["geometry"], model["dtype"], model["device"]) for model in data["models"]]
    assert models == [(name, kind, "cpu") for name in which[1:4:2] for kind in ("float32", "bfloat16")]
    for model in data["models"]:
        cases = [(row["tokens"], row["batch"], row["method"]) for row in model["rows"]]
        assert cases == [(t, b, m) for t in ("36", "3x16") for b in (1, 2) for m in ("v2drop", "dense")]
        for row in model["rows"]:
            held, flops, schedule = row["kv_bytes"], row["flops"], v2drop.Schedule.from_dict(row["schedule"])
            assert held["dropped"] == held["predicted"]
            size = 2 if model["dtype"] == "bfloat16" else 4
            assert held["dense"] == 4 * row["batch"] * row["sequence"] * 2 * model["kv_heads"] * 16 * size
            assert row["retained"] == sum(schedule.tokens_per_layer(4, row["vision_tokens"])) / 4 / row["vision_tokens"]
            assert flops["speedup"] == pytest.approx(flops["dense"] / flops["dropped"])
            for ratio in row["ratios"].values():
                assert ratio["quartiles"][0] <= ratio["median"] <= ratio["quartiles"][1]
            if row["method"] == "v2drop":
                assert flops["speedup"] > 1
                assert 0 < row["ratios"]["scoring"]["median"] < 1
                assert held["dropped"] < held["dense"]
            else:
                assert flops["speedup"] == 1
                assert row["ratios"]["scoring"]["median"] == 0
        assert [(each["method"], each["batch"]) for each in model["growth"]] == [
            (method, batch) for batch in (1, 2) for method in ("v2drop", "dense")
        ]


def test_people_get_tables(measured):
    code, printed = measured(*TINY, "--tokens", "20", "--tokens", "40", "--method", "all")
    assert code == 0, printed.err
    for heading in ("llava-1.5-7b: 4 layers, hidden size 112", "Prefill", "Decode step", "Growth of prefill"):
        assert heading in printed.out
    for name in v2drop.methods():
        assert len(re.findall(rf"^ +(?:20|40) +1 +{name} ", printed.out, flags=re.M)) == 4
        assert len(re.findall(rf"^ +75 to 95 +1 +{name} ", printed.out, flags=re.M)) == 1


def test_a_budget_that_one_of_all_methods_cannot_reach_leaves_it_out(measured):
    options = ("--hidden", 112, "--layers", 12, "--rounds", 2, "--tokens", 9, "--retain", 0.2)
    code, printed = measured(*options, "--method", "all")
    assert code == 0, printed.err
    assert re.search(
        r"^ -: pyramiddrop: retained=0.2: with the first stage before layer 3 of 12", printed.out, flags=re.M
    )
    assert re.search(r"^ +9 +1 +sparsevlm ", printed.out, flags=re.M)
    code, printed = measured(*options, "--method", "pyramiddrop")
    assert (code, printed.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["--geometry", "llava-70b"], "'llava-70b'.*llava-1.5-7b, llava-next-7b, qwen2-vl-7b"),
        (["--geometry", "qwen2-vl-7b", "--hidden", "512"], "--hidden 512.*multiple of 112"),
        (["--hidden", "0"], "--hidden 0"),
        (["--layers", "1"], "--layers"),
        (["--tokens", "8*196"], "'8\\*196'.*8x196"),
        (["--tokens", "0"], "'0'"),
        (["--batch-size", "0"], "--batch-size"),
        (["--rounds", "1"], "--rounds"),
        (["--threads", "0"], "--threads"),
        (["--device", "tpu"], "'tpu'"),
        (["--device", "cuda:99"], "'cuda:99'"),
        (["--dtype", "int3"], "'int3'.*bfloat16"),
        (["--method", "best"], "'best'.*v2drop"),
        (["--retain", "0"], "retained=0"),
        (["--retain", "0.05", "--method", "fastv"], "at least"),
        (["--preset", "best"], "'best'.*llava-1.5-192"),
        (["--preset", "llava-1.5-192", "--retain", "0.3"], "contradict"),
        (["--preset", "llava-1.5-192", "--layers", "8"], "layer 17"),
        (["--hidden", "4096", "--batch-size", "1000000"], "llava-1.5-7b.*float32 needs [\\d,]{19,} bytes"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_built(arguments, quoted, monkeypatch, measured):
    monkeypatch.setattr(bench_plan, "materialise", lambda *_: pytest.fail("a model was built"))
    code, printed = measured(*arguments)
    assert code == 2
    assert printed.out == ""
    assert "Traceback" not in printed.err
    plain = re.sub(r"\x1b\[[\d;]*m|[│\n]+ *", " ", printed.err)
    assert re.search(quoted, plain, flags=re.S), plain


def test_too_large_a_model_is_told_in_bytes(monkeypatch):
    model = find_geometry("llava-1.5-7b").on_meta(torch.float16)
    needed = bytes_needed(model, rows=631)
    cache = 631 * 32 * 2 * 4096 * 2
    assert 2 * 6_738_415_616 + cache < needed < 1.02 * (2 * 6_738_415_616 + cache)
    monkeypatch.setattr(bench_memory, "bytes_free", lambda _: needed)
    bench_memory.check_memory(model, 631, "cpu", "it")
    monkeypatch.setattr(bench_memory, "bytes_free", lambda _: needed - 1)
    with pytest.raises(CommandError, match=f"it needs {needed:,} bytes"):
        bench_memory.check_memory(model, 631, "cpu", "it")


def test_free_memory_is_told():
    free = bench_memory.bytes_free("cpu")
    assert free is None or free > 10**6
