"""LLaVA-1.5: every picture is one square grid of tokens, and rotary positions are those of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from v2drop import Adapter, ModelDimensions, VisionLayout, VisionMaskError


class LlavaAdapter(Adapter):
    """Maps `LlavaForConditionalGeneration` and `LlavaModel` onto the core."""

    model_types = ("llava",)

    def inner_model(self, model: Any) -> Any:
        return model if hasattr(model, "multi_modal_projector") else model.model

    def decoder_layers(self, model: Any) -> Sequence[nn.Module]:
        return self.inner_model(model).language_model.layers

    def vision_mask(self, model: Any, inputs: Mapping[str, Any]) -> Tensor:
        """Placeholders among the token ids, or as the stock model finds them, their embedding among the embeddings."""
        placeholder = model.config.image_token_id
        if inputs.get("input_ids") is not None:
            return inputs["input_ids"] == placeholder
        embeds = inputs["inputs_embeds"]
        table = model.get_input_embeddings()
        embedding = table(torch.tensor(placeholder, device=table.weight.device)).to(embeds.device)
        return (embeds == embedding).all(-1)

    def layout(self, model: Any, inputs: Mapping[str, Any]) -> VisionLayout:
        mask = self.vision_mask(model, inputs)
        patch, size = model.config.vision_config.patch_size, model.config.vision_config.image_size
        side = size // patch
        sample, position = mask.nonzero(as_tuple=True)
        order = torch.arange(len(position), device=mask.device)
        if len(position) % side**2:
            raise VisionMaskError(
                f"{len(position)} vision tokens are no whole number of pictures: a picture has {side} x {side} = "
                f"{side**2} tokens in this model; see README, 'Limits'"
            )
        picture, place = order // side**2, order % side**2
        row, column = place // side, place % side
        corner = torch.stack([column, row, column + 1, row + 1], dim=1)
        pictures = len(position) // side**2
        return VisionLayout(
            sample=sample,
            position=position,
            picture=picture,
            row=row,
            column=column,
            box=(corner * patch).float(),
            grid=torch.tensor([[side, side]]).expand(pictures, 2),
            size=torch.tensor([[size, size]]).expand(pictures, 2),
        )

    def dimensions(self, model: Any) -> ModelDimensions:
        text = model.config.get_text_config()
        return ModelDimensions(
            num_layers=text.num_hidden_layers,
            hidden_size=text.hidden_size,
            intermediate_size=text.intermediate_size,
            num_heads=text.num_attention_heads,
            num_kv_heads=text.num_key_value_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        )
