"""The `Adapter` base class. Each architecture has one adapter; no other code knows a model's internals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .errors import UnsupportedModelError, VisionMaskError
from .hf.attention import attention_weights, compose_axes, queries_and_keys, visible_keys
from .hf.caches import earlier_keys
from .hf.calls import LayerArguments
from .kept_tokens import KeptTokens
from .layout import VisionLayout


@dataclass(frozen=True)
class ModelDimensions:
    """Sizes of a language model, for FLOPs and KV-cache bytes; `intermediate_size` is that of a gated MLP."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int


class Adapter(ABC):
    """Connects one architecture's vision tokens and rotary embeddings to the core.

    The methods that are not abstract follow transformers' conventions and fit most models; override those that differ.
    `model` is a stock transformers model or its inner model. `inputs` holds the arguments of one call of the inner
    model by name, however the caller passed them. To add an architecture, see v2drop docs adding-an-architecture.
    """

    model_types: ClassVar[tuple[str, ...]]
    """The supported values of `config.model_type`. The entry points have the same names."""

    placeholders: ClassVar[tuple[str, ...]] = ("image_token_id",)
    """Attributes of the model's config that hold the placeholder token ids of pictures and videos."""

    media_inputs: ClassVar[tuple[str, ...]] = ("pixel_values", "mm_encoder_outputs")
    """Arguments of the inner model that carry pictures or videos, or features computed from them."""

    requires: ClassVar[tuple[str, ...]] = ()
    """Modules needed to read this architecture's pictures and videos, besides transformers."""

    extra: ClassVar[str] = "v2drop[cli]"
    """The requirement that installs them, as passed to pip."""

    lmms_model: ClassVar[str | None] = None
    """The model of lmms-eval that `v2drop eval` runs for this architecture, if there is one."""

    @abstractmethod
    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        """Where each vision token lies in its picture or video.

        `inputs` may also hold processor outputs that the model does not take, such as `video_metadata`.

        Raises:
            VisionMaskError: the vision tokens do not match the pictures and videos.
        """

    def inner_model(self, model: Any) -> Any:
        """The model without its head. It takes pictures and token ids and returns `last_hidden_state`."""
        if not hasattr(model, "base_model"):
            raise UnsupportedModelError(
                f"{type(model).__name__} has no base_model, unlike transformers models: pass the transformers model inside "
                f"it, or override {type(self).__name__}.inner_model; see v2drop docs adding-an-architecture"
            )
        return model.base_model

    def decoder_layers(self, model: Any) -> Sequence[nn.Module]:
        """The language model's decoder layers, in order."""
        inner = self.inner_model(model)
        layers = getattr(getattr(inner, "language_model", None), "layers", None)
        if layers is None:
            raise UnsupportedModelError(
                f"{type(inner).__name__} has no language_model.layers: override {type(self).__name__}.decoder_layers (and "
                "inner_model, if this is not the model that takes pictures and token ids); see v2drop docs adding-an-architecture"
            )
        return layers

    def language_model(self, model: Any) -> Any:
        """The module that holds the decoder layers and calls them."""
        layers = self.decoder_layers(model)
        inner = self.inner_model(model)
        found = next((each for each in inner.modules() if any(child is layers for child in each.children())), None)
        if found is None:
            raise UnsupportedModelError(
                f"no module of {type(inner).__name__} holds its decoder layers: override {type(self).__name__}.language_model; "
                "see v2drop docs adding-an-architecture"
            )
        return found

    def first_stage(self, model: Any) -> int:
        """The first decoder layer before which tokens may be dropped. Override it if early layers change vision tokens.

        Layer 0 has no earlier input to compare with. Qwen3-VL, for example, adds features to the vision tokens after
        its first layers and finds the tokens by position.
        """
        return 1

    def vision_mask(self, model: Any, inputs: Mapping[str, Any]) -> Tensor | None:
        """bool [B, S], True at vision tokens; None if the inputs do not show where they are."""
        masks = [self.placeholder_mask(model, inputs, name) for name in self.placeholders]
        return torch.stack(masks).any(0)

    def placeholder_mask(self, model: Any, inputs: Mapping[str, Any], name: str) -> Tensor:
        """bool [B, S], True at one kind of placeholder: the token id in the config attribute `name`.

        Placeholders are found by token id or, if no ids were passed, by embedding, as in the stock models.
        """
        placeholder = getattr(model.config, name, None)
        if placeholder is None:
            raise UnsupportedModelError(
                f"{type(model.config).__name__} has no {name}, the id of the placeholders that {type(self).__name__} looks "
                "for: pass the adapter of this model type, or none; see v2drop docs models"
            )
        if inputs.get("input_ids") is not None:
            return inputs["input_ids"] == placeholder
        embeds = inputs.get("inputs_embeds")
        if embeds is None:
            raise VisionMaskError(
                "neither input_ids nor inputs_embeds was passed: vision tokens are found in one of them"
            )
        table = model.get_input_embeddings()
        embedding = table(torch.tensor(placeholder, device=table.weight.device)).to(embeds.device)
        return (embeds == embedding).all(-1)

    def layer_arguments(self, layer: nn.Module) -> LayerArguments:
        """The names of a decoder layer's mask, cache and position arguments. Raises UnsupportedModelError if not found.

        The `layer_kwargs` of the methods below use the names in `v2drop.hf.calls.NAMES`, in every release.
        """
        return LayerArguments.of(layer)

    def gather_rotary(self, layer_kwargs: Mapping[str, Any], index: Tensor) -> dict[str, Any]:
        """A decoder layer's position arguments at the positions `index` [B, Q] of the call.

        As transformers 5 passes them: `position_embeddings`, a pair (cos, sin) of [B or 1, S, D] (M-RoPE up to
        transformers 5.0: [3, B, S, D]), and `position_ids` [B or 1, S]. Override it if a model differs.
        """
        rows = KeptTokens(index, None)
        gathered: dict[str, Any] = {}
        if layer_kwargs.get("position_embeddings") is not None:
            pair = layer_kwargs["position_embeddings"]
            gathered["position_embeddings"] = tuple(rows.gather(part, dim=part.ndim - 2) for part in pair)
        if layer_kwargs.get("position_ids") is not None:
            gathered["position_ids"] = rows.gather(layer_kwargs["position_ids"])
        return gathered

    def attention_rows(
        self, layer: Any, hidden_states: Tensor, layer_kwargs: Mapping[str, Any], rows: Tensor, before: int = 0
    ) -> Tensor:
        """Attention weights of some rows of a decoder layer, float32 [B, heads, R, before + Q], for scoring.

        Expects transformers' usual layer: `input_layernorm`, and `self_attn` with q_proj, k_proj, head_dim and scaling.
        Override it if a model differs.

        Args:
            layer: the decoder layer.
            hidden_states: its input [B, Q, H].
            layer_kwargs: its keyword arguments.
            rows: int64 [B, R], the query rows.
            before: how many earlier keys the layer's cache holds.
        """
        queries, keys = queries_and_keys(layer, hidden_states, self.rotary(layer, layer_kwargs), rows)
        if before:
            earlier = earlier_keys(layer_kwargs["cache"], layer.self_attn.layer_idx, before, keys)
            keys = torch.cat([earlier, keys], dim=2)
        mask, positions = layer_kwargs.get("attention_mask"), layer_kwargs.get("position_ids")
        visible = visible_keys(mask, rows, before, hidden_states.shape[1], positions)
        return attention_weights(queries, keys, visible, layer.self_attn.scaling)

    def layer_keys(self, layer: Any, hidden_states: Tensor, layer_kwargs: Mapping[str, Any]) -> Tensor:
        """A decoder layer's rotated keys [B, key heads, Q, D] for its input [B, Q, H]; see `attention_rows`."""
        no_rows = torch.zeros(hidden_states.shape[0], 0, dtype=torch.long, device=hidden_states.device)
        return queries_and_keys(layer, hidden_states, self.rotary(layer, layer_kwargs), no_rows)[1]

    def rotary(self, layer: Any, layer_kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """cos and sin, [B or 1, Q, D], of a decoder layer's input."""
        cos, sin = layer_kwargs["position_embeddings"]
        if cos.ndim == 3:
            return cos, sin
        sections = layer.self_attn.config.rope_parameters["mrope_section"]  # transformers 5.0: separate M-RoPE axes
        return compose_axes(cos, sections), compose_axes(sin, sections)

    def dimensions(self, model: Any) -> ModelDimensions:
        """Sizes of the language model."""
        text = model.config.get_text_config()
        return ModelDimensions(
            num_layers=text.num_hidden_layers,
            hidden_size=text.hidden_size,
            intermediate_size=text.intermediate_size,
            num_heads=text.num_attention_heads,
            num_kv_heads=getattr(text, "num_key_value_heads", None) or text.num_attention_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        )

    def attention(self, model: Any) -> str:
        """transformers' name for the language model's attention implementation, such as "sdpa"."""
        return str(self.inner_model(model).config.get_text_config()._attn_implementation)
