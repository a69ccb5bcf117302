"""Mutants of caches between calls: what is remembered of them, and when it is forgotten."""

from __future__ import annotations

from .generation import CHUNK, MEMORY
from .method import CONTRACT, LLAVA
from .mutant import Mutant

CACHING = [
    Mutant(
        "caches",
        "dynamic: nothing is remembered on the cache",
        CHUNK,
        ".store(self._cache)",
        "",
        (f"{LLAVA}truth_in_a_later_turn",),
    ),
    Mutant(
        "caches",
        "none: what is to be remembered has no place",
        CHUNK,
        "if self._cache is not None and self.dropper.rows is not None:",
        "if self.dropper.rows is not None:",
        (f"{LLAVA}truth_without_a_cache",),
    ),
    Mutant(
        "caches",
        "static: a shortened layer is shown other values than it holds",
        "core/v2drop/hf/caches.py",
        "values[:, :, : self._columns]",
        "values[:, :, : self._columns].roll(1, 2)",
        (f"{LLAVA}a_static_cache_gives_what_a_growing_one_gives",),
    ),
    Mutant(
        "caches",
        "prefill in chunks: each counts its positions from 0",
        MEMORY,
        "KeptTokens(rows.positions + past, rows.is_token)",
        "KeptTokens(rows.positions, rows.is_token)",
        (f"{LLAVA}truth_where_the_prompt_is_taken_in_chunks",),
    ),
    Mutant(
        "caches",
        "turns: new pictures forget what older ones lost",
        MEMORY,
        "for layer in sorted({*self.held, *kept})",
        "for layer in sorted(kept)",
        (
            "tests/core/test_cache_record.py::test_a_stage_unknown_to_the_earlier_chunk_starts_from_what_its_layer_holds",
        ),
    ),
    Mutant(
        "caches",
        "crop: layers keep keys that were cropped away",
        MEMORY,
        "columns = rows.positions.shape[1] - (self.length - past)",
        "columns = rows.positions.shape[1]",
        (f"{LLAVA}assisted_generation_gives_what_greedy_generation_gives",),
    ),
    Mutant(
        "caches",
        "crop: into a picture",
        MEMORY,
        "if past < self.vision_end:",
        "if False:",
        ("tests/core/test_cache_record.py::test_cropped_caches_and_other_batches_are_refused",),
    ),
    Mutant(
        "caches",
        "sliding windows: are not refused",
        CHUNK,
        "check_cache(self._cache)",
        "pass",
        (f"{LLAVA}caches_of_sliding_windows",),
    ),
    Mutant(
        "caches",
        "deepcopy: a copy remembers nothing",
        MEMORY,
        "    @staticmethod\n    def forget(",
        "    def __deepcopy__(self, _: Any) -> CacheRecord:\n        return CacheRecord()\n\n    @staticmethod\n    def forget(",
        (f"{LLAVA}a_copied_cache_branches_a_conversation",),
    ),
    Mutant(
        "caches",
        "crop: fillers stand where no mask reaches",
        MEMORY,
        ".clamp(max=past - 1)",
        "",
        (f"{LLAVA}truth_behind_a_ragged_batch_whose_last_words_were_cropped",),
    ),
    Mutant(
        "caches",
        "crop: words go in place of padding",
        MEMORY,
        "if lost[:, max(columns, 0) :].any():",
        "if False:",
        (f"{LLAVA}padding_cropped_off_a_cache",),
    ),
    Mutant(
        "caches",
        "reset: an emptied cache is remembered",
        MEMORY,
        "if not past or refilled:",
        "if False:",
        (f"{CONTRACT}a_cache_that_was_reset_starts_afresh",),
    ),
    Mutant(
        "caches",
        "reset: a cache that was filled anew is remembered",
        MEMORY,
        "if not past or refilled:",
        "if not past:",
        (f"{CONTRACT}a_static_cache_filled_anew_while_detached_is_the_stock_models",),
    ),
    Mutant(
        "caches",
        "quantized: methods look at the latest keys alone",
        "core/v2drop/hf/caches.py",
        "earlier = copy.copy(held).update(none, none)[0]",
        "pass",
        ("tests/adapters/test_attention_rows.py::test_rows_equal_the_full_matrix[llava-eager-quantized]",),
    ),
    Mutant(
        "caches",
        "quantized: keys are counted that were quantized away",
        MEMORY,
        "int(cache.layers[shortest].get_seq_length())",
        "cache.layers[shortest].keys.shape[-1]",
        (
            "tests/adapters/test_quantized.py::test_a_step_over_a_quantized_cache_is_one_over_its_dequantized_keys[llava]",
        ),
    ),
    Mutant(
        "caches",
        "offloaded: a step sees fillers",
        CHUNK,
        "if self._changed_at and (rows is not None or self._ragged or kwargs.get(names.attention_mask) is not None):",
        "if self._changed_at and (rows is not None or getattr(self._cache, 'offloading', False) is False):",
        ("tests/adapters/test_offloaded_cache.py::test_an_offloaded_cache_gives_what_a_resident_one_gives[llava]",),
    ),
]
