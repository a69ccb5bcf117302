"""Imports torch without its warning about missing NumPy, which neither torch nor v2drop needs."""

from importlib.util import find_spec
from warnings import catch_warnings, filterwarnings

if find_spec("numpy") is None:
    with catch_warnings():
        filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)
        import torch  # noqa: F401
