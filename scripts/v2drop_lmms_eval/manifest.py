"""The manifest for lmms-eval: the models and the paths of their classes."""

from __future__ import annotations

from lmms_eval.models.registry_v2 import ModelManifest

MANIFESTS = [
    ModelManifest("v2drop_llava_hf", chat_class_path="v2drop_lmms_eval.llava.LlavaHf"),
    ModelManifest("v2drop_llava_next", chat_class_path="v2drop_lmms_eval.llava.LlavaNext"),
    ModelManifest("v2drop_qwen2_vl", simple_class_path="v2drop_lmms_eval.qwen2_vl.Qwen2VL"),
]
