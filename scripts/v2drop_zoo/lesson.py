"""What a zoo model is taught with: the losses of a training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from .packing import IGNORED, Packed
from .questions import CELL_NAMES
from .recipes import HIDDEN
from .scenes import COLOURS


class Lesson(nn.Module):
    """The model and what it is taught with; the forward pass is a training loss."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.model = model
        words = ([*map(str, range(10)), "none"], [*COLOURS, "none"], list(CELL_NAMES))
        self.layers = model.model.language_model.layers
        self._inputs: list[torch.Tensor] = []
        for layer in self.layers:
            layer.register_forward_pre_hook(lambda _, args: self._inputs.append(args[0]))
        self.words = [torch.tensor(tokenizer.convert_tokens_to_ids(group)) for group in words]

    def forward(
        self, batch: Packed, layers: Sequence[int], patch_weight: float, penalty: float
    ) -> dict[str, torch.Tensor]:
        features = torch.stack(list(self.model.model.get_image_features(batch.pixel_values).pooler_output))
        losses = {"patches": self._patch_loss(features, batch.patch_labels)}
        losses["loss"] = patch_weight * losses["patches"]
        if layers:
            logits, change = self._answer(features, batch, layers)
            losses["answers"] = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED)
            losses["change"] = change
            losses["loss"] = losses["loss"] + losses["answers"] + penalty * change
            losses["logits"] = logits
        return losses

    def _patch_loss(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """How badly each patch names its digit, colour and cell, by the words' own embeddings."""
        scaled = F.normalize(features, dim=-1) * HIDDEN**0.5
        background = labels[..., 0] == 10
        loss = features.new_zeros(())
        for index, words in enumerate(self.words):
            logits = scaled @ self.model.get_input_embeddings()(words).T
            losses = F.cross_entropy(logits.transpose(1, 2), labels[..., index], reduction="none")
            loss = loss + losses[background].mean() + losses[~background].mean()  # digits cover a seventh of a picture
        return loss

    def _answer(
        self, features: torch.Tensor, batch: Packed, layers: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [P, S, vocabulary] and how far the layers move the vision tokens, relative to their first norm."""
        text = self.model.get_input_embeddings()(batch.input_ids)
        vision = slice(2, 2 + features.shape[1])
        embeds = torch.cat([text[:, :2], features, text[:, vision.stop :]], dim=1)
        language_model = self.model.model.language_model
        language_model.layers = nn.ModuleList(self.layers[number] for number in layers)
        self._inputs.clear()
        output = language_model(
            inputs_embeds=embeds,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
        )
        language_model.layers = self.layers
        inputs = torch.stack([state[:, vision] for state in self._inputs])
        self._inputs.clear()
        moved = (inputs[1:] - inputs[:-1]).norm(dim=-1).mean()
        return self.model.lm_head(output.last_hidden_state), moved / inputs[0].norm(dim=-1).mean()
