"""Checks that a checkpoint's processor and model agree on the number of vision tokens per picture.

Each has a config file of its own, often edited without the other. If they disagree, stock models fail in the middle of
the first call, with the numbers but not where they come from.
"""

from __future__ import annotations

from typing import Any

from v2drop_terminal.errors import CommandError

_CLASS_TOKENS = {"clip_vision_model": 1, "siglip_vision_model": 0}  # tokens that a tower makes besides the patches
_QWENS = {"patch_size": "patch_size", "merge_size": "spatial_merge_size", "temporal_patch_size": "temporal_patch_size"}


def check_processor(processor: Any, config: Any, name: str) -> None:
    """Compare the settings that decide the number of vision tokens of a picture, where both sides have them.

    Raises:
        CommandError: there is no processor, or the two disagree; the message has both numbers and where they come from.
    """
    images = getattr(processor, "image_processor", None)
    if images is None or getattr(processor, "tokenizer", None) is None:
        raise CommandError(
            f"cannot load {name}: it has no processor for pictures and text, but a {type(processor).__name__}: save the "
            "model's processor next to its weights with save_pretrained()"
        )
    vision = getattr(config, "vision_config", None)
    if vision is None:
        return
    if hasattr(processor, "num_additional_image_tokens") or hasattr(processor, "num_image_tokens"):
        _check_side(images, vision, name)
        _check_count(processor, config, vision, name)
    else:
        _check_patches(processor, vision, name)


def _check_patches(processor: Any, vision: Any, name: str) -> None:
    """Qwen's processors cut patches themselves."""
    for kind in ("image_processor", "video_processor"):
        part = getattr(processor, kind, None)
        for ours, theirs in _QWENS.items() if hasattr(part, "merge_size") else ():
            one, other = getattr(part, ours, None), getattr(vision, theirs, None)
            if other is not None and one != other:
                raise _disagreement(
                    name, f"takes {ours} {one!r} ({kind}.{ours})", f"takes {other!r} (vision_config.{theirs})"
                )


def _check_side(images: Any, vision: Any, name: str) -> None:
    """The tower takes pictures of one size."""
    cropped = getattr(images, "do_center_crop", False)
    which = "crop_size" if cropped else "size"
    size = getattr(images, which, None) or {}
    side = size.get("height")
    if side is not None and getattr(vision, "image_size", side) != side:
        raise _disagreement(
            name,
            f"makes pictures {side} pixels high (image_processor.{which})",
            f"takes {vision.image_size} (vision_config.image_size)",
        )


def _check_count(processor: Any, config: Any, vision: Any, name: str) -> None:
    patch, towers = getattr(vision, "patch_size", None), _CLASS_TOKENS.get(vision.model_type)
    strategy = getattr(config, "vision_feature_select_strategy", None)
    if patch is None or towers is None or strategy is None:
        return
    per_side = vision.image_size // patch
    made = per_side**2 + towers - (strategy == "default")
    used = processor.vision_feature_select_strategy
    if hasattr(processor, "num_image_tokens"):  # LLaVA-OneVision's count, without a class token
        settings = {"num_image_tokens": processor.num_image_tokens}
        written = processor.num_image_tokens
    else:
        side, more = processor.patch_size, processor.num_additional_image_tokens
        settings = {"patch_size": side, "num_additional_image_tokens": more}
        written = (vision.image_size // side) ** 2 + more if side and more is not None else None
    settings["vision_feature_select_strategy"] = used
    if written is not None:
        written -= used == "default"
    if written == made:
        return
    told = ", ".join(f"{key} {value!r}" for key, value in settings.items())
    number = "cannot count the placeholders of a picture" if written is None else f"writes {written} for a picture"
    raise _disagreement(
        name,
        f"{number} ({told})",
        f"makes {made} vision tokens of one ({per_side} x {per_side} patches of vision_config.patch_size {patch}, {towers} more "
        f"of a {vision.model_type}, vision_feature_select_strategy {strategy!r})",
    )


def _disagreement(name: str, ours: str, theirs: str) -> CommandError:
    return CommandError(
        f"the processor and the model of {name} disagree: in processor_config.json the processor {ours}, in config.json the "
        f"model {theirs}; fix the one that is wrong"
    )
