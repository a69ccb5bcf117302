"""Geometries of published models, and stock models of these sizes with random weights; nothing is downloaded."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from v2drop import get_adapter
from v2drop_loading.schedules import Decoder
from v2drop_terminal.errors import CommandError

PER_LAYER = ("layer_types", "max_window_layers")  # attributes of configurations that hold something for each layer
TOWER_OUTPUT = {"qwen2_vl": ("hidden_size",), "qwen2_5_vl": ("out_hidden_size",)}
HEAD_DIMS = (128, 64, 32, 16)  # scaled models get the largest that fits; published models have 128


@dataclass(frozen=True)
class Geometry:
    """The sizes of a vision-language model, and the numbers of vision tokens that its pictures and videos have.

    Attributes:
        name: the published model's name, or the name of a file.
        config: a Hugging Face config.json, as plain data. The vision tower is not used and may be tiny.
        lengths: prompt lengths measured by default; see `Length.parse`.
    """

    name: str
    config: Mapping[str, Any]
    lengths: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, lengths: tuple[str, ...] = ("576",)) -> Geometry:
        """The geometry of a model's config.json, or of the folder that holds one.

        Raises:
            CommandError: no such file, or no configuration of a vision-language model.
        """
        path = path / "config.json" if path.is_dir() else path
        try:
            config = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot read {path}: {error}") from error
        name = path.parent.name if path.name == "config.json" else path.stem
        stock = cls(name, config if isinstance(config, dict) else {}, lengths).stock()
        if stock.get_text_config() is stock:
            raise CommandError(f"{path} is not the config.json of a vision-language model: it has no text_config")
        # in full, as files may leave sizes to defaults, or hold the language model's beside the others
        return cls(name, {**stock.to_dict(), "text_config": stock.get_text_config().to_dict()}, lengths)

    @property
    def text(self) -> Mapping[str, Any]:
        """The sizes of the language model, by their names in its configuration."""
        return self.config["text_config"]

    @property
    def layers(self) -> int:
        """The number of decoder layers."""
        return int(self.text["num_hidden_layers"])

    @property
    def hidden(self) -> int:
        """The hidden size."""
        return int(self.text["hidden_size"])

    @property
    def heads(self) -> int:
        """The number of query heads."""
        return int(self.text["num_attention_heads"])

    @property
    def kv_heads(self) -> int:
        """The number of key heads."""
        return int(self.text.get("num_key_value_heads") or self.heads)

    def with_text(self, **changes: Any) -> Geometry:
        """The same geometry with other sizes of the language model."""
        config = copy.deepcopy(dict(self.config))
        config["text_config"] |= changes
        if "num_hidden_layers" in changes:
            for name in PER_LAYER:
                config["text_config"].pop(name, None)  # transformers makes it again, of the new length
        return Geometry(self.name, config, self.lengths)

    def scaled(self, hidden: int) -> Geometry:
        """The same depth and ratio of query to key heads at another width; MLP and vocabulary scale with the width.

        Raises:
            CommandError: no whole number of heads fits the width.
        """
        if hidden == self.hidden:
            return self
        group = self.heads // self.kv_heads
        head_dim = next((size for size in HEAD_DIMS if hidden > 0 and not hidden % (size * group)), None)
        if head_dim is None:
            raise CommandError(
                f"--hidden {hidden}: {self.name} has {group} query head{'s' * (group > 1)} for each key head, and a head needs "
                f"{HEAD_DIMS[-1]} dimensions or more: pass a multiple of {HEAD_DIMS[-1] * group}"
            )
        share = hidden / self.hidden
        changes: dict[str, Any] = {
            "hidden_size": hidden,
            "intermediate_size": round(self.text["intermediate_size"] * share),
            "num_attention_heads": hidden // head_dim,
            "num_key_value_heads": hidden // head_dim // group,
            "vocab_size": round(self.text["vocab_size"] * share),
        }
        if self.text.get("head_dim"):
            changes["head_dim"] = head_dim
        rope = dict(self.text.get("rope_parameters") or {})
        if "mrope_section" in rope:
            changes["rope_parameters"] = {**rope, "mrope_section": _mrope_section(head_dim)}
        narrow = self.with_text(**changes)
        vision = dict(narrow.config.get("vision_config") or {})
        # the widths of what some towers hand to the language model
        same = [name for name in TOWER_OUTPUT.get(self.config["model_type"], ()) if name in vision]
        return Geometry(
            self.name, {**narrow.config, "vision_config": vision | dict.fromkeys(same, hidden)}, self.lengths
        )

    def stock(self) -> Any:
        """The stock configuration. Raises CommandError if the installed transformers does not know the model type."""
        from transformers import CONFIG_MAPPING

        config = copy.deepcopy(dict(self.config))
        model_type = config.pop("model_type", None)
        if model_type not in CONFIG_MAPPING:
            raise CommandError(f"{self.name}: this release of transformers knows no model type {model_type!r}")
        return CONFIG_MAPPING[model_type].from_dict(config)

    def on_meta(self, dtype: torch.dtype) -> Any:
        """The stock model on the meta device: its sizes can be read, but it cannot run."""
        from transformers import AutoModelForImageTextToText

        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(self.stock(), dtype=dtype).eval()

    def decoder(self) -> Decoder:
        """The decoder depth that a schedule has to fit."""
        model = self.on_meta(torch.float32)
        return Decoder.of(model, get_adapter(model))


def _mrope_section(head_dim: int) -> list[int]:
    """A head's frequencies for time, height and width: of 128 / 2, they get 16, 24 and 24."""
    parts = head_dim // 16
    return [2 * parts, 3 * parts, 3 * parts]


