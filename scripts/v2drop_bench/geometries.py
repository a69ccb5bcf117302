"""Geometries of published models, and stock models of them with random weights: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from v2drop import get_adapter
from v2drop_loading.schedules import Decoder
from v2drop_terminal.errors import CommandError

HEAD_DIMS = (128, 64, 32, 16)  # of scaled models the largest that fits; the published ones have 128


@dataclass(frozen=True)
class Geometry:
    """Sizes of a language model inside a vision-language model, and the vision tokens that its pictures and videos have.

    Attributes:
        name: the published model's.
        model_type: Hugging Face's.
        lengths: what is measured by default; see `Length.parse`.
    """

    name: str
    model_type: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    rope_theta: float
    lengths: tuple[str, ...]

    @property
    def head_dim(self) -> int:
        """Numbers of one attention head."""
        return self.hidden // self.heads

    def scaled(self, hidden: int) -> Geometry:
        """The same depth and the same ratio of query to key heads, narrower; MLP and vocabulary shrink as the width does.

        Raises:
            CommandError: no whole number of heads fits the width.
        """
        group = self.heads // self.kv_heads
        head_dim = next((size for size in HEAD_DIMS if hidden > 0 and not hidden % (size * group)), None)
        if head_dim is None:
            raise CommandError(
                f"--hidden {hidden}: {self.name} has {group} query head{'s' * (group > 1)} for each key head, and a head has "
                f"{HEAD_DIMS[-1]} numbers or more: pass a multiple of {HEAD_DIMS[-1] * group}"
            )
        share = hidden / self.hidden
        return replace(
            self,
            hidden=hidden,
            intermediate=round(self.intermediate * share),
            heads=hidden // head_dim,
            kv_heads=hidden // head_dim // group,
            vocabulary=round(self.vocabulary * share),
        )

    def config(self) -> Any:
        """The stock configuration; the vision tower takes no part and is as small as can be."""
        from transformers import CONFIG_MAPPING

        rope: dict[str, Any] = {"rope_type": "default", "rope_theta": self.rope_theta}
        if self.model_type == "qwen2_vl":
            vision = {"depth": 1, "embed_dim": 16, "hidden_size": self.hidden, "num_heads": 1, "patch_size": 4}
            parts = self.head_dim // 16  # of time, height and width: 16, 24 and 24 of 128 / 2
            rope["mrope_section"] = [2 * parts, 3 * parts, 3 * parts]
        else:
            clip = CONFIG_MAPPING["clip_vision_model"]
            vision = clip(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1).to_dict()
        text = {
            "model_type": "qwen2_vl_text" if self.model_type == "qwen2_vl" else "llama",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "max_position_embeddings": 32768,
            "rope_parameters": rope,
        }
        return CONFIG_MAPPING[self.model_type](text_config=text, vision_config=vision, tie_word_embeddings=False)

    def on_meta(self, dtype: torch.dtype) -> Any:
        """The stock model without memory: its weights' sizes can be asked, but not run."""
        from transformers import AutoModelForImageTextToText

        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(self.config(), dtype=dtype).eval()

    def decoder(self) -> Decoder:
        """What a schedule has to fit."""
        model = self.on_meta(torch.float32)
        return Decoder.of(model, get_adapter(model))


_LLAMA = Geometry("llava-1.5-7b", "llava", 32, 4096, 11008, 32, 32, 32064, 1e4, ("576",))
GEOMETRIES = {
    geometry.name: geometry
    for geometry in (
        _LLAMA,
        replace(_LLAMA, name="llava-next-7b", model_type="llava_next", lengths=("2880",)),
        Geometry("qwen2-vl-7b", "qwen2_vl", 28, 3584, 18944, 28, 4, 152064, 1e6, ("576", "8x196", "16x196", "32x196")),
    )
}


def find_geometry(name: str, hidden: int | None = None, layers: int | None = None) -> Geometry:
    """A published geometry, perhaps narrower and of another depth. Raises CommandError where there is none."""
    if name not in GEOMETRIES:
        raise CommandError(f"no geometry {name!r}: there are {', '.join(GEOMETRIES)}")
    geometry = GEOMETRIES[name] if hidden is None else GEOMETRIES[name].scaled(hidden)
    return geometry if layers is None else replace(geometry, layers=layers)


@torch.no_grad()
def materialise(model: Any, device: str) -> Any:
    """Give a model of `Geometry.on_meta` memory, and weights that are random enough to run on and cheap to make."""
    model = model.to_empty(device=device)
    language_model = get_adapter(model).inner_model(model).language_model
    rotary = language_model.rotary_emb  # its frequencies are no weights, and were lost with the meta device
    language_model.rotary_emb = type(rotary)(config=language_model.config).to(device)
    _fill(model)
    return model


def _fill(model: nn.Module) -> None:
    """Matrices get the numbers of one random block, over and over; norms get ones, biases zeros."""
    block = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0)) * 0.02
    written = 0
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            turned = block.roll(-written).to(weight.device, weight.dtype)  # else all matrices would be alike
            _tile(weight.view(-1), turned)
            written += weight.numel()


def _tile(flat: Tensor, block: Tensor) -> None:
    for part in flat.split(len(block)):
        part.copy_(block[: len(part)])
