"""What a user does with a model in a combination, turn by turn."""

from __future__ import annotations

import copy
from functools import cache

import torch

from v2drop.conformance.cases import behind
from v2drop.conformance.samples import collate

STEPS = 3
LOOKAHEAD_STEPS = 8  # so that candidates are rejected and cropped now and then


@torch.no_grad()
def play(combination, model, case, *, plainly=False):
    """What the model gives in each turn: logits of the text, or generated tokens and each step's logits.

    `plainly`: with a cache that grows in place of a static one, and greedily in place of looking ahead.
    """
    conversation = Conversation(combination, model, case, plainly)
    conversation.take_turn(case.given(model), case.inputs, case.inputs)
    if combination.between == "emptied":
        conversation.start_over(case.later)
    elif case.later is not None:
        generator = torch.Generator().manual_seed(case.seed + 1)
        words = collate([combination.subject.make_sample(generator, 0) for _ in case.media], "left")
        if combination.between == "copied":
            conversation.branch(words)
        elif combination.between == "cropped":
            conversation.go_on_and_crop(words)
        conversation.go_on(case.later)
    return conversation.seen


@cache
def draft_of(subject):
    """A draft model for assisted generation that is sometimes wrong."""
    draft = copy.deepcopy(subject.model())
    draft.generation_config.num_assistant_tokens = 3
    with torch.no_grad():
        for weight in subject.adapter().decoder_layers(draft)[-1].parameters():
            weight.mul_(0.5)
    return draft


class Conversation:
    """Turns on one cache, and in `seen` what each gave."""

    def __init__(self, combination, model, case, plainly):
        self.combination, self.model, self.case, self.plainly = combination, model, case, plainly
        self.seen = []
        self.whole, self.sequences = case.inputs, case.inputs["input_ids"]  # what was said, and with the last answer
        self.cache = None
        if combination.cache == "static" and not plainly:
            length = 4 * LOOKAHEAD_STEPS + case.inputs["input_ids"].shape[1] + 120  # two turns of at most 60 words
            length += 0 if case.later is None else case.later["input_ids"].shape[1]
            library = combination.subject.library
            self.cache = library.StaticCache(config=model.config.get_text_config(), max_cache_len=length)

    def go_on(self, turn):
        """Say a turn behind all that was said."""
        whole = behind(self.whole, self.sequences, turn)
        shape, columns = whole["input_ids"].shape, turn["input_ids"].shape[1]
        given = self._passed(whole)
        if self.combination.mode == "forward":  # takes the turn's columns, and a mask over all of them
            like_ids = [name for name in given if given[name].shape == shape and name != "attention_mask"]
            given |= {name: given[name][:, -columns:] for name in like_ids}
        self.take_turn(given, whole, turn)

    def branch(self, turn):
        """Say a turn behind a copy of the cache, and leave it at that."""
        before = self.whole, self.sequences, self.cache
        self.cache = copy.deepcopy(self.cache)
        self.go_on(turn)
        self.whole, self.sequences, self.cache = before

    def go_on_and_crop(self, turn):
        """Say a turn and take it back."""
        before, length = (self.whole, self.sequences), int(self.cache.get_seq_length())
        self.go_on(turn)
        try:
            self.cache.crop(length)  # transformers 5.0 takes the length that is to be left
        except (ValueError, RuntimeError):
            self.cache.crop(length - int(self.cache.get_seq_length()))
        self.whole, self.sequences = before

    def start_over(self, turn):
        """Say a turn behind nothing, on the same cache."""
        if self.plainly:
            self.cache = None
        else:
            self.cache.reset()
        self.take_turn(self._passed(turn), turn, turn)

    def _passed(self, whole):
        return {name: value for name, value in whole.items() if self.case.masked or name != "attention_mask"}

    def take_turn(self, given, whole, turn):
        torch.manual_seed(self.case.seed)
        self.whole = whole
        if self.combination.mode == "forward":
            self._forward(given, turn)
        else:
            self._generate(given)

    def _forward(self, given, turn):
        output = self.model(**given, past_key_values=self.cache, use_cache=self.combination.cache != "none")
        self.cache, self.sequences = output.past_key_values, self.whole["input_ids"]
        self.seen.append(output.logits[self.combination.subject.is_text(turn)])

    def _generate(self, given):
        steps = LOOKAHEAD_STEPS if self.combination.is_lookahead else STEPS
        options = {"return_dict_in_generate": True, "output_logits": True, "max_new_tokens": steps, "do_sample": False}
        if self.combination.cache == "none":
            options["use_cache"] = False
        elif self.cache is not None:
            options["past_key_values"] = self.cache
        output = self.model.generate(**given, **options | self._mode())
        length = self.whole["input_ids"].shape[1] + steps  # transformers 5.0 may look one token further
        self.cache, self.sequences = output.past_key_values, output.sequences[:, :length]
        self.seen.append(self.sequences.float())
        if not self.combination.is_lookahead:
            self.seen.extend(output.logits)

    def _mode(self):
        mode, answers = self.combination.mode, self.combination.answers
        # assisted generation passes whole prompts behind a filled cache: a later turn is greedy
        if self.combination.is_lookahead and (self.plainly or self.seen):
            return {}
        return {
            "greedy": {},
            "sampling": {"do_sample": True, "num_return_sequences": answers},
            "beams": {"num_beams": 3, "num_return_sequences": answers},
            "prompt lookup": {"prompt_lookup_num_tokens": 3},
            "assisted": {"assistant_model": draft_of(self.combination.subject)},
            "chunked prefill": {"prefill_chunk_size": 9},
        }[mode]
