"""The truth test's other side: a stock model in which dropped tokens stay, and are masked as keys from their layer on.

It trusts nothing of v2drop but the schedule's numbers: scores, choices and masks are worked out here, plainly.
"""

from __future__ import annotations

from functools import partial

import torch


class MaskingTruth:
    """Runs a stock LLaVA-like model with masking instead of dropping; a context manager.

    Attributes:
        kept: per stage layer and sample, sorted positions of vision tokens alive after it (last prompt chunk).
        closest: the smallest relative gap between two scores at a cut so far.
    """

    def __init__(self, model, schedule, vision_mask=None):
        self.model, self.schedule = model, schedule
        self.inner = model.model
        self.layers = self.inner.language_model.layers
        self.vision_mask = vision_mask
        self.gone = {stage.layer: None for stage in schedule.stages}
        self.kept, self.closest = {}, float("inf")

    def __enter__(self):
        self.handles = [self.inner.register_forward_pre_hook(self._start, with_kwargs=True)]
        for number, layer in enumerate(self.layers):
            self.handles.append(layer.register_forward_pre_hook(partial(self._mask, number), with_kwargs=True))
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def _start(self, module, args, kwargs):
        assert not args
        given = kwargs["input_ids"] if kwargs.get("input_ids") is not None else kwargs["inputs_embeds"]
        batch, length = given.shape[:2]
        cache = kwargs.get("past_key_values")
        self.past = cache.get_seq_length() if cache is not None else 0
        total = self.past + length
        padding = kwargs.get("attention_mask")
        self.real = torch.ones(batch, total, dtype=torch.bool) if padding is None else padding.bool()
        if self.past == 0:
            self.gone = dict.fromkeys(self.gone)
        media = kwargs.get("pixel_values") is not None or any((kwargs.get("mm_encoder_outputs") or {}).values())
        self.vision = torch.zeros(batch, length, dtype=torch.bool)
        if self.past == 0 or media:
            if self.vision_mask is not None:
                self.vision = self.vision_mask.repeat_interleave(batch // len(self.vision_mask), 0)
            elif kwargs.get("input_ids") is not None:
                self.vision = kwargs["input_ids"] == self.model.config.image_token_id
        self.vision &= self.real[:, self.past :]
        self.alive = self.vision.clone()
        for layer, gone in self.gone.items():
            before = torch.zeros(batch, 0, dtype=torch.bool) if gone is None else gone
            fresh = torch.zeros(batch, total - before.shape[1], dtype=torch.bool)
            self.gone[layer] = torch.cat([before, fresh], dim=1)
        self.previous = None
        if self.vision.any():
            self.kept = {}

    def _mask(self, number, module, args, kwargs):
        hidden = args[0]
        for stage in self.schedule.stages:
            if stage.layer == number and self.vision.any():
                self._drop(stage, hidden)
        self.previous = hidden
        length = hidden.shape[1]
        total = self.real.shape[1]
        query = torch.arange(self.past, total)[:, None]
        visible = (torch.arange(total)[None, :] <= query)[None] & self.real[:, None, :]
        for layer, gone in self.gone.items():
            if layer <= number:
                visible &= ~gone[:, None, :]
        # padding and dropped queries see themselves, so that no softmax is empty; as keys they stay hidden from others
        itself = torch.eye(length, total, dtype=torch.bool).roll(self.past, dims=1)
        visible = (visible | itself)[:, None]
        if self.model.config.get_text_config()._attn_implementation == "eager":
            visible = torch.zeros(visible.shape, dtype=hidden.dtype).masked_fill(
                ~visible, torch.finfo(hidden.dtype).min
            )
        return args, {**kwargs, "attention_mask": visible}

    def _drop(self, stage, hidden):
        scores = (hidden.double() - self.previous.double()).pow(2).sum(-1).sqrt()
        for sample in range(hidden.shape[0]):
            real = self.real[sample, self.past :].nonzero().flatten()
            last = real[-1].item() if len(real) else -1
            candidates = [c for c in self.alive[sample].nonzero().flatten().tolist() if c != last]
            n = len(candidates)
            k = min(n, max(self.schedule.min_tokens, int(n * stage.keep)))
            ranked = sorted(candidates, key=lambda c: (-scores[sample, c].item(), c))
            if 0 < k < n:
                inside, outside = scores[sample, ranked[k - 1]].item(), scores[sample, ranked[k]].item()
                self.closest = min(self.closest, (inside - outside) / max(inside, 1e-12))
            for c in ranked[k:]:
                self.alive[sample, c] = False
                for layer in self.gone:
                    if layer >= stage.layer:
                        self.gone[layer][sample, self.past + c] = True
        self.kept[stage.layer] = [self.past + row.nonzero().flatten() for row in self.alive]