def _text(model_type: str, layers: int, hidden: int, intermediate: int, kv_heads: int, words: int, **rope: Any) -> Any:
    return {
        "model_type": model_type,
        "vocab_size": words,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 128,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_type": "default", **rope},
    }


_CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
}
_LLAVA = {
    "text_config": _text("llama", 32, 4096, 11008, 32, 32064, rope_theta=1e4),
    "vision_config": _CLIP,
    "tie_word_embeddings": False,
}
_QWEN2_VL = {
    "model_type": "qwen2_vl",
    "text_config": _text(
        "qwen2_vl_text", 28, 3584, 18944, 4, 152064, rope_theta=1e6, mrope_section=_mrope_section(128)
    ),
    "vision_config": {"depth": 1, "embed_dim": 16, "hidden_size": 3584, "num_heads": 1, "patch_size": 4},
    "tie_word_embeddings": False,
}
GEOMETRIES = {
    geometry.name: geometry
    for geometry in (
        Geometry("llava-1.5-7b", {"model_type": "llava", **_LLAVA}, ("576",)),
        Geometry("llava-next-7b", {"model_type": "llava_next", **_LLAVA}, ("2880",)),
        Geometry("qwen2-vl-7b", _QWEN2_VL, ("576", "8x196", "16x196", "32x196")),
    )
}


def find_geometry(name: str, hidden: int | None = None, layers: int | None = None) -> Geometry:
    """A published geometry or that of a config.json, optionally at another width and depth.

    Raises:
        CommandError: no such geometry or file, or a width that it cannot have.
    """
    if name in GEOMETRIES:
        geometry = GEOMETRIES[name]
    elif Path(name).exists():
        geometry = Geometry.read(Path(name))
    else:
        raise CommandError(f"no geometry {name!r}: pass {', '.join(GEOMETRIES)}, or a model's config.json")
    geometry = geometry if hidden is None else geometry.scaled(hidden)
    return geometry if layers is None else geometry.with_text(num_hidden_layers=layers)


@torch.no_grad()
def materialise(model: Any, device: str) -> Any:
    """Allocate a model from `Geometry.on_meta`, with random weights that are cheap to make."""
    model = model.to_empty(device=device)
    language_model = get_adapter(model).inner_model(model).language_model
    rotary = language_model.rotary_emb  # its frequencies are not weights, and were lost on the meta device
    language_model.rotary_emb = type(rotary)(config=language_model.config).to(device)
    _fill(model)
    return model


def _fill(model: nn.Module) -> None:
    """Fill matrices by repeating one random block, norms with ones and biases with zeros."""
    block = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0)) * 0.02
    written = 0
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            turned = block.roll(-written).to(weight.device, weight.dtype)  # otherwise all matrices would be alike
            _tile(weight.view(-1), turned)
            written += weight.numel()


def _tile(flat: Tensor, block: Tensor) -> None:
    for part in flat.split(len(block)):
        part.copy_(block[: len(part)])
