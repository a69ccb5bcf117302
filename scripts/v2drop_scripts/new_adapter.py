"""`v2drop new-adapter`: start a distribution that adds an architecture, from the files in `template/`."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer
from rich.console import Console

from .checkpoints import quiet_transformers
from .errors import CommandError

FILES = {  # the template's file: where it goes
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "__init__.py": "{package}/__init__.py",
    "adapter.py": "{package}/adapter.py",
    "test_conformance.py": "tests/test_conformance.py",
}


def new_adapter(
    name: Annotated[str, typer.Argument(help="What to call it, such as llava-onevision.")],
    model_type: Annotated[str, typer.Option(help="The config.model_type to serve, such as llava_onevision.")],
    out: Annotated[Path | None, typer.Option(help="Folder to make; by default v2drop-NAME here.")] = None,
) -> None:
    """Write a distribution that adds an architecture: adapter, conformance test, pyproject and README."""
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise CommandError(f"name {name!r}: use small letters, digits and hyphens, such as llava-onevision")
    values = {**_names(name), **_describe(model_type)}
    folder = out or Path(values["distribution"])
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise CommandError(f"{folder} is there already: pass another --out, or take it away first")
    template = resources.files("v2drop_scripts") / "template"
    for source, target in FILES.items():
        path = folder / target.format(**values)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template((template / f"{source}.template").read_text()).substitute(values))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"wrote {folder} for {values['model_class']}")
    if values["doubt"]:
        console.print(f"beware: {values['doubt']}; see CONTRIBUTING.md, 'What cannot work'")
    console.print(f"next: pip install -e '{folder}[dev]' && pytest -v {folder}")
    console.print("its tests fail where something is left to fill in; CONTRIBUTING.md walks through an example")


def _names(name: str) -> dict[str, str]:
    stem = name.replace("_", "-").removeprefix("v2drop-")
    return {"distribution": f"v2drop-{stem}", "package": f"v2drop_{stem.replace('-', '_')}"}


def _describe(model_type: str) -> dict[str, str]:
    """What the installed transformers tells about an architecture, as the template's values."""
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
        "doubt": _doubt(config),
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
    """Why dropping may not be possible in an architecture, as far as its configuration tells; empty where it tells nothing."""
    kinds = sorted(set(getattr(config.get_text_config(), "layer_types", None) or ()) - {"full_attention"})
    if config.is_encoder_decoder:
        return "this is an encoder-decoder"
    return f"it has layers of {', '.join(kinds)}" if kinds else ""


def _tuple(members: Iterable[str]) -> str:
    members = list(members)
    return f"({', '.join(members)}{',' if len(members) == 1 else ''})"
