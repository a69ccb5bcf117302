"""`v2drop run`: ask a model about a picture, dense and with dropping, and show what that saves."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Annotated, Any, NamedTuple

import torch
import typer
from PIL import Image, UnidentifiedImageError
from rich.console import Console
from rich.table import Table

import v2drop

from .checkpoints import PRESET_HELP, RETAIN_HELP, Checkpoint, find_checkpoint, load_model
from .errors import CommandError
from .overlay import as_the_model_sees_it, draw_overlay
from .timing import LanguageModelTimer

ROUNDS = 3  # timed, dense and dropped by turns, after one untimed round


class Answer(NamedTuple):
    """One run's answer and durations; decode is None where the answer was a single token."""

    text: str
    prefill_seconds: float
    decode_tokens_per_second: float | None


def run(
    model: Annotated[str, typer.Option(help="A zoo model, a folder, or an id on the hub.")] = "llava",
    image: Annotated[Path | None, typer.Option(help="The picture; by default the model's example.")] = None,
    prompt: Annotated[str | None, typer.Option(help="The question; by default the model's example.")] = None,
    preset: Annotated[str | None, typer.Option(help=PRESET_HELP)] = None,
    retain: Annotated[float | None, typer.Option(help=RETAIN_HELP)] = None,
    overlay: Annotated[Path | None, typer.Option(help="Draw the tokens kept at each stage to this file.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Answer a question about a picture, dense and with dropping, and compare."""
    checkpoint = find_checkpoint(model)
    image, prompt = _question(checkpoint, image, prompt)
    picture = _open(image)
    if overlay is not None:
        _check_writable(overlay)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, processor = load_model(checkpoint, device)
    adapter = v2drop.get_adapter(network)
    chosen = checkpoint.choose_schedule(len(adapter.decoder_layers(network)), preset, retain)
    inputs = _inputs(processor, picture, prompt).to(device)

    dense, dropped, report = _compare(network, processor, inputs, chosen, max_new_tokens)
    if overlay is not None:
        seen = as_the_model_sees_it(inputs["pixel_values"][0], processor.image_processor)
        draw_overlay(seen, adapter.layout(network, inputs), report).save(overlay)
    if as_json:
        typer.echo(json.dumps(_as_json(model, image, prompt, dense, dropped, report)))
    else:
        name = f"{model}, {str(network.dtype).removeprefix('torch.')}"
        _print(Console(), name, image, prompt, chosen, dense, dropped, report)
        if overlay is not None:
            Console().print(f"overlay: {overlay}")


def _question(checkpoint: Checkpoint, image: Path | None, prompt: str | None) -> tuple[Path, str]:
    image, prompt = image or checkpoint.image, prompt or checkpoint.prompt
    if image is None or prompt is None:
        missing = " and ".join(name for name, value in (("--image", image), ("--prompt", prompt)) if value is None)
        raise CommandError(f"{checkpoint.name} brings no example: pass {missing}")
    return image, prompt


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path).convert("RGB")
    except FileNotFoundError:
        raise CommandError(f"no image file {path}") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CommandError(f"cannot read {path} as an image: {error}") from None


def _check_writable(overlay: Path) -> None:
    if not overlay.resolve().parent.is_dir():
        raise CommandError(f"cannot write {overlay}: there is no folder {overlay.resolve().parent}")
    if overlay.is_dir() or overlay.suffix.lower() not in Image.registered_extensions():
        raise CommandError(f"cannot write {overlay}: name an image file, such as overlay.png")


def _inputs(processor: Any, picture: Image.Image, prompt: str) -> Any:
    content = [{"type": "image"}, {"type": "text", "text": prompt}]
    try:
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        return processor(images=picture, text=text, return_tensors="pt")
    except (ValueError, IndexError) as error:
        raise CommandError(f"the processor cannot take this prompt and picture: {error}") from error


def _compare(
    network: Any, processor: Any, inputs: Any, schedule: v2drop.Schedule, max_new_tokens: int
) -> tuple[Answer, Answer, v2drop.DropReport]:
    dense: list[Answer] = []
    dropped: list[Answer] = []
    for _ in range(1 + ROUNDS):
        with LanguageModelTimer(network) as timer:
            dense.append(_answer(network, processor, inputs, max_new_tokens, timer))
        with v2drop.attach(network, schedule) as attached, LanguageModelTimer(network) as timer:
            dropped.append(_answer(network, processor, inputs, max_new_tokens, timer))
    if attached.report is None:
        raise CommandError("the prompt held no vision token: does the model's chat template place the picture?")
    return _median(dense[1:]), _median(dropped[1:]), attached.report


def _answer(network: Any, processor: Any, inputs: Any, max_new_tokens: int, timer: LanguageModelTimer) -> Answer:
    with torch.inference_mode():
        tokens = network.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = tokens[0, inputs["input_ids"].shape[1] :]
    prefill, *decode = timer.seconds
    return Answer(
        processor.tokenizer.decode(new, skip_special_tokens=True).strip(),
        prefill,
        len(decode) / sum(decode) if decode else None,
    )


def _median(answers: list[Answer]) -> Answer:
    speeds = [answer.decode_tokens_per_second for answer in answers if answer.decode_tokens_per_second is not None]
    return Answer(
        answers[0].text, median(answer.prefill_seconds for answer in answers), median(speeds) if speeds else None
    )


def _as_json(
    model: str, image: Path, prompt: str, dense: Answer, dropped: Answer, report: v2drop.DropReport
) -> dict[str, Any]:
    def side(answer: Answer, kv_bytes: int, flops: int) -> dict[str, Any]:
        return {
            "answer": answer.text,
            "prefill_seconds": answer.prefill_seconds,
            "kv_bytes": kv_bytes,
            "flops": flops,
        }

    return {
        "model": model,
        "image": str(image),
        "prompt": prompt,
        "dense": side(dense, report.kv_bytes.dense, report.flops.dense),
        "dropped": {
            **side(dropped, report.kv_bytes.dropped, report.flops.dropped),
            "retained": report.retained,
            "tokens_per_layer": report.tokens_per_layer,
        },
    }


def _print(
    console: Console,
    model: str,
    image: Path,
    prompt: str,
    schedule: v2drop.Schedule,
    dense: Answer,
    dropped: Answer,
    report: v2drop.DropReport,
) -> None:
    def ratio(one: float | None, other: float | None) -> str:
        return f"{one / other:.2f} x" if one and other else "-"

    def speed(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f}"

    stages = ", ".join(f"{stage.keep:.3g} from layer {stage.layer}" for stage in schedule.stages)
    console.print(
        f"model   {model}\nimage   {image}\nprompt  {prompt}\nkeep    {stages}", highlight=False, soft_wrap=True
    )
    table = Table("", "dense", "dropped", "dropped / dense")
    table.add_row("answer", dense.text, dropped.text, "same" if dense.text == dropped.text else "differs")
    seconds = (dropped.prefill_seconds, dense.prefill_seconds)
    table.add_row("prefill, ms", f"{seconds[1] * 1e3:.1f}", f"{seconds[0] * 1e3:.1f}", ratio(*seconds))
    speeds = (dropped.decode_tokens_per_second, dense.decode_tokens_per_second)
    table.add_row("decode, tokens/s", speed(speeds[1]), speed(speeds[0]), ratio(*speeds))
    vision, per_layer = sum(report.vision_tokens), report.tokens_per_layer
    table.add_row("tokens per layer", str(vision), _runs(per_layer), ratio(sum(per_layer) / len(per_layer), vision))
    table.add_row("retained", "100 %", f"{report.retained:.1%}", "")
    table.add_row(
        "LLM prefill FLOPs", f"{report.flops.dense:.3g}", f"{report.flops.dropped:.3g}", f"{report.flops.ratio:.2f} x"
    )
    kv = report.kv_bytes
    table.add_row("KV cache, bytes", f"{kv.dense:,}", f"{kv.dropped:,}", f"{kv.ratio:.2f} x")
    console.print(table)


def _runs(values: list[float]) -> str:
    """Equal neighbours as "3 x 576, 14 x 288"."""
    runs: list[tuple[int, float]] = []
    for value in values:
        if runs and runs[-1][1] == value:
            runs[-1] = (runs[-1][0] + 1, value)
        else:
            runs.append((1, value))
    return ", ".join(f"{count} x {value:g}" for count, value in runs)
