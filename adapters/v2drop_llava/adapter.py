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
        """See `Adapter.layout`. A class token (strategy "full" of a CLIP tower) has row and column -1 and the whole box.

        Raises:
            VisionMaskError: the vision tokens are no whole number of pictures.
        """
        sample, position = self.vision_mask(model, inputs).cpu().nonzero(as_tuple=True)
        pictures = self._pictures(model.config, inputs, len(position))
        cells = [cell for rows, columns, start in pictures for cell in _cells(rows, columns, start)]
        place = torch.tensor(cells, dtype=torch.long).reshape(-1, 2)
        counts = torch.tensor([rows * columns - start for rows, columns, start in pictures], dtype=torch.long)
        picture = torch.arange(len(pictures)).repeat_interleave(counts)
        patch = model.config.vision_config.patch_size
        grid = torch.tensor([picture[:2] for picture in pictures], dtype=torch.long).reshape(-1, 2)
        box = torch.cat([place.flip(1), place.flip(1) + 1], dim=1) * patch
        whole = torch.cat([torch.zeros_like(grid), grid.flip(1) * patch], dim=1)[picture]
        return VisionLayout(
            sample=sample,
            position=position,
            picture=picture,
            row=place[:, 0],
            column=place[:, 1],
            box=torch.where(place[:, :1] < 0, whole, box).float(),
            grid=grid,
            size=grid * patch,
        )

    def _pictures(self, config: Any, inputs: Mapping[str, Any], tokens: int) -> list[tuple[int, int, int]]:
        """Rows, columns and first place (-1: a class token comes first) of each picture that `tokens` tokens make up."""
        patch, side = (
            config.vision_config.patch_size,
            config.vision_config.image_size // config.vision_config.patch_size,
        )
        class_token = (
            config.vision_feature_select_strategy == "full" and config.vision_config.model_type == "clip_vision_model"
        )
        start = -1 if class_token else 0
        if inputs.get("image_sizes") is not None:  # towers that take pictures of any size, such as Pixtral's
            pictures = [(height // patch, width // patch, start) for height, width in inputs["image_sizes"]]
        else:
            pictures = [(side, side, start)] * (tokens // (side * side - start))
        if sum(rows * columns - start for rows, columns, start in pictures) != tokens:
            raise VisionMaskError(
                f"{tokens} vision tokens are no whole number of pictures: a picture has {side} x {side} = {side**2} "
                "tokens in this model; see README, 'Limits'"
            )
        return pictures

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


def _cells(rows: int, columns: int, start: int) -> list[tuple[int, int]]:
    grid = [(row, column) for row in range(rows) for column in range(columns)]
    return [(-1, -1), *grid] if start < 0 else grid
