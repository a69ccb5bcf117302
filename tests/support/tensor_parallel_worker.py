"""One process of a tensor-parallel run: loads its shards of each model, generates attached, and saves the outputs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText

import v2drop
from support.subjects import SUBJECTS


@torch.no_grad()
def main(folder):
    torch.set_num_threads(1)
    for subject in SUBJECTS:
        here = folder / subject.adapter.model_types[0]
        model = AutoModelForImageTextToText.from_pretrained(here, tp_plan="auto").eval()
        with v2drop.attach(model, subject.halves) as run:
            output = model.generate(
                **torch.load(here / "inputs.pt"),
                max_new_tokens=4,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
            )
        query = subject.adapter().decoder_layers(model)[0].self_attn.q_proj.weight
        said = {
            "tokens": output.sequences,
            "logits": torch.stack(output.logits),
            "report": run.report.to_dict(),
            "query_rows": (query.to_local() if hasattr(query, "to_local") else query).shape[0],
        }
        torch.save(said, here / f"rank{os.environ['RANK']}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
