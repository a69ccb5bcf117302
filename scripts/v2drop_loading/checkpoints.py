"""Models by name: a zoo model, a folder, or an id on the hub, each with what it recommends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from v2drop import Adapter, Schedule, get_adapter, registered_adapters
from v2drop.installing import pip_install
from v2drop_terminal.errors import CommandError
from v2drop_terminal.needs import require
from v2drop_zoo import CHECKPOINTS, zoo_models

from .processor_check import check_processor
from .schedules import Decoder

RECOMMENDATION = (
    "v2drop.json"  # beside a checkpoint's weights: its schedule, an example picture, perhaps an example video
)


@dataclass(frozen=True)
class Example:
    """A picture or video that a checkpoint brings, what to ask about it, and how many frames a second to look at."""

    file: Path
    prompt: str
    fps: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A model's name as the user gave it, where it is loaded from, and what its v2drop.json recommends, if it has one."""

    name: str
    source: str
    schedule: Schedule | None = None
    image: Example | None = None
    video: Example | None = None


def find_checkpoint(name: str) -> Checkpoint:
    """Look a model up by its name. Raises CommandError where there cannot be one."""
    folder = CHECKPOINTS / name if name in zoo_models() else Path(name)
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise CommandError(
                f"{folder} is not a model: it holds no config.json; save one there with save_pretrained()"
            )
        return Checkpoint(name, str(folder), **_recommendation(folder))
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CommandError(
            f"no model {name!r}: pass a zoo model ({', '.join(zoo_models())}), a folder written by save_pretrained(), "
            "or an id on the hub such as llava-hf/llava-1.5-7b-hf"
        )
    return Checkpoint(name, name)


def _recommendation(folder: Path) -> dict[str, Any]:
    if not (folder / RECOMMENDATION).exists():
        return {}
    try:
        data = json.loads((folder / RECOMMENDATION).read_text())
        video = data.get("video")
        return {
            "schedule": Schedule.from_dict(data["schedule"]),
            "image": Example(folder / data["image"], data["prompt"]),
            "video": video and Example(folder / video["file"], video["prompt"], float(video["fps"])),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(f"cannot read {folder / RECOMMENDATION}: {error!r}") from error


def load_decoder(checkpoint: Checkpoint) -> Decoder:
    """What a schedule has to fit, of a model that is built without its weights."""
    config = load_config(checkpoint)
    from transformers import AutoModelForImageTextToText

    with _loading(checkpoint), torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    return Decoder.of(model, get_adapter(model))


def find_adapter(checkpoint: Checkpoint) -> Adapter:
    """The adapter that serves a model. Raises CommandError where there is none, or where what it reads media with is missing."""
    model_type = load_config(checkpoint).model_type
    adapter: Adapter = registered_adapters()[model_type].load()()
    purpose = f"{checkpoint.name} is a {model_type} model, whose pictures and videos are read with"
    require(purpose, adapter.extra, adapter.requires)
    return adapter


def load_model(checkpoint: Checkpoint, device: str) -> tuple[Any, Any]:
    """Stock model and processor, ready to answer."""
    processor = load_processor(checkpoint)
    return load_network(checkpoint, device), processor


def load_processor(checkpoint: Checkpoint) -> Any:
    """The model's stock processor alone. Raises CommandError where it does not fit the model's configuration."""
    config = load_config(checkpoint)
    from transformers import AutoProcessor

    with _loading(checkpoint):
        processor = AutoProcessor.from_pretrained(checkpoint.source)
    check_processor(processor, config, checkpoint.name)
    return processor


def load_network(checkpoint: Checkpoint, device: str) -> Any:
    """The stock model alone. On a CPU in float32: there the smaller types are not faster."""
    quiet_transformers()
    from transformers import AutoModelForImageTextToText

    dtype = torch.float32 if device == "cpu" else "auto"
    with _loading(checkpoint):
        model, found = AutoModelForImageTextToText.from_pretrained(
            checkpoint.source, dtype=dtype, output_loading_info=True
        )
    if found["missing_keys"]:
        names = sorted(found["missing_keys"])
        raise CommandError(
            f"cannot load {checkpoint.name}: {len(names)} weights are missing, such as {names[0]}; its answers would be random"
        )
    return model.to(device).eval()


def load_config(checkpoint: Checkpoint) -> Any:
    """The model's configuration alone."""
    quiet_transformers()
    from transformers import AutoConfig

    with _loading(checkpoint):
        config = AutoConfig.from_pretrained(checkpoint.source)
    if config.model_type not in registered_adapters():
        raise CommandError(
            f"no adapter for {checkpoint.name}: its model type is {config.model_type!r}; see v2drop adapters"
        )
    return config


@contextmanager
def _loading(checkpoint: Checkpoint) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a folder's files may be damaged in any way, and transformers passes on what follows
        told = str(error).strip() or type(error).__name__
        raise CommandError(f"cannot load {checkpoint.name}: {told.splitlines()[0]}") from error


def quiet_transformers() -> None:
    """Keep transformers' own progress bars and notices out of the command's output."""
    try:
        from transformers.utils import logging
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{error}: install an adapter's extra, which brings it: {pip_install('v2drop[llava]')}"
        ) from error
    logging.set_verbosity_error()
    logging.disable_progress_bar()
