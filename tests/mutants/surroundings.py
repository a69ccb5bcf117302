"""Mutants of what a call is made of and what surrounds it: inputs, wrappers, devices, ranks, threads, faults, training."""

from __future__ import annotations

from .generation import ATTACHMENT, CHUNK, MASKS, MEMORY
from .method import CONTRACT, LLAVA
from .mutant import Mutant

WRAPPED = "tests/adapters/test_wrappers.py::test_a_wrapped_model_drops_as_the_bare_one"
PLACED = "tests/adapters/test_placement.py::test_"
DEVICES = "tests/adapters/test_several_devices.py::test_layers_may_lie_on_two_devices"

# In a forward call, each layer asks for the state that it was handed; a mutant asks for that of the call that began last.
HANDED = "    forward_pass = kwargs.pop(_STATE, None)\n    if forward_pass is None:\n        return None\n    names"
LAST = HANDED.replace("    names", "    forward_pass = vars(_before_layer).setdefault('last', forward_pass)\n    names")
LAST = LAST.replace(
    "    forward_pass = vars",
    "    if layer == 0:\n        _before_layer.last = forward_pass\n    forward_pass = vars",
)

SURROUNDINGS = [
    Mutant(
        "inputs",
        "ids by position are not seen",
        ATTACHMENT,
        "inputs = {**dict(zip(self._arguments, args, strict=False)), **kwargs}",
        "inputs = kwargs",
        (f"{CONTRACT}input_ids_by_position_and_the_inner_model_alone",),
    ),
    Mutant(
        "inputs",
        "embeddings: the next token is taken for the placeholder",
        "core/v2drop/adapter.py",
        "embedding = table(torch.tensor(placeholder,",
        "embedding = table(torch.tensor(placeholder - 1,",
        (f"{CONTRACT}inputs_embeds_find_placeholders_as_the_stock_model_does",),
    ),
    Mutant(
        "inputs",
        "embeddings: marks of beams are mixed up",
        "core/v2drop/hf/inputs.py",
        "return mask.repeat_interleave(batch // mask.shape[0], dim=0)",
        "return mask.repeat(batch // mask.shape[0], 1)",
        (f"{CONTRACT}assigned_vision_mask_serves_one_call",),
    ),
    Mutant(
        "inputs",
        "embeddings: marks serve the next call too",
        ATTACHMENT,
        "assigned, self.vision_mask = self.vision_mask, None",
        "assigned = self.vision_mask",
        (f"{CONTRACT}assigned_vision_mask_serves_one_call",),
    ),
    Mutant(
        "inputs",
        "features: are no media",
        "core/v2drop/hf/inputs.py",
        "return any(value is not None for value in media.values())",
        "return False",
        (f"{LLAVA}precomputed_features_are_media",),
    ),
    Mutant(
        "inputs",
        "packed: gaps of dropped tokens are seams",
        "core/v2drop/hf/packed_sequences.py",
        "_renumbered(positions, rows) if rows.positions.shape[0] == 1 else None",
        "rows.gather(positions)",
        (f"{LLAVA}flash_attentions_contract_holds",),
    ),
    Mutant(
        "inputs",
        "packed: other sequences are padding",
        "core/v2drop/hf/inputs.py",
        "seen(real).any(dim=1).any(dim=1)",
        "seen(real)[:, 0, -1]",
        ("tests/core/test_masks.py::test_padding_is_what_no_row_sees",),
    ),
    Mutant(
        "inputs",
        "longer masks: are read from their end",
        "core/v2drop/hf/inputs.py",
        "attention_mask[..., past : past + length]",
        "attention_mask[..., -length:]",
        (f"{LLAVA}a_mask_may_go_on_behind_the_prompt",),
    ),
    Mutant(
        "inputs",
        "additive masks: what weighs less is padding",
        MASKS,
        "return mask > HIDDEN if",
        "return mask == 0 if",
        (f"{LLAVA}additive_masks_hide_only_what_they_hide",),
    ),
    Mutant(
        "inputs",
        "absent masks: all is padding",
        "core/v2drop/dropper.py",
        "return torch.ones_like(vision_mask)",
        "return torch.zeros_like(vision_mask)",
        (f"{LLAVA}truth_of_packed_sequences",),
    ),
    Mutant(
        "inputs",
        "hidden media: are missing",
        "core/v2drop/runtime/prepare.py",
        "if media and (found is None or not found.any()):",
        "if media:",
        (f"{LLAVA}media_that_the_mask_hides_are_left_alone",),
    ),
    Mutant(
        "inputs",
        "own positions: are not passed on",
        ATTACHMENT,
        "args, {**kwargs, _STATE: forward_pass}",
        'args, {**kwargs, "position_ids": None, _STATE: forward_pass}',
        (f"{LLAVA}truth_with_positions_of_ones_own",),
    ),
    Mutant(
        "wrappers",
        "the model inside of PEFT's prompt learning is not found",
        "core/v2drop/registry.py",
        'elif hasattr(model, "peft_config") and hasattr(model, "get_base_model"):',
        "elif False:",
        ("tests/adapters/test_wrappers.py::test_prompts_that_were_learnt_are_text[llava]",),
    ),
    Mutant(
        "wrappers",
        "the model inside of PEFT's mixed models is not found",
        "core/v2drop/registry.py",
        'elif hasattr(getattr(model, "base_model", None), "peft_config"):',
        "elif False:",
        (f"{WRAPPED}[llava-mixed]",),
    ),
    Mutant(
        "wrappers",
        "a compiled model's forward is left as it was",
        "core/v2drop/registry.py",
        'if hasattr(model, "_orig_mod"):',
        "if False:",
        (f"{WRAPPED}[llava-compiled_inside]",),
    ),
    Mutant(
        "wrappers",
        "a compiled inner model's wrapper is hooked",
        ATTACHMENT,
        "unwrap(adapter.inner_model(model))",
        "adapter.inner_model(model)",
        (f"{WRAPPED}[llava-compiled_inside]",),
    ),
    Mutant(
        "wrappers",
        "replicas of data parallel run with the first one's weights",
        ATTACHMENT,
        'if getattr(module, "_is_replica", False):',
        "if False:",
        ("tests/adapters/test_wrappers.py::test_replicas_are_refused[llava]",),
    ),
    Mutant(
        "placement",
        "candidates stay on the first device",
        "core/v2drop/dropper.py",
        "self._candidates, self._real = self._candidates.to(device), self._real.to(device)",
        "pass",
        (f"{DEVICES}[llava-sdpa-growing cache]",),
    ),
    Mutant(
        "placement",
        "a stage compares inputs of two devices",
        "core/v2drop/dropper.py",
        "previous.to(device)",
        "previous",
        (f"{DEVICES}[llava-sdpa-growing cache]",),
    ),
    Mutant(
        "placement",
        "detaching takes accelerate's forward along",
        ATTACHMENT,
        'if "forward" not in vars(module):',
        "if True:",
        (f"{PLACED}detaching_leaves_accelerates_hooks_in_their_places[llava]",),
    ),
    Mutant(
        "parallel",
        "each rank scores with a noise of its own",
        "core/v2drop/dropper.py",
        "scores = self.method.score(context).float()",
        "scores = self.method.score(context).float() * (1 + (\n"
        "                torch.distributed.is_initialized() and torch.distributed.get_rank() * hidden_states.mean(-1)))",
        ("tests/adapters/test_tensor_parallel.py::test_ranks_keep_what_a_single_process_keeps[llava]",),
    ),
    Mutant(
        "threads",
        "re-entrant: layers follow the call that began last",
        ATTACHMENT,
        HANDED,
        LAST,
        (f"{LLAVA}a_call_inside_of_a_call",),
    ),
    Mutant(
        "threads",
        "interleaved: all caches have one memory",
        MEMORY,
        "setattr(cache, _ATTRIBUTE, self)",
        "setattr(type(cache), _ATTRIBUTE, self)",
        (f"{LLAVA}generations_in_turns_do_not_mix", f"{LLAVA}threads_generate_at_the_same_time"),
    ),
    Mutant(
        "faults",
        "exceptions: leave the model attached",
        ATTACHMENT,
        "        self.detach()\n",
        "        exception[0] or self.detach()\n",
        (f"{CONTRACT}attaching_twice_is_an_error_and_detach_restores",),
    ),
    Mutant(
        "faults",
        "out of memory: a call that failed is kept",
        ATTACHMENT,
        "forward_pass = self._passes.make(module, inputs, assigned)",
        "forward_pass = self._passes.make(module, inputs, assigned)\n"
        "        vars(self).setdefault('calls', []).append(forward_pass)",
        (f"{LLAVA}a_call_that_fails_anywhere_leaves_nothing",),
    ),
    Mutant(
        "faults",
        "NaN: decides who goes",
        "core/v2drop/methods/selection.py",
        "scores.nan_to_num(torch.inf, torch.inf,",
        "scores.nan_to_num(0, 0,",
        (f"{LLAVA}not_a_number_is_reported_and_stays",),
    ),
    Mutant(
        "faults",
        "NaN: is not told",
        "core/v2drop/dropper.py",
        "self.nonfinite.append((~scores.isfinite() & self._candidates).sum())",
        "pass",
        (f"{LLAVA}not_a_number_is_reported_and_stays",),
    ),
    Mutant(
        "training",
        "gradients end at the first stage",
        "core/v2drop/kept_tokens.py",
        "return tensor.expand(shape)[where]",
        "return tensor.expand(shape)[where].detach()",
        (f"{LLAVA}gradients_are_those_of_masking",),
    ),
    Mutant(
        "training",
        "checkpointing: layers that run again see all rows",
        CHUNK,
        "return self.dropper.replay(layer, hidden_states)",
        "return hidden_states",
        (f"{LLAVA}checkpointed_layers_give_the_same_gradients",),
    ),
]
