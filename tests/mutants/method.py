"""Mutants of the method itself: what is scored, who stays, and what becomes of the rows that are left."""

from __future__ import annotations

from .mutant import Mutant

LLAVA = "tests/adapters/test_llava_conformance.py::TestLlava::test_"
CONTRACT = "tests/adapters/test_llava_contract.py::test_"
DROPPER = "tests/core/test_dropper.py::test_"

METHOD = [
    Mutant(
        "method",
        "differences are accumulated in bfloat16",
        "core/v2drop/methods/variation.py",
        "torch.linalg.vector_norm(current.float() - previous, dim=-1)",
        "torch.linalg.vector_norm(current - previous, dim=-1).float()",
        (f"{LLAVA}low_precision_stays_finite",),
    ),
    Mutant(
        "method",
        "l1 is l2",
        "core/v2drop/methods/variation.py",
        "previous, ord=1, dim=-1)",
        "previous, dim=-1)",
        ("tests/core/test_variation.py::test_l1_and_cosine",),
    ),
    Mutant(
        "method",
        "the tokens that changed least stay",
        "core/v2drop/methods/v2drop.py",
        "return token_variation(",
        "return -token_variation(",
        (f"{LLAVA}truth_in_a_forward_pass",),
    ),
    Mutant(
        "method",
        "between equal scores the later position stays",
        "core/v2drop/methods/selection.py",
        "ranked = scores.masked_fill(~candidates, -torch.inf).argsort(",
        "ranked = scores.shape[1] - 1 - scores.masked_fill(~candidates, -torch.inf).flip(1).argsort(",
        (f"{DROPPER}between_equal_scores_the_earlier_position_stays",),
    ),
    Mutant(
        "method",
        "how many stay is rounded to the nearest",
        "core/v2drop/schedule.py",
        "return min(n, max(self.min_tokens, int(n * stage.keep)))",
        "return min(n, max(self.min_tokens, round(n * stage.keep)))",
        (f"{LLAVA}truth_in_a_forward_pass",),
    ),
    Mutant(
        "method",
        "min_tokens is not heeded",
        "core/v2drop/schedule.py",
        "return min(n, max(self.min_tokens, int(n * stage.keep)))",
        "return min(n, int(n * stage.keep))",
        (f"{LLAVA}truth_in_a_forward_pass",),
    ),
    Mutant(
        "method",
        "the last token is a candidate",
        "core/v2drop/dropper.py",
        "self.vision_mask & (columns != last_real)",
        "self.vision_mask & (columns >= 0)",
        (f"{LLAVA}truth_in_a_forward_pass",),
    ),
    Mutant(
        "method",
        "padding is a candidate",
        "core/v2drop/dropper.py",
        "self.vision_mask = vision_mask & real",
        "self.vision_mask = vision_mask",
        (f"{DROPPER}the_largest_variations_stay",),
    ),
    Mutant(
        "method",
        "padding stays, and takes up rows",
        "core/v2drop/dropper.py",
        "real = check_masks(vision_mask, attention_mask)",
        "real = check_masks(vision_mask, None)",
        (f"{DROPPER}padding_leaves_with_the_first_tokens_dropped",),
    ),
    Mutant(
        "method",
        "tokens that were dropped for good are alive in the report",
        "core/v2drop/report.py",
        "alive = alive & rows.is_token.to(alive.device)",
        "pass",
        (f"{LLAVA}truth_in_a_forward_pass",),
    ),
    Mutant(
        "method",
        "fillers are visible",
        "core/v2drop/hf/masks.py",
        "mask = mask.masked_fill(~valid_keys[:, None, None, :], hidden)",
        "pass",
        (f"{LLAVA}a_batch_gives_what_single_runs_give",),
    ),
    Mutant(
        "method",
        "rotary positions move together",
        "core/v2drop/adapter.py",
        "tuple(rows.gather(part, dim=part.ndim - 2) for part in pair)",
        "tuple(part.narrow(part.ndim - 2, 0, index.shape[1]) for part in pair)",
        (f"{LLAVA}truth_in_a_forward_pass",),
    ),
    Mutant(
        "method",
        "one sample's rows serve for all",
        "core/v2drop/kept_tokens.py",
        "(*[slice(None)] * batch_dim, samples, self.positions)",
        "(*[slice(None)] * batch_dim, samples, self.positions[:1])",
        (f"{LLAVA}a_batch_gives_what_single_runs_give",),
    ),
    Mutant(
        "method",
        "dropped rows of the output are not zeros",
        "core/v2drop/kept_tokens.py",
        "hidden_states = hidden_states.masked_fill(~self.is_token.to(hidden_states.device)[..., None], 0)",
        "pass",
        (f"{LLAVA}output_has_the_stock_shape",),
    ),
    Mutant(
        "method",
        "keep=1.0 goes the long way",
        "core/v2drop/dropper.py",
        "if staying == alive:",
        "if False:",
        (f"{DROPPER}keep_everything_returns_the_very_same_tensor",),
    ),
]
