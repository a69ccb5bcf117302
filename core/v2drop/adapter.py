"""What v2drop must know about an architecture. One adapter per architecture; nothing else knows a model's insides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from .rows import Rows


@dataclass(frozen=True)
class ModelDimensions:
    """Sizes of a language model, for FLOPs and KV-cache bytes; `intermediate_size` is that of a gated MLP."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class VisionLayout:
    """Where each of the N vision tokens of a batch lies in its picture, in order of sample and position; on the CPU.

    Attributes:
        sample: int64 [N], row of the batch.
        position: int64 [N], column of the padded input.
        picture: int64 [N], which of the batch's pictures, counted over all samples.
        row, column: int64 [N], place on that picture's grid of tokens.
        box: float32 [N, 4], left, top, right, bottom in pixels of the picture as the model sees it (after the
            processor has resized and cropped it).
        grid: int64 [pictures, 2], rows and columns of each picture's grid.
        size: int64 [pictures, 2], height and width in pixels of each picture as the model sees it.
    """

    sample: Tensor
    position: Tensor
    picture: Tensor
    row: Tensor
    column: Tensor
    box: Tensor
    grid: Tensor
    size: Tensor


class Adapter(ABC):
    """Maps one architecture's vision tokens and rotary embeddings onto the core.

    `model` is a stock transformers model, or the inner model in it. `inputs` are the arguments of one call of the inner
    model by name, however the caller passed them. To add an architecture see CONTRIBUTING.md.
    """

    model_types: ClassVar[tuple[str, ...]]
    """The `config.model_type`s served, also the entry points' names."""

    media_inputs: ClassVar[tuple[str, ...]] = ("pixel_values", "mm_encoder_outputs")
    """Arguments of the inner model that carry pictures, or features made of them."""

    @abstractmethod
    def inner_model(self, model: Any) -> Any:
        """The model without its head, which takes pictures and token ids and returns `last_hidden_state`."""

    @abstractmethod
    def decoder_layers(self, model: Any) -> Sequence[nn.Module]:
        """The language model's decoder layers, in order."""

    @abstractmethod
    def vision_mask(self, model: Any, inputs: Mapping[str, Any]) -> Tensor | None:
        """bool [B, S], True at vision tokens; None where they cannot be told from what was passed."""

    @abstractmethod
    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """Where each vision token lies in its picture."""

    @abstractmethod
    def dimensions(self, model: Any) -> ModelDimensions:
        """Sizes of the language model."""

    def gather_rotary(self, layer_kwargs: Mapping[str, Any], index: Tensor) -> dict[str, Any]:
        """The position arguments of a decoder layer for the columns `index` [B, Q] of the chunk.

        As most of transformers 5 passes them: `position_embeddings`, a pair (cos, sin) of [B or 1, S, D], and
        `position_ids` [B or 1, S]. Override it where a model differs.
        """
        rows = Rows(index, None)
        gathered: dict[str, Any] = {}
        if layer_kwargs.get("position_embeddings") is not None:
            gathered["position_embeddings"] = tuple(rows.gather(part) for part in layer_kwargs["position_embeddings"])
        if layer_kwargs.get("position_ids") is not None:
            gathered["position_ids"] = rows.gather(layer_kwargs["position_ids"])
        return gathered

    def attention(self, model: Any) -> str:
        """transformers' name of the language model's attention implementation, such as "sdpa"."""
        return str(self.inner_model(model).config.get_text_config()._attn_implementation)
