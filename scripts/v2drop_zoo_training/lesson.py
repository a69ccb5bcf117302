"""The losses of a training step of a zoo model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from v2drop_zoo.clips import WAYS
from v2drop_zoo.scenes import COLOURS

from .builders import HIDDEN
from .labels import IGNORED, NO_DIGIT
from .question_packing import Packed
from .recipes import Recipe

# labels that the language model must find out if the tower cannot know them: index of the label, number of layers
FINDINGS = {"places": (2, 2), "turns": (3, 2), "ways": (4, 4)}


class Lesson(nn.Module):
    """The model with its training losses; the forward pass returns them."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        words = [[*map(str, range(10)), "none"], [*COLOURS, "none"], list(recipe.places)]
        if recipe.of("video"):
            words += [["first", "last"], list(WAYS)]
        self.layers = model.model.language_model.layers
        self._inputs: list[torch.Tensor] = []
        for layer in self.layers:
            layer.register_forward_pre_hook(lambda _, args: self._inputs.append(args[0]))
        self.words = [torch.tensor(tokenizer.convert_tokens_to_ids(group)) for group in words]

    def forward(
        self, batch: Packed, layers: Sequence[int], patch_weight: float, penalty: float
    ) -> dict[str, torch.Tensor]:
        look = self.model.model.get_video_features if batch.modality == "video" else self.model.model.get_image_features
        features = torch.stack(list(look(**batch.pixels).pooler_output))
        losses = {"patches": self._patch_loss(features, batch.patch_labels, learn_words=bool(layers))}
        losses["read"] = self._share_read(features.detach(), batch.patch_labels)
        losses["loss"] = patch_weight * losses["patches"]
        if layers:
            logits, states = self._answer(features, batch, layers)
            losses["answers"] = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED)
            losses["change"] = (states[1:] - states[:-1]).norm(dim=-1).mean() / states[0].norm(dim=-1).mean()
            losses["loss"] = losses["loss"] + losses["answers"] + penalty * losses["change"]
            if not self.recipe.tower_knows_places:
                for name, (index, depth) in FINDINGS.items():
                    known = (batch.patch_labels[..., 0] != NO_DIGIT) & (batch.patch_labels[..., index] != IGNORED)
                    if known.any():
                        losses[name] = self._finding_loss(states[depth][known], batch.patch_labels[known], index)
                        losses["loss"] = losses["loss"] + patch_weight * losses[name]
            losses["logits"] = logits
        return losses

    def _patch_loss(self, features: torch.Tensor, labels: torch.Tensor, learn_words: bool) -> torch.Tensor:
        """The loss of naming each patch's digit, colour and cell with the words' own embeddings."""
        background = labels[..., 0] == NO_DIGIT
        loss = features.new_zeros(())
        for index, words in enumerate(self.words[: 3 if self.recipe.tower_knows_places else 2]):
            known = labels[..., index] != IGNORED
            logits = self._name(features, words, learn_words or self.recipe.parent is None)
            losses = F.cross_entropy(logits.transpose(1, 2), labels[..., index], reduction="none", ignore_index=IGNORED)
            # digits cover a seventh of a picture
            loss = loss + losses[background & known].mean() + losses[~background & known].mean()
        return loss

    @torch.no_grad()
    def _share_read(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The share of vision tokens with a digit that name it correctly, for monitoring."""
        shown = (labels[..., 0] != IGNORED) & (labels[..., 0] != NO_DIGIT)
        named = self._name(features, self.words[0], learn_words=False).argmax(-1)
        return (named == labels[..., 0])[shown].float().mean()

    def _finding_loss(self, states: torch.Tensor, labels: torch.Tensor, index: int) -> torch.Tensor:
        """The loss of naming one label from the states of vision tokens that show a digit."""
        return F.cross_entropy(self._name(states, self.words[index], learn_words=True), labels[:, index])

    def _name(self, features: torch.Tensor, words: torch.Tensor, learn_words: bool) -> torch.Tensor:
        """Logits of the words. A new tower for an inherited language model leaves its word embeddings unchanged."""
        embeddings = self.model.get_input_embeddings()(words)
        return F.normalize(features, dim=-1) * HIDDEN**0.5 @ (embeddings if learn_words else embeddings.detach()).T

    def _answer(
        self, features: torch.Tensor, batch: Packed, layers: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [P, S, vocabulary], and the input states [layers, P, V, hidden] of the vision tokens at each layer."""
        text = self.model.get_input_embeddings()(batch.input_ids)
        embeds = torch.cat([text[:, : batch.vision.start], features, text[:, batch.vision.stop :]], dim=1)
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
        states = torch.stack([state[:, batch.vision] for state in self._inputs])
        self._inputs.clear()
        return self.model.lm_head(output.last_hidden_state), states
