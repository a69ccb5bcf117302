"""The zoo's word-level tokenizers and its chat template."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "user:", "assistant:"]
VIDEO_SPECIAL = [*SPECIAL, "<video>", "<vision>", "</vision>"]
_CHAT_TEMPLATE = (
    "{{ '<s>' }}{% for message in messages if message['role'] != 'system' %}"
    "{% if message['role'] == 'user' %}{{ ' user:' }}{% else %}{{ ' assistant:' }}{% endif %}"
    "{% if message['content'] is string %}{{ ' ' + message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ ' IMAGE' }}VIDEO_PART{% elif part['type'] == 'text' %}{{ ' ' + part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] != 'user' %}{{ ' </s>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ ' assistant:' }}{% endif %}"
)


def chat_template(image: str, video: str | None = None) -> str:
    """The zoo's chat template, with the placeholders of a picture and, if the model takes videos, of a video."""
    part = f"{{% elif part['type'] == 'video' %}}{{{{ ' {video}' }}}}" if video else ""
    return _CHAT_TEMPLATE.replace("IMAGE", image).replace("VIDEO_PART", part)


def build_tokenizer(special: Sequence[str], words: Sequence[str]) -> PreTrainedTokenizerFast:
    """A word-level tokenizer over the special tokens and the words, in this order."""
    vocabulary = list(dict.fromkeys([*special, *words]))
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    media = {"image_token": "<image>", "video_token": "<video>"} if "<video>" in special else {"image_token": "<image>"}
    extra = {"additional_special_tokens": ["<vision>", "</vision>"]} if "<video>" in special else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=media,
        padding_side="left",
        model_max_length=4096,
        **extra,
    )
