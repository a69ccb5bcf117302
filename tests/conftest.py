"""One thread: the models are tiny, and threads that wait for each other cost more than they gain."""

import os

import torch
import transformers

pytest_plugins = ["support.feature_table", "fuzz.tally", "support.run_command"]
torch.set_num_threads(1)


def pytest_report_header():
    return f"transformers {transformers.__version__}, torch {torch.__version__}"


def pytest_configure():
    """`make test-oldest` says which release it means to test."""
    wanted = os.environ.get("V2DROP_TEST_TRANSFORMERS", transformers.__version__)
    assert transformers.__version__ == wanted, (
        f"these tests are for transformers {wanted}, not {transformers.__version__}"
    )
