"""Qwen2-VL, for pictures and videos, by lmms-eval's `qwen2_vl`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import qwen_vl_utils  # type: ignore[import-untyped]
import torch
from lmms_eval.models.model_utils.media_encoder import encode_image_to_data_url
from lmms_eval.models.simple import qwen2_vl as stock
from PIL import Image

from v2drop_media.qwen_sizes import token_side

from .dropping_mixin import Dropping


class Qwen2VL(Dropping, stock.Qwen2_VL):
    """lmms-eval's `qwen2_vl` with tokens dropped.

    Args:
        lossless: pass pictures on unchanged; by default lmms-eval compresses them as JPEG, as in published results.
        options: see `Dropping`.
    """

    def __init__(self, lossless: bool = False, **options: Any) -> None:
        self._lossless = lossless
        # lmms-eval 0.7.3 expects a GPU for each of several processes; without GPUs, each loads as if it were alone
        alone = patch.object(stock, "Accelerator", lambda: SimpleNamespace(num_processes=1))
        with nullcontext() if torch.cuda.is_available() else alone:
            super().__init__(**options)
        # it also expects patches of 14 pixels, which the zoo's models do not have
        side = token_side(self.processor.image_processor)
        stock.process_vision_info = partial(qwen_vl_utils.process_vision_info, image_patch_size=side)

    def _encode_image_data_url(self, image: Image.Image) -> str:
        if self._lossless:
            return encode_image_to_data_url(image, image_format="PNG", mime_type="image/png", convert_rgb=True)
        return super()._encode_image_data_url(image)
