"""Importing torch where there is no NumPy, which neither it nor v2drop needs: torch warns of that at its own import."""

from importlib.util import find_spec
from warnings import catch_warnings, filterwarnings

if find_spec("numpy") is None:
    with catch_warnings():
        filterwarnings("ignore", message="Failed to initialize NumPy", category=UserWarning)
        import torch  # noqa: F401
