"""Values for the template of a new adapter: names, and what the installed transformers says about an architecture."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from v2drop import registered_adapters
from v2drop_loading.checkpoints import quiet_transformers
from v2drop_terminal.errors import CommandError


def names_of(name: str) -> dict[str, str]:
    """Names of the distribution and the package. Raises CommandError, with the reason, for an invalid name."""
    if reason := _refusal(name):
        raise CommandError(f"name {name!r} {reason}: use small letters, digits and hyphens, such as llava-onevision")
    stem = name.replace("_", "-").removeprefix("v2drop-")
    package = f"v2drop_{stem.replace('-', '_')}"
    if find_spec(package) is not None:
        raise CommandError(f"name {name!r}: a package {package} already exists and would be hidden: pass another name")
    return {"distribution": f"v2drop-{stem}", "package": package}


def _refusal(name: str) -> str:
    """Why a name is invalid for a distribution or, with underscores, for a package; empty if it is valid."""
    wrong = [character for character in dict.fromkeys(name) if not re.fullmatch(r"[a-z0-9_-]", character)]
    if not name:
        return "is empty"
    if wrong:
        return f"holds {', '.join(map(repr, wrong))}"
    if not name[0].isalpha():
        return f"begins with {name[0]!r}"
    if not name[-1].isalnum():
        return f"ends in {name[-1]!r}"
    doubled = re.search(r"[-_]{2}", name)
    return f"holds {doubled[0]!r}" if doubled else ""


def describe(model_type: str) -> dict[str, str]:
    """Template values for an architecture, read from the installed transformers."""
    quiet_transformers()
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as MODELS

    if model_type not in MODELS:
        close = difflib.get_close_matches(model_type, MODELS, n=3) or sorted(MODELS)
        raise CommandError(
            f"transformers {transformers.__version__} has no image-text-to-text model of type {model_type!r}; "
            f"there is {', '.join(close)}"
        )
    model_class, config_class = MODELS[model_type], CONFIG_MAPPING_NAMES[model_type]
    config = getattr(transformers, config_class)()
    arguments = inspect.signature(getattr(transformers, model_class).forward).parameters
    kinds = [kind for kind in ("image", "video") if hasattr(config, f"{kind}_token_id")] or ["image"]
    media = [name for name in arguments if name.startswith("pixel_values")]
    text: Any = config.get_text_config()
    stem = model_class.removesuffix("ForConditionalGeneration")
    return {
        "doubt": _doubt(config) or _served(model_type),
        "model_type": model_type,
        "model_class": model_class,
        "config_class": config_class,
        "stem": stem,
        "adapter_class": f"{stem}Adapter",
        "text_model_type": text.model_type,
        "placeholders": _tuple(f'"{kind}_token_id"' for kind in kinds),
        "first_placeholder": f"{kinds[0]}_token_id",
        "media_inputs": _tuple(f'"{name}"' for name in [*media, "mm_encoder_outputs"]),
        "token_names": _tuple(kind.upper() for kind in kinds),
        "token_constants": "\n".join(f"{kind.upper()} = {token}" for kind, token in zip(kinds, (99, 98), strict=False)),
        "token_arguments": ", ".join(f"{kind}_token_id={kind.upper()}" for kind in kinds),
        "first_token": kinds[0].upper(),
    }


def _doubt(config: Any) -> str:
    """Why dropping may be impossible in an architecture, judging by its configuration; empty if nothing speaks against it."""
    kinds = sorted(set(getattr(config.get_text_config(), "layer_types", None) or ()) - {"full_attention"})
    if config.is_encoder_decoder:
        return "this is an encoder-decoder"
    return f"it has layers of {', '.join(kinds)}" if kinds else ""


def _served(model_type: str) -> str:
    """Which installed adapter serves the type already; empty if none does."""
    point = registered_adapters().get(model_type)
    if point is None:
        return ""
    source = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
    return f"{model_type} is already served by {point.value} of {source}; only one adapter per type is used"


def _tuple(members: Iterable[str]) -> str:
    members = list(members)
    return f"({', '.join(members)}{',' if len(members) == 1 else ''})"
