"""LLaVA-1.5 and LLaVA-NeXT by lmms-eval's `llava_hf`, prompted through the processor's chat template."""

from __future__ import annotations

from lmms_eval.models.chat.llava_hf import LlavaHf as StockLlavaHf

from .dropping_mixin import Dropping


class LlavaHf(Dropping, StockLlavaHf):
    """lmms-eval's `llava_hf` with tokens dropped. One prompt at a time, as in the original."""


class LlavaNext(LlavaHf):
    """The same: lmms-eval's `llava_hf` reads LLaVA-NeXT too, and has no model of that name."""
