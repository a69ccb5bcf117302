"""Run by an installed package's Python: a padded batch of unequal prompts, stock, at keep=1.0, and dropped one by one."""

import json
import sys
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

import v2drop

torch.set_num_threads(1)
folder = Path(sys.argv[1])
model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32").eval()
processor = AutoProcessor.from_pretrained(folder)
processor.tokenizer.padding_side = "left"
picture = Image.open(folder / "example.png").convert("RGB")
words = json.loads((folder / "v2drop.json").read_text())["prompt"]
prompts = [words, f"{words} {words} {words}", words.split()[0]]


def inputs(questions):
    chats = [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}] for question in questions
    ]
    texts = [processor.apply_chat_template(chat, add_generation_prompt=True) for chat in chats]
    return processor(text=texts, images=[picture] * len(texts), padding=True, return_tensors="pt")


@torch.no_grad()
def answers(questions):
    given = inputs(questions)
    said = model.generate(**given, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    return said[:, given["input_ids"].shape[1] :].tolist()


assert len({row.sum().item() for row in inputs(prompts)["attention_mask"]}) == 3, "the prompts are not unequal"
stock = answers(prompts)
depth = len(v2drop.get_adapter(model).decoder_layers(model))
with v2drop.attach(model, v2drop.Schedule([(layer, 1.0) for layer in range(1, depth)])):
    assert answers(prompts) == stock, "keep=1.0 answers differently"
with v2drop.attach(model, v2drop.Schedule([(1, 0.5), (depth - 2, 0.25)])) as run:
    together = answers(prompts)
    assert run.report.retained < 0.7
    assert [answers([each])[0] for each in prompts] == together, "a padded batch answers differently from its samples"
print(
    json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "retained": run.report.retained})
)
