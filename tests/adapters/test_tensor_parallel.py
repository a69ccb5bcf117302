"""Tensor parallel by transformers' own plan, in two gloo processes: every rank keeps and says what a single process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.subjects import SUBJECTS

import v2drop

TESTS = Path(__file__).parent.parent
SOURCES = [TESTS, *(TESTS.parent / root for root in ("core", "adapters", "scripts"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes said of every architecture; made by one launch of torchrun."""
    folder = tmp_path_factory.mktemp("tensor_parallel")
    for subject in SUBJECTS:
        here = folder / subject.adapter.model_types[0]
        subject.model().save_pretrained(here)
        torch.save(subject.ending_in_text(1, 0, 2), here / "inputs.pt")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), *map(str, SOURCES)]))
    done = subprocess.run(
        [*launch, str(TESTS / "support" / "tensor_parallel_worker.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@torch.no_grad()
@pytest.mark.feature("Placement", 'tp_plan="auto", two processes')
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.adapter.model_types[0])
def test_ranks_keep_what_a_single_process_keeps(subject, folder):
    model, here = subject.model(), folder / subject.adapter.model_types[0]
    with v2drop.attach(model, subject.halves) as run:
        wanted = model.generate(
            **torch.load(here / "inputs.pt"),
            max_new_tokens=4,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
    whole = subject.adapter().decoder_layers(model)[0].self_attn.q_proj.weight.shape[0]
    for rank in (0, 1):
        said = torch.load(here / f"rank{rank}.pt")
        assert said["query_rows"] == whole // 2, "the weights were not split"
        assert said["report"] == run.report.to_dict()
        assert torch.equal(said["tokens"], wanted.sequences)
        torch.testing.assert_close(said["logits"], torch.stack(wanted.logits), atol=1e-4, rtol=1e-4)
