"""Mutants of comparisons: rows, statistics, the clock, who is first, the methods and the attention they look at."""

from __future__ import annotations

from .mutant import Mutant

RESULTS, STATISTICS, TIMING, HARNESS = (
    f"scripts/v2drop_scripts/{name}.py" for name in ("results", "statistics", "timing", "comparing")
)
ATTENTION = "core/v2drop/attention.py"
FASTV, SPARSEVLM, DART = (f"core/v2drop/methods/{name}.py" for name in ("fastv", "sparsevlm", "dart"))
ROWS = "tests/scripts/test_comparison_rows.py::test_"
PARTS = "tests/scripts/test_compare_parts.py::test_"
METHODS = "tests/core/test_methods.py::test_"
KIT = "tests/adapters/test_methods_conformance.py::"
FULL_MATRIX = "tests/adapters/test_attention_rows.py::test_rows_equal_the_full_matrix"

COMPARING = [
    Mutant(
        "comparing",
        "a method is tested against itself in place of random",
        RESULTS,
        "list(random.answers.values())",
        "list(found.answers.values())",
        (f"{ROWS}every_number_is_what_one_computes_by_hand",),
    ),
    Mutant(
        "comparing",
        "the whole answer's time is that of its prefill",
        RESULTS,
        'median(time["prefill"] + time["decode"] for',
        'median(time["prefill"] for',
        (f"{ROWS}every_number_is_what_one_computes_by_hand",),
    ),
    Mutant(
        "comparing",
        "milliseconds are seconds",
        RESULTS,
        '"prefill_ms": 1e3 * ',
        '"prefill_ms": ',
        (f"{ROWS}every_number_is_what_one_computes_by_hand",),
    ),
    Mutant(
        "comparing",
        "ratios are dense's to the method's",
        RESULTS,
        "time[name] / theirs[name]",
        "theirs[name] / time[name]",
        (f"{ROWS}every_number_is_what_one_computes_by_hand",),
    ),
    Mutant(
        "comparing",
        "batches weigh the same, however many vision tokens they have",
        RESULTS,
        'sum(batch["retained"] * batch["vision_tokens"] for batch in found.batches) / max(1, tokens)',
        'mean(batch["retained"] for batch in found.batches)',
        (f"{ROWS}every_number_is_what_one_computes_by_hand",),
    ),
    Mutant(
        "comparing",
        "a budget that was not kept is not told",
        RESULTS,
        "unfairness(entrant, retained, tokens, asked, subject.num_layers)",
        "None",
        (f"{ROWS}a_budget_that_was_not_kept_is_told",),
    ),
    Mutant(
        "comparing",
        "working memory is the peak itself",
        RESULTS,
        "median(peak - rest for peak, rest in held)",
        "median(peak for peak, rest in held)",
        (f"{ROWS}every_number_is_what_one_computes_by_hand",),
    ),
    Mutant(
        "comparing",
        "answers are those of all models and modalities",
        HARNESS,
        "_key(each)[:3] == where and",
        "_key(each)[:1] == where[:1] and",
        (f"{ROWS}every_number_is_what_one_computes_by_hand",),
    ),
    Mutant(
        "comparing",
        "the same is always timed first",
        HARNESS,
        "turn = number % len(ready)",
        "turn = 0",
        ("tests/scripts/test_compare_commands.py::test_entrants_take_turns_at_being_timed_first",),
    ),
    Mutant(
        "comparing",
        "McNemar's test is one-sided",
        STATISTICS,
        "binomtest(won, won + lost, 0.5)",
        'binomtest(won, won + lost, 0.5, alternative="greater")',
        (f"{PARTS}mcnemars_test_is_exact_and_looks_at_differences_alone",),
    ),
    Mutant(
        "comparing",
        "the interval is not Wilson's",
        STATISTICS,
        'method="wilson"',
        'method="exact"',
        (f"{PARTS}wilson_intervals_are_the_published_formulas",),
    ),
    Mutant(
        "comparing",
        "the vision tower's time is the language model's",
        TIMING,
        "now() - self._started - self._elsewhere",
        "now() - self._started",
        (f"{ROWS}only_the_language_model_is_timed",),
    ),
    Mutant(
        "comparing",
        "the vision tower's time is taken off every later step",
        TIMING,
        "self._elsewhere, self._started = 0.0, now()",
        "self._started = now()",
        (f"{ROWS}only_the_language_model_is_timed",),
    ),
    Mutant(
        "methods",
        "attention: it is not scaled",
        ATTENTION,
        "(queries @ keys.transpose(2, 3) * scaling)",
        "(queries @ keys.transpose(2, 3))",
        (FULL_MATRIX,),
    ),
    Mutant(
        "methods",
        "attention: queries of a key's group are those of all",
        ATTENTION,
        "keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)",
        "keys.repeat(1, queries.shape[1] // keys.shape[1], 1, 1)",
        (FULL_MATRIX,),
    ),
    Mutant(
        "methods",
        "attention: rows are rotated like the first ones",
        ATTENTION,
        "cos[samples, rows], sin[samples, rows])",
        "cos[:, : rows.shape[1]], sin[:, : rows.shape[1]])",
        (FULL_MATRIX,),
    ),
    Mutant(
        "methods",
        "attention: later keys are seen",
        ATTENTION,
        "causal = keys <= rows[..., None] + before",
        "causal = keys <= rows[..., None] + before + count",
        ("tests/core/test_attention.py::test_without_a_mask_rows_see_what_stands_before_them_and_themselves",),
    ),
    Mutant(
        "methods",
        "fastv: the first token decides",
        FASTV,
        "context.attention(context.last)",
        "context.attention(context.last * 0)",
        (f"{METHODS}attention_from_the_last_token_decides",),
    ),
    Mutant(
        "methods",
        "fastv: one head decides",
        FASTV,
        "[:, :, 0].mean(1)",
        "[:, 0, 0]",
        (f"{METHODS}attention_from_the_last_token_decides",),
    ),
    Mutant(
        "methods",
        "sparsevlm: every text token is a rater",
        SPARSEVLM,
        "raters = valid & (looking >= average)",
        "raters = valid",
        (f"{METHODS}raters_are_text_tokens_that_look_more_than_the_average",),
    ),
    Mutant(
        "methods",
        "sparsevlm: text tokens rate by what they look at besides vision",
        SPARSEVLM,
        "(received * context.vision[:, None, :]).sum(2)",
        "received.sum(2)",
        (f"{METHODS}raters_are_text_tokens_that_look_more_than_the_average",),
    ),
    Mutant(
        "methods",
        "dart: pivots have the smallest keys",
        DART,
        "size.topk(count, dim=1)",
        "size.topk(count, dim=1, largest=False)",
        (f"{METHODS}pivots_stay_and_what_is_unlike_them",),
    ),
    Mutant(
        "methods",
        "dart: tokens are unlike the least similar pivot",
        DART,
        "-1.0).amax(2)",
        "-1.0).amin(2)",
        (f"{KIT}TestDartOnLlava::test_truth_in_a_forward_pass",),
    ),
    Mutant(
        "methods",
        "dart: those that are alike stay",
        DART,
        "return (-likeness).scatter(",
        "return likeness.scatter(",
        (f"{METHODS}pivots_stay_and_what_is_unlike_them",),
    ),
]
