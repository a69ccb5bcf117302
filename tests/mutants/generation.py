"""Mutants of what `generate` does with a model: decoding modes, compiled steps, attention, outputs."""

from __future__ import annotations

from .method import CONTRACT, LLAVA
from .mutant import Mutant

ATTACHMENT, CHUNK, CHUNK_MAKER, MEMORY = (
    f"core/v2drop/runtime/{name}.py" for name in ("attachment", "forward_pass", "prepare", "cache_record")
)
MASKS = "core/v2drop/hf/masks.py"

GENERATION = [
    Mutant(
        "decoding modes",
        "a decode step sees fillers",
        CHUNK,
        "held is not None and held.is_token is not None",
        "False",
        (f"{LLAVA}truth_in_generation",),
    ),
    Mutant(
        "decoding modes",
        "what was generated is forgotten",
        MEMORY,
        "[before, KeptTokens.every(self.length, past, like)]",
        "[before, KeptTokens.every(past, past, like)]",
        (f"{LLAVA}truth_in_beam_search",),
    ),
    Mutant(
        "decoding modes",
        "candidates that were rejected are not cropped from every layer",
        MEMORY,
        "record = self if past >= self.length else self._cropped(past)",
        "record = self",
        (f"{LLAVA}assisted_generation_gives_what_greedy_generation_gives",),
    ),
    Mutant(
        "decoding modes",
        "a placeholder that the model emits is a vision token",
        CHUNK_MAKER,
        "None if text else self._dropper(",
        "self._dropper(",
        (f"{CONTRACT}an_emitted_placeholder_is_no_vision_token",),
    ),
    Mutant(
        "decoding modes",
        "placeholders that a prompt lookup proposes are vision tokens",
        CHUNK_MAKER,
        "text = not media and assigned is None",
        "text = length == 1 and not media and assigned is None",
        (f"{CONTRACT}a_prompt_lookup_may_propose_placeholders[sdpa-3]",),
    ),
    Mutant(
        "compile",
        "a compiled step asks how full the cache is",
        CHUNK_MAKER,
        "if text and length == 1 and torch.compiler.is_compiling() and static_length(cache) is not None:",
        "if False:",
        (f"{LLAVA}a_compiled_step_serves_every_step",),
    ),
    Mutant(
        "compile",
        "there is no room for what will follow the prompt",
        MEMORY,
        "most = rows.positions.shape[1] + columns - length",
        "most = rows.positions.shape[1]",
        (f"{LLAVA}a_compiled_step_serves_every_step",),
    ),
    Mutant(
        "compile",
        "code compiled before attaching is used on",
        ATTACHMENT,
        'vars(module)["forward"] = module.forward',
        "pass",
        (f"{LLAVA}a_compiled_step_serves_every_step",),
    ),
    Mutant(
        "attention",
        "eager: fillers weigh as much as others",
        MASKS,
        "torch.finfo(mask.dtype).min, 0.0)",
        "0.0, 0.0)",
        (
            "tests/core/test_masks.py::test_additive_masks_are_gathered_and_fillers_hidden",
            f"{LLAVA}truth_in_a_forward_pass",
        ),
    ),
    Mutant(
        "attention",
        "sdpa: a query without a mask does not see itself",
        MASKS,
        "mask = keys.positions[:, None, None, :] <= (own.positions",
        "mask = keys.positions[:, None, None, :] < (own.positions",
        (f"{LLAVA}truth_in_a_forward_pass",),
    ),
    Mutant(
        "attention",
        "flex: the mask is asked about shortened rows",
        MASKS,
        "row = query if queries is None else queries.positions[sample, query]",
        "row = query",
        (f"{LLAVA}flex_attention_gives_what_sdpa_gives",),
    ),
    Mutant(
        "attention",
        "flash: fillers are real keys",
        MASKS,
        "return short if keys.is_token is None else short * keys.is_token.to(short.device, short.dtype)",
        "return short",
        (f"{LLAVA}flash_attentions_contract_holds",),
    ),
    Mutant(
        "attention",
        "flash: a mask that ends before a static cache does is read on",
        MASKS,
        "keys.positions.clamp(max=mask.shape[1])",
        "keys.positions.clamp(max=mask.shape[1] - 1)",
        (f"{LLAVA}flash_attention_over_a_static_cache",),
    ),
    Mutant(
        "attention",
        "flash: a mask of queries and keys is made",
        MASKS,
        'if "flash" in attention:',
        "if False:",
        (f"{LLAVA}flash_attentions_contract_holds",),
    ),
    Mutant(
        "outputs",
        "hidden states come out shortened",
        "core/v2drop/hf/outputs.py",
        'for name in ("hidden_states", "attentions"):',
        'for name in ("attentions",):',
        (f"{LLAVA}hidden_states_and_attentions_have_stock_shapes",),
    ),
    Mutant(
        "outputs",
        "attention weights come out shortened",
        "core/v2drop/hf/outputs.py",
        'for name in ("hidden_states", "attentions"):',
        'for name in ("hidden_states",):',
        (f"{LLAVA}hidden_states_and_attentions_have_stock_shapes",),
    ),
    Mutant(
        "outputs",
        "the last hidden state ends early, and logits and losses with it",
        "core/v2drop/kept_tokens.py",
        "return full.index_put((samples, positions), hidden_states)",
        "return full.index_put((samples, positions.clamp(max=length - 2)), hidden_states)",
        (f"{LLAVA}loss_and_kept_logits_are_those_of_the_whole_output",),
    ),
]
