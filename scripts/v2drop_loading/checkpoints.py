"""Finds models by name: a zoo model, a folder, or a Hub id, with the settings that each recommends."""

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
    "v2drop.json"  # next to a checkpoint's weights: its schedule, an example picture, perhaps an example video
)


@dataclass(frozen=True)
class Example:
    """A checkpoint's example: a picture or video, a prompt, and the frames per second to sample."""

    file: Path
    prompt: str
    fps: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A model: the name that the user gave, where to load it from, and what its v2drop.json recommends, if any."""

    name: str
    source: str
    schedule: Schedule | None = None
    image: Example | None = None
    video: Example | None = None


def find_checkpoint(name: str) -> Checkpoint:
    """Find a model by its name. Raises CommandError if it cannot be the name of a model."""
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
    """The decoder depth that a schedule has to fit, read from a model built without weights."""
    config = load_config(checkpoint)
    from transformers import AutoModelForImageTextToText

    with _loading(checkpoint), torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    return Decoder.of(model, get_adapter(model))


def find_adapter(checkpoint: Checkpoint) -> Adapter:
    """The adapter for a model. Raises CommandError if there is none, or if a library for its media is missing."""
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
    """Load only the stock processor. Raises CommandError if it does not fit the model's configuration."""
    config = load_config(checkpoint)
    from transformers import AutoProcessor

    with _loading(checkpoint):
        processor = AutoProcessor.from_pretrained(checkpoint.source)
    check_processor(processor, config, checkpoint.name)
    return processor


def load_network(checkpoint: Checkpoint, device: str) -> Any:
    """Load only the stock model. On a CPU it is float32, as smaller dtypes are not faster there."""
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
    """Load only the model's configuration."""
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
    except Exception as error:  # damaged files can raise anything, and transformers passes it on
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
