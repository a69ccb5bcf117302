"""Every method keeps the promises: on LLaVA the whole kit, on the other architectures the truth test.

A new method is one file in core/v2drop/methods, one plain score in core/v2drop/conformance/plain_scores.py, and one entry here.
"""

from __future__ import annotations

import pytest
from support.subjects import SUBJECTS, LlavaSubject

import v2drop
from v2drop.conformance import AdapterConformance
from v2drop.conformance.truth_promises import TruthPromises

METHODS = ["dart", "fastv", "pyramiddrop", "random", "sparsevlm", "uniform"]
PROMISES = [name for name in vars(TruthPromises) if name.startswith("test_")]
OTHERS = [kind for kind in map(type, SUBJECTS) if kind is not LlavaSubject]


def test_all_methods_are_listed():
    assert {*METHODS, "v2drop", "dense"} == set(v2drop.methods())


for name in METHODS:
    kind = type(f"Test{name.title()}OnLlava", (LlavaSubject, AdapterConformance), {"method": name, "cases": 60})
    globals()[kind.__name__] = kind


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("subject", OTHERS, ids=lambda kind: kind.adapter.model_types[0])
def test_truth(subject, method, promise):
    judged = type("Judged", (subject, TruthPromises), {"method": method, "cases": 30})
    judged._made = MODELS.setdefault(subject, {})
    getattr(judged(), promise)()


MODELS = {}  # of each architecture, made once
