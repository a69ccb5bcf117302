"""`make bench`: prefill and decode of a 32-layer LLaVA against dense and against the ideal, on one thread.

The ideal is the same decoder layers run on inputs that are already short, with no scoring and no gathering. Rounds are
interleaved, each ratio is taken within a round, and the median is printed with its quartiles.
"""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import torch
import transformers
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import CLIPVisionConfig, DynamicCache, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

import v2drop

PREFIX, VISION, SUFFIX = 35, 576, 20
LENGTH = PREFIX + VISION + SUFFIX
SCHEDULE = v2drop.Schedule.preset("llava-1.5-192")
EVERYTHING = v2drop.Schedule([(stage.layer, 1.0) for stage in SCHEDULE.stages])
RESULTS = Path(__file__).parent / "results.json"
TARGETS = {  # ratio: (bound, "at most" or "at least", what it says)
    "prefill / ideal": (1.02, "at most", "V2Drop's prefill over the same layers on already short inputs"),
    "dense / prefill": (2.4, "at least", "speed-up of the prefill"),
    "dense / ideal": (None, "", "the speed-up that token counts allow"),
    "keep=1.0 / dense": (1.01, "at most", "attached, nothing dropped"),
    "decode / stock decode": (1.02, "at most", "one step at batch 1, caches of the same lengths"),
}


def build_model() -> LlavaForConditionalGeneration:
    """32 layers of hidden size 512 with random weights; the vision tower takes no part."""
    torch.manual_seed(0)
    text = LlamaConfig(
        vocab_size=1000, hidden_size=512, intermediate_size=1376, num_hidden_layers=32, num_attention_heads=8
    )
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=336, patch_size=14
    )
    return LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision, image_token_id=999)).eval()


class Bench:
    """One model, one prompt, and the ways of running it that are compared."""

    def __init__(self) -> None:
        self.model = build_model()
        self.language_model = self.model.model.language_model
        self.embeds = torch.randn(1, LENGTH, 512) * 0.02
        self.vision_mask = torch.zeros(1, LENGTH, dtype=torch.bool)
        self.vision_mask[:, PREFIX : PREFIX + VISION] = True
        self.short_inputs, self.short_rotary = self._already_short()

    def _already_short(self) -> tuple[dict[int, torch.Tensor], dict[int, Any]]:
        """Hidden states and rotary embeddings at the first layer of each span, as a run with dropping leaves them."""
        hidden: dict[int, torch.Tensor] = {}
        rotary: dict[int, Any] = {}

        def keep(layer: int) -> Callable[..., None]:
            def hook(_: Any, args: Any, kwargs: Any) -> None:
                hidden[layer], rotary[layer] = args[0].clone(), kwargs["position_embeddings"]

            return hook

        with v2drop.attach(self.model, SCHEDULE) as run:
            hooks = [
                self.language_model.layers[layer].register_forward_pre_hook(keep(layer), with_kwargs=True)
                for layer in (0, *(stage.layer for stage in SCHEDULE.stages))
            ]
            run.vision_mask = self.vision_mask
            self.model.model(inputs_embeds=self.embeds)
            for hook in hooks:
                hook.remove()
        return hidden, rotary

    def dense(self) -> Any:
        return self.model.model(inputs_embeds=self.embeds, use_cache=True)

    def attached(self, run: v2drop.Attachment) -> Any:
        run.vision_mask = self.vision_mask
        return self.model.model(inputs_embeds=self.embeds, use_cache=True)

    def ideal(self) -> torch.Tensor:
        cache = DynamicCache(config=self.model.config.text_config)
        positions = torch.arange(LENGTH)[None]
        self.language_model.rotary_emb(self.embeds, position_ids=positions)
        for number, layer in enumerate(self.language_model.layers):
            if number in self.short_inputs:
                hidden, rotary = self.short_inputs[number], self.short_rotary[number]
            hidden = layer(
                hidden, attention_mask=None, position_embeddings=rotary, past_key_values=cache, use_cache=True
            )
        return self.language_model.norm(hidden)

    def step(self, cache: Any, position: int) -> Any:
        return self.model(
            input_ids=torch.tensor([[7]]),
            attention_mask=torch.ones(1, position + 1, dtype=torch.long),
            position_ids=torch.tensor([[position]]),
            past_key_values=cache,
        )


def seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def prefill_round(bench: Bench, number: int = 0) -> dict[str, float]:
    """One interleaved round of prefills, in seconds; each round starts with another one, so that none is always first."""

    def attached(schedule: v2drop.Schedule) -> float:
        with v2drop.attach(bench.model, schedule) as run:
            return seconds(lambda: bench.attached(run))

    ways: dict[str, Callable[[], float]] = {
        "dense": lambda: seconds(bench.dense),
        "keep=1.0": lambda: attached(EVERYTHING),
        "ideal": lambda: seconds(bench.ideal),
        "prefill": lambda: attached(SCHEDULE),
    }
    names = list(ways)[number % 4 :] + list(ways)[: number % 4]
    return {name: ways[name]() for name in names}


def decode_round(bench: Bench, cache: Any, steps: int = 8) -> dict[str, float]:
    """One interleaved round of decode steps on copies of one shortened cache, in seconds a step.

    The stock model runs on the same short layers: at batch 1 it needs no mask, so it does not notice.
    """
    stock, ours = copy.deepcopy(cache), copy.deepcopy(cache)
    times = {"stock decode": 0.0, "decode": 0.0}
    for step in range(steps):
        times["stock decode"] += seconds(lambda step=step: bench.step(stock, LENGTH + step)) / steps
        with v2drop.attach(bench.model, SCHEDULE):
            times["decode"] += seconds(lambda step=step: bench.step(ours, LENGTH + step)) / steps
    return times


def check_memory(bench: Bench) -> dict[str, int]:
    """KV-cache bytes after the prefill: measured, and what the schedule predicts."""
    with v2drop.attach(bench.model, SCHEDULE) as run:
        cache = bench.attached(run).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    rows = [LENGTH - VISION + alive for alive in SCHEDULE.tokens_per_layer(32, VISION)]
    return {"measured": held, "predicted": sum(rows) * 2 * 512 * 4, "dense": 32 * LENGTH * 2 * 512 * 4}


def ratios_of(rounds: list[dict[str, float]], name: str) -> list[float]:
    above, below = name.split(" / ")
    return [times[above] / times[below] for times in rounds]


@torch.inference_mode()
def main(
    rounds: Annotated[int, typer.Option(help="Interleaved rounds of each comparison, at least 15.")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON and nothing else.")] = False,
) -> None:
    """Measure, print ratios beside their targets, and write benchmarks/results.json."""
    torch.set_num_threads(1)
    console = Console(stderr=True)
    bench = Bench()
    prefill_round(bench)  # warm up
    prefills = [prefill_round(bench, number) for number in track(range(rounds), "prefill", console=console)]
    with v2drop.attach(bench.model, SCHEDULE) as run:
        cache = bench.attached(run).past_key_values
    decode_round(bench, cache)
    decodes = [decode_round(bench, cache) for _ in track(range(rounds), "decode", console=console)]
    results: dict[str, Any] = {
        "ratios": {},
        "milliseconds": {
            name: 1e3 * median(times[name] for times in group) for group in (prefills, decodes) for name in group[0]
        },
        "kv_bytes": check_memory(bench),
        "rounds": rounds,
        "versions": {
            "v2drop": v2drop.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }
    for name, (bound, sense, _) in TARGETS.items():
        values = ratios_of(decodes if "decode" in name else prefills, name)
        low, middle, high = quantiles(values, n=4)
        met = None if bound is None else bool(middle <= bound if sense == "at most" else middle >= bound)
        results["ratios"][name] = {"median": middle, "quartiles": [low, high], "target": bound, "met": met}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(results))
    else:
        show(results)


def show(results: dict[str, Any]) -> None:
    """The table that README quotes."""
    table = Table("ratio", "median", "quartiles", "target", "what it says")
    for name, row in results["ratios"].items():
        bound, sense, meaning = TARGETS[name]
        target = "-" if bound is None else f"{sense} {bound}" + ("" if row["met"] else " (missed)")
        low, high = row["quartiles"]
        table.add_row(name, f"{row['median']:.3f}", f"{low:.3f} - {high:.3f}", target, meaning)
    console = Console()
    console.print(table)
    kv = results["kv_bytes"]
    console.print(
        f"KV cache after prefill: {kv['measured']:,} bytes, predicted {kv['predicted']:,}, dense {kv['dense']:,}"
    )
    console.print(f"written to {RESULTS}")


if __name__ == "__main__":
    typer.run(main)
