"""A pytest plugin for test suites that know nothing of v2drop: attaches it to every model they make, records outcomes.

    python -m pytest -p upstream.plugin --outcomes outcomes.jsonl [--attach-keep 1.0] [--only ids.txt] tests/models/llava

Every test starts from the same seeds, so that a test which passes on one side and fails on the other differs in the model.
"""

from __future__ import annotations

import json
import random
import signal
import sys
from pathlib import Path

import numpy
import pytest
import torch
from transformers import PreTrainedModel

import v2drop
from v2drop.errors import UnsupportedModelError

RANK = ("passed", "xpassed", "xfailed", "skipped", "failed")


def pytest_addoption(parser):
    group = parser.getgroup("upstream")
    group.addoption("--outcomes", type=Path, required=True, help="where one JSON object a test is written")
    group.addoption("--attach-keep", type=float, help="attach v2drop to every model, with this ratio at every layer")
    group.addoption("--only", type=Path, help="run only the tests whose ids this file holds, one a line")
    group.addoption("--seconds", type=float, default=0, help="fail a test that takes longer; 0: never")


def pytest_configure(config):
    keep = config.getoption("--attach-keep")
    config.pluginmanager.register(Recorder(config, None if keep is None else Attacher(keep)))


class Attacher:
    """Attaches v2drop to the outermost model of every construction, as soon as it is made."""

    def __init__(self, keep):
        self.keep = keep
        self.attachments = {}  # by inner model: of a model in another one, and of that one, only the outer is attached
        stock = PreTrainedModel.post_init

        def post_init(model):
            stock(model)
            self.attach(model)

        PreTrainedModel.post_init = post_init

    def attach(self, model):
        if getattr(model.config, "model_type", None) not in v2drop.registered_adapters():
            return
        adapter = v2drop.get_adapter(model)
        try:
            depth = len(adapter.decoder_layers(model))
        except UnsupportedModelError:  # a part, such as the vision tower, whose config has the whole model's type
            return
        inner = adapter.inner_model(model)
        if inner in self.attachments:
            self.attachments.pop(inner).detach()
        stages = [(layer, self.keep) for layer in range(adapter.first_stage(model), depth)]
        self.attachments[inner] = v2drop.attach(model, v2drop.Schedule(stages))

    def told(self):
        """How many models were attached since the last call, and how many of them saw vision tokens."""
        attachments = list(self.attachments.values())
        self.attachments.clear()
        return {
            "attached": len(attachments),
            "saw_vision": sum(attachment.report is not None for attachment in attachments),
        }


class Recorder:
    """Writes each test's outcome, the worst of its phases, as soon as it is known."""

    def __init__(self, config, attacher):
        self.attacher = attacher
        self.file = config.getoption("--outcomes").open("w")
        self.seconds = config.getoption("--seconds")
        only = config.getoption("--only")
        self.only = None if only is None else set(only.read_text().splitlines())

    def pytest_collection_modifyitems(self, config, items):
        if self.only is not None:
            config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in self.only])
            items[:] = [item for item in items if item.nodeid in self.only]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.phases = []
        seed_everything()
        try:
            return (yield)
        finally:
            outcome, why = max(self.phases, key=lambda phase: RANK.index(phase[0]), default=("failed", "did not run"))
            told = {} if self.attacher is None else self.attacher.told()
            json.dump({"id": item.nodeid, "outcome": outcome, "why": why, **told}, self.file)
            self.file.write("\n")
            self.file.flush()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        def too_long(*_):
            pytest.fail(f"took longer than {self.seconds:g} s")

        before = signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def pytest_runtest_logreport(self, report):
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = "xfailed" if report.skipped else "xpassed"
        crash = getattr(report.longrepr, "reprcrash", None)
        why = "" if crash is None else crash.message.strip().splitlines()[0]
        self.phases.append((outcome, why))


def seed_everything():
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)
    for module in list(sys.modules.values()):  # transformers' tests draw their inputs from generators of this name
        generator = vars(module).get("global_rng")
        if isinstance(generator, random.Random):
            generator.seed(0)
