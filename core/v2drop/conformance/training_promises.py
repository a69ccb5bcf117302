"""What v2drop promises for training: gradients, and layers that run again in the backward pass."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing

from .samples import Inputs, collate
from .subject import Subject


class TrainingPromises(Subject):
    """A pass forward and back."""

    def test_gradients_are_those_of_masking(self) -> None:
        """Each weight's gradient from a ragged batch is what masking gives on its samples, one by one."""
        model, generator = self.model(), torch.Generator().manual_seed(6)
        samples = [self.make_sample(generator, media) for media in (1, 2)]
        with self.attach(model, self.halves):
            dropped = self._gradients(model, [collate(samples, "left")])
        with self.masking(model, self.halves):
            masked = self._gradients(model, [collate([sample], "left") for sample in samples])
        assert dropped.keys() == masked.keys()
        largest = max(gradient.abs().max().item() for gradient in masked.values())
        for name, wanted in masked.items():
            scale = max(wanted.abs().max().item(), 1e-3 * largest)  # some (of key biases) are zero up to rounding
            torch.testing.assert_close(
                dropped[name] / scale, wanted / scale, atol=1e-3, rtol=0, msg=f"{name}: {{}}".format
            )

    def test_checkpointed_layers_give_the_same_gradients(self) -> None:
        """Layers that run again in the backward pass are shortened as they were in the forward pass.

        This holds for transformers' checkpointing, and for torch's checkpointing of modules, which runs hooks again.
        """
        inputs, plain = self.batch(1, 2, seed=6), copy.deepcopy(self.model()).train()
        with self.attach(plain, self.halves) as run:
            wanted = self._gradients(plain, [inputs], use_cache=False)
        assert run.report is not None
        kept = run.report.to_dict()
        by_transformers, by_torch = (copy.deepcopy(self.model()).train() for _ in range(2))
        by_transformers.gradient_checkpointing_enable()
        for model in (by_transformers, by_torch):
            with self.attach(model, self.halves) as run:
                if model is by_torch:
                    layers = list(self.adapter().decoder_layers(model))
                    apply_activation_checkpointing(model, check_fn=layers.__contains__)
                found = self._gradients(model, [inputs], use_cache=False)
            assert run.report is not None
            assert run.report.to_dict() == kept
            found = {name.replace("_checkpoint_wrapped_module.", ""): gradient for name, gradient in found.items()}
            torch.testing.assert_close(found, wanted)

    def _gradients(self, model: Any, batches: list[Inputs], **options: Any) -> dict[str, Tensor]:
        """Gradients of the summed loss of text tokens that follow text: a dropped token predicts nothing."""
        for inputs in batches:
            labels = inputs["input_ids"].masked_fill(~self.is_text(inputs), -100)
            labels[:, 1:][self.is_vision(inputs)[:, :-1]] = -100
            loss = model(**inputs, labels=labels, **options).loss * (labels[:, 1:] != -100).sum()
            loss.backward()
        gradients = {name: w.grad for name, w in model.named_parameters() if w.grad is not None}
        model.zero_grad(set_to_none=True)
        return gradients
