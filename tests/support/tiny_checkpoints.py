"""Folders with tiny random models, their processors and examples, for `v2drop run --model FOLDER`."""

from __future__ import annotations

import json

import torch
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    CLIPVisionConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from support.media_files import frames, write_video

try:  # transformers 5.0 has only the second name
    from transformers.models.llava_next.image_processing_pil_llava_next import (
        LlavaNextImageProcessorPil as TileProcessor,
    )
except ImportError:
    from transformers import LlavaNextImageProcessor as TileProcessor

WORDS = [
    "<pad>",
    "<s>",
    "</s>",
    "<unk>",
    "<image>",
    "<video>",
    "<vision>",
    "</vision>",
    "what",
    "is",
    "this",
    "?",
    "it",
]
MEDIA = {"image_token": "<image>", "video_token": "<video>"}
TEMPLATE = (
    "{% for part in messages[0]['content'] %}{% if part['type'] == 'text' %}{{ ' ' + part['text'] }}"
    "{% else %}{{ ' <vision> <' + part['type'] + '> </vision>' }}{% endif %}{% endfor %}"
)
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
TEXT = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
NORMALIZE = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
SCHEDULE = {"stages": [[1, 0.5], [3, 0.5]], "min_tokens": 1}


def _tokenizer():
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, extra_special_tokens=MEDIA, **names)


def _qwen(config_class, model_class, processor_class, vision):
    """12 x 12 pixels and two frames per token."""
    rope = {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [1, 1, 2]}
    special = {"image_token_id": 4, "video_token_id": 5, "vision_start_token_id": 6, "vision_end_token_id": 7}
    config = config_class(text_config={**TEXT, **IDS, "rope_parameters": rope}, vision_config=vision, **special, **IDS)
    patches = {"patch_size": 6, "merge_size": 2, "temporal_patch_size": 2, **NORMALIZE}
    size = {"shortest_edge": 72 * 72, "longest_edge": 96 * 96}
    processor = processor_class(
        image_processor=Qwen2VLImageProcessor(size=size, **patches),
        tokenizer=_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(size=size, **patches),
        chat_template=TEMPLATE,
    )
    return model_class(config), processor


def _qwen2_vl():
    vision = {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 32, "patch_size": 6}
    return _qwen(Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, vision)


def _qwen2_5_vl():
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 6}
    vision |= {"out_hidden_size": 32, "window_size": 24, "fullatt_block_indexes": [0]}
    return _qwen(Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, vision)


def _llava_next():
    """Tiles of 48 x 48 pixels, two per picture, 12 x 12 pixels per token."""
    pinpoints = [[48, 96], [96, 48]]
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=48, patch_size=12
    )
    config = LlavaNextConfig(
        text_config={"model_type": "llama", **TEXT, **IDS},
        vision_config=vision,
        image_token_id=4,
        image_grid_pinpoints=pinpoints,
        **IDS,
    )
    processor = LlavaNextProcessor(
        image_processor=TileProcessor(
            size={"shortest_edge": 48},
            crop_size={"height": 48, "width": 48},
            image_grid_pinpoints=pinpoints,
            **NORMALIZE,
        ),
        tokenizer=_tokenizer(),
        patch_size=12,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return LlavaNextForConditionalGeneration(config), processor


def _llava_onevision():
    """Tiles of 48 x 48 pixels, two per picture that is alone, 12 x 12 pixels per token, four times that in a video."""
    pinpoints, size = [[48, 96], [96, 48]], {"height": 48, "width": 48}
    vision = {
        "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 48, "patch_size": 12, "vision_use_head": False,
    }  # fmt: skip
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **TEXT, **IDS}, vision_config=vision,
        image_token_id=4, video_token_id=5, image_grid_pinpoints=pinpoints, **IDS,
    )  # fmt: skip
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=pinpoints, **NORMALIZE),
        tokenizer=_tokenizer(),
        video_processor=LlavaOnevisionVideoProcessor(size=size, **NORMALIZE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


BUILDERS = {
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "llava_next": _llava_next,
    "llava_onevision": _llava_onevision,
}
WATCHING = ("qwen2_vl", "qwen2_5_vl", "llava_onevision")  # models that take videos


def save_tiny(model_type, folder, example=True):
    """Write one of BUILDERS' models to a folder, with an example picture and, if in WATCHING, an example video."""
    torch.manual_seed(0)
    model, processor = BUILDERS[model_type]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if not example:
        return folder
    data = {"schedule": SCHEDULE, "image": "example.png", "prompt": "what is it ?", "answer": "it"}
    Image.fromarray(frames(1)[0]).save(folder / "example.png")
    if model_type in WATCHING:
        write_video(folder / "example.mp4")
        data["video"] = {"file": "example.mp4", "prompt": "what is this ?", "answer": "it", "fps": 2}
    (folder / "v2drop.json").write_text(json.dumps(data))
    return folder
