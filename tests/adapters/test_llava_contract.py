"""What an attachment promises beyond the conformance kit, on stock LLaVA: caches, precision, failures, masks, reads."""

from __future__ import annotations

import copy
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
import torch
import transformers
from support.host_reads import HostReads
from support.tiny_llava import IMAGE, PICTURE, SIDE, batch, prompt, tiny_llava
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, LogitsProcessorList, StaticCache
from transformers.cache_utils import DynamicLayer

import v2drop
from v2drop_llava import LlavaAdapter

HALVES = v2drop.Schedule([(1, 0.5), (3, 0.5), (5, 0)])
EVERYTHING = v2drop.Schedule([(1, 1.0), (3, 1.0), (5, 1.0)])
GREEDY = {"max_new_tokens": 6, "do_sample": False}


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request):
    return tiny_llava(attention=request.param)


def inputs_for(*pictures, seed=0, **options):
    return batch(torch.Generator().manual_seed(seed), pictures, **options)


def hooks_of(model):
    return [
        hook
        for module in model.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks)
        for hook in hooks.values()
    ]


@torch.no_grad()
def test_output_has_the_stock_shape_with_zeros_where_tokens_were_dropped(model):
    inputs = inputs_for(1, 2)
    with v2drop.attach(model, HALVES) as run:
        hidden = model.model(**inputs).last_hidden_state
        loss = model(**inputs, labels=inputs["input_ids"].masked_fill(inputs["input_ids"] == IMAGE, -100)).loss
    assert hidden.shape[:2] == inputs["input_ids"].shape
    vision = inputs["input_ids"] == IMAGE
    alive = torch.zeros_like(vision)
    for row, positions in enumerate(run.report.kept[5]):
        alive[row, positions] = True
    assert (hidden[vision & ~alive] == 0).all()
    text = ~vision & inputs["attention_mask"].bool()
    assert (hidden[text].abs().sum(-1) > 0).all()
    assert loss.isfinite()


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_precisions_score_in_float32(dtype, model):
    attention = model.config.get_text_config()._attn_implementation
    low = tiny_llava(attention=attention, dtype=dtype)
    inputs = inputs_for(2, 1, dtype=dtype)
    seen = {}
    layers = low.model.language_model.layers
    handles = [
        layers[number].register_forward_pre_hook(lambda _, args, number=number: seen.__setitem__(number, args[0]))
        for number in (0, 1)
    ]  # before attaching, so that these see the full inputs
    with v2drop.attach(low, HALVES) as run:
        output = low(**inputs)
        assert low.generate(**inputs, **GREEDY).shape[1] == inputs["input_ids"].shape[1] + 6
        low(**inputs)
    for handle in handles:
        handle.remove()
    text = (inputs["input_ids"] != IMAGE) & inputs["attention_mask"].bool()
    assert output.logits.dtype == dtype
    assert output.logits[text].isfinite().all()
    scores = (seen[1].float() - seen[0].float()).norm(dim=-1)
    for row, positions in enumerate(run.report.kept[1]):
        columns = (inputs["input_ids"][row] == IMAGE).nonzero().flatten().tolist()
        ranked = sorted(columns, key=lambda column: (-scores[row, column].item(), column))
        kept = set(positions.tolist())
        cut = scores[row, ranked[len(kept) - 1]].item()
        assert len(kept) == len(columns) // 2
        assert {c for c in columns if scores[row, c] > cut * (1 + 1e-6)} <= kept
        assert all(scores[row, c] >= cut * (1 - 1e-6) for c in kept)


@torch.no_grad()
def test_copied_cache_branches_a_conversation(model):
    inputs = inputs_for(2, 1)
    with v2drop.attach(model, HALVES):
        output = model(**inputs)
        branch = copy.deepcopy(output.past_key_values)
        mask = torch.cat([inputs["attention_mask"], torch.ones(2, 1, dtype=torch.long)], dim=1)
        token = output.logits[:, -1:].argmax(-1)
        first = model(input_ids=token, attention_mask=mask, past_key_values=output.past_key_values).logits
        second = model(input_ids=token, attention_mask=mask, past_key_values=branch).logits
    assert torch.equal(first, second)


@torch.no_grad()
def test_a_cache_cropped_back_to_the_prompt_goes_on_as_before(model):
    """Rejected tokens leave no trace, whichever way a transformers release crops."""
    inputs = inputs_for(2, 1)
    length = inputs["input_ids"].shape[1]

    def mask(more):
        return torch.cat([inputs["attention_mask"], torch.ones(2, more, dtype=torch.long)], dim=1)

    with v2drop.attach(model, HALVES):
        cache = model(**inputs).past_key_values
        wanted = model(
            input_ids=torch.tensor([[5], [6]]), attention_mask=mask(1), past_key_values=copy.deepcopy(cache)
        ).logits
        for step in range(2):
            model(input_ids=torch.tensor([[7], [8]]), attention_mask=mask(step + 1), past_key_values=cache)
        cache.crop(length if transformers.__version__.startswith("5.0.") else -2)
        found = model(input_ids=torch.tensor([[5], [6]]), attention_mask=mask(1), past_key_values=cache).logits
        torch.testing.assert_close(found, wanted)


@torch.no_grad()
def test_a_cache_that_was_reset_starts_afresh(model):
    def text(more):
        return torch.arange(3, 3 + more)[None]

    with v2drop.attach(model, HALVES):
        cache = model(**inputs_for(2)).past_key_values
        cache.reset()
        if cache.get_seq_length():
            pytest.skip("this release keeps zeroed keys after a reset")
        model(input_ids=text(20), past_key_values=cache)
        found = model(input_ids=text(3), past_key_values=cache).logits
    fresh = model(input_ids=text(20)).past_key_values
    torch.testing.assert_close(found, model(input_ids=text(3), past_key_values=fresh).logits)


@torch.no_grad()
def test_static_caches_work_in_forward_calls_and_over_turns(model):
    inputs = inputs_for(2)
    prompt, words = inputs["input_ids"].shape[1], torch.arange(3, 9)[None]
    logits = []
    for cache in (None, StaticCache(config=model.config.get_text_config(), max_cache_len=prompt + 10)):
        with v2drop.attach(model, HALVES) as run:
            first = model(**inputs, past_key_values=cache, use_cache=True)
            second = model(words, past_key_values=first.past_key_values)
            third = model(words[:, :1], past_key_values=first.past_key_values)
        text = inputs["input_ids"] != IMAGE
        logits.append([first.logits[text], second.logits, third.logits, torch.tensor(run.report.kv_bytes.dropped)])
    for growing, static in zip(*logits, strict=True):
        torch.testing.assert_close(growing, static, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_layers_attend_to_no_more_of_a_static_cache_than_they_can_fill():
    model, inputs, attended = tiny_llava(), inputs_for(2), []

    def recording(module, query, key, *args, **options):
        attended.append(key.shape[2])
        return AttentionInterface()["sdpa"](module, query, key, *args, **options)

    AttentionInterface.register("recording", recording)
    AttentionMaskInterface.register("recording", AttentionMaskInterface()["sdpa"])
    model.set_attn_implementation({"text_config": "recording"})
    prompt = inputs["input_ids"].shape[1]
    for cache in (DynamicCache(), StaticCache(config=model.config.get_text_config(), max_cache_len=80)):
        with v2drop.attach(model, HALVES):
            model(**inputs, past_key_values=cache)
            model(torch.tensor([[5]]), past_key_values=cache)
    text = prompt - 2 * PICTURE
    shortened = [text + PICTURE] * 2 + [text + PICTURE // 2] * 2 + [text]
    growing, static = attended[:12], attended[12:]
    assert growing == [prompt, *shortened, prompt + 1, *(length + 1 for length in shortened)]
    assert static == [80, *shortened, 80, *(length + 1 for length in shortened)]


@torch.no_grad()
def test_attentions_over_a_static_cache_run_over_all_of_its_columns():
    eager, inputs = tiny_llava(attention="eager"), inputs_for(2)
    columns = inputs["input_ids"].shape[1] + 5
    cache = StaticCache(config=eager.config.get_text_config(), max_cache_len=columns)
    with v2drop.attach(eager, HALVES):
        first = eager(**inputs, past_key_values=cache, output_attentions=True)
        second = eager(torch.tensor([[5, 6]]), past_key_values=cache, output_attentions=True)
    vision = (inputs["input_ids"] == IMAGE)[0].nonzero().flatten()
    for output, rows in ((first, inputs["input_ids"].shape[1]), (second, 2)):
        assert [list(weights.shape[2:]) for weights in output.attentions] == [[rows, columns]] * 6
        torch.testing.assert_close(output.attentions[-1][0, :, -1].sum(-1), torch.ones(4))
        assert (output.attentions[-1][0, :, -1, vision] == 0).all()


@torch.no_grad()
def test_caches_of_sliding_windows_are_refused(model):
    class Window(DynamicLayer):
        is_sliding = True

    cache = DynamicCache()
    cache.layers = [Window() for _ in model.model.language_model.layers]
    with v2drop.attach(model, HALVES), pytest.raises(v2drop.CacheError, match="without sliding windows"):
        model(**inputs_for(1), past_key_values=cache)


@torch.no_grad()
def test_an_emitted_placeholder_is_no_vision_token(model):
    inputs = inputs_for(1)
    mask = torch.ones(1, inputs["input_ids"].shape[1] + 1, dtype=torch.long)
    with v2drop.attach(model, HALVES) as run:
        output = model(**inputs)
        before = run.report.to_dict()
        lengths = [layer.keys.shape[2] for layer in output.past_key_values.layers]
        token = torch.tensor([[IMAGE]])
        model(input_ids=token, attention_mask=mask, past_key_values=output.past_key_values)
    assert [layer.keys.shape[2] for layer in output.past_key_values.layers] == [n + 1 for n in lengths]
    assert run.report.to_dict() == before


@torch.no_grad()
def test_placeholders_without_media_are_words(model):
    ids = inputs_for(1)["input_ids"]
    stock = model(ids).logits
    with v2drop.attach(model, HALVES) as run:
        assert torch.equal(model(ids).logits, stock)
        assert run.report is None


@torch.no_grad()
@pytest.mark.parametrize("lookup", [2, 3])
def test_a_prompt_lookup_may_propose_placeholders(model, lookup):
    """The answer's second token is the word in front of the picture; the model itself says nothing but words."""
    inputs = inputs_for(1)
    length, ids = inputs["input_ids"].shape[1], inputs["input_ids"][0].tolist()
    word = ids[ids.index(IMAGE) - 1]

    def say(ids, scores):
        scores = scores.clone()
        scores[:, [0, 1, 2, IMAGE]] -= 1e3
        if ids.shape[1] == length + 1:
            scores[:, word] += 1e6
        return scores

    # what is suppressed is not proposed, and these tests' models suppress placeholders
    options = {**GREEDY, "logits_processor": LogitsProcessorList([say]), "suppress_tokens": [0], "eos_token_id": 0}
    with v2drop.attach(model, HALVES):
        greedy = model.generate(**inputs, **options)
        looked_up = model.generate(**inputs, **options, prompt_lookup_num_tokens=lookup)
    assert torch.equal(looked_up[:, : greedy.shape[1]], greedy)


@torch.no_grad()
def test_input_ids_by_position_and_the_inner_model_alone(model):
    inputs = inputs_for(2)
    inner = model.model
    with v2drop.attach(inner, HALVES) as run:
        by_name = inner(input_ids=inputs["input_ids"], pixel_values=inputs["pixel_values"]).last_hidden_state
        by_position = inner(inputs["input_ids"], inputs["pixel_values"]).last_hidden_state
    assert torch.equal(by_name, by_position)
    assert run.report.vision_tokens == [2 * PICTURE]


@torch.no_grad()
def test_inputs_embeds_find_placeholders_as_the_stock_model_does(model):
    inputs = inputs_for(1, 2)
    ids = inputs.pop("input_ids")
    embeds = model.get_input_embeddings()(ids)
    with v2drop.attach(model, HALVES) as run:
        by_ids = model(input_ids=ids, **inputs).logits
        kept = run.report.to_dict()
        by_embeds = model(inputs_embeds=embeds, **inputs).logits
    assert torch.equal(by_ids, by_embeds)
    assert run.report.to_dict() == kept


@torch.no_grad()
def test_assigned_vision_mask_serves_one_call(model):
    inputs = inputs_for(2, 1)
    merged = torch.randn(2, inputs["input_ids"].shape[1], 32)
    with v2drop.attach(model, HALVES) as run:
        run.vision_mask = inputs["input_ids"] == IMAGE
        model.generate(inputs_embeds=merged, attention_mask=inputs["attention_mask"], num_beams=2, **GREEDY)
        assert run.report.vision_tokens == [2 * PICTURE, 2 * PICTURE, PICTURE, PICTURE]
        assert run.vision_mask is None
        model(inputs_embeds=merged)
        assert run.report is None, "this call saw no vision token, as the mask served the one before"


@torch.no_grad()
def test_an_assigned_vision_mask_serves_the_thread_that_assigned_it(model):
    mine, inputs = inputs_for(2, 1), inputs_for(1, seed=1)
    with v2drop.attach(model, HALVES) as run:
        model(**inputs)
        wanted = run.report.to_dict()
        run.vision_mask = mine["input_ids"] == IMAGE
        with ThreadPoolExecutor(1) as pool:
            pool.submit(model, **inputs).result()
        assert run.report.to_dict() == wanted
        assert run.vision_mask is not None
        run.vision_mask = None
        model(**inputs)
        assert run.report.to_dict() == wanted


@torch.no_grad()
def test_a_vision_mask_of_a_thread_that_ended_serves_no_other(model):
    """Systems give a new thread the number of one that has ended."""
    ids = torch.full((1, 8), 5)
    wanted, found = model(ids).logits, []
    with v2drop.attach(model, HALVES) as run:
        for act in (
            lambda: setattr(run, "vision_mask", torch.arange(8)[None] < 4),
            lambda: found.append(model(ids)),
        ) * 5:
            thread = Thread(target=torch.no_grad()(act))
            thread.start()
            thread.join()
    assert all(torch.equal(each.logits, wanted) for each in found)


@torch.no_grad()
def test_a_static_cache_filled_anew_while_detached_is_the_stock_models(model):
    first, second, turn = inputs_for(1), inputs_for(1, seed=1), torch.tensor([[5, 6, 7]])
    cache = StaticCache(config=model.config.get_text_config(), max_cache_len=64)
    wanted = model(turn, past_key_values=model(**second, use_cache=True).past_key_values).logits
    with v2drop.attach(model, HALVES):
        model(**first, past_key_values=cache)
    cache.reset()
    model(**second, past_key_values=cache)
    with v2drop.attach(model, HALVES):
        torch.testing.assert_close(model(turn, past_key_values=cache).logits, wanted, atol=1e-5, rtol=1e-5)


def test_pictures_without_vision_tokens_are_an_error(model):
    inputs = inputs_for(1)
    with v2drop.attach(model, HALVES), pytest.raises(v2drop.VisionMaskError, match="no vision token"):
        model(input_ids=torch.full((1, 8), 5), pixel_values=inputs["pixel_values"])


@pytest.mark.parametrize("mask", [torch.ones(1, 3, dtype=torch.bool), torch.ones(3, 8, dtype=torch.bool), "mask"])
def test_a_vision_mask_of_the_wrong_shape_is_an_error(model, mask):
    with v2drop.attach(model, HALVES) as run:
        run.vision_mask = mask
        with pytest.raises(v2drop.VisionMaskError, match=r"\[2, 8\]"):
            model(inputs_embeds=torch.randn(2, 8, 32))
        model(inputs_embeds=torch.randn(2, 8, 32))  # the next call is right


def test_a_vision_mask_of_the_wrong_type_is_an_error(model):
    with v2drop.attach(model, HALVES) as run:
        run.vision_mask = torch.ones(2, 8)
        with pytest.raises(v2drop.VisionMaskError, match="bool"):
            model(inputs_embeds=torch.randn(2, 8, 32))


def test_attaching_twice_is_an_error_and_detach_restores(model):
    model(**inputs_for(1))  # transformers installs hooks of its own at a first forward
    before = hooks_of(model)
    with v2drop.attach(model, HALVES) as run:
        assert isinstance(run, v2drop.Attachment)
        for again in (model, model.model):
            with pytest.raises(v2drop.AlreadyAttachedError, match="already"):
                v2drop.attach(again, HALVES)
    assert hooks_of(model) == before
    run.detach()
    with pytest.raises(v2drop.UsageError, match="call attach"), run:
        pass
    assert "detached" in repr(run)
    with pytest.raises(KeyError), v2drop.attach(model, HALVES):
        raise KeyError
    assert hooks_of(model) == before


@torch.no_grad()
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("layer", [0, 2, 5])
def test_a_failing_forward_leaves_the_next_call_right(model, layer, failure):
    inputs = inputs_for(1, 2)

    def fail(*_):
        raise failure

    with v2drop.attach(model, HALVES) as run:
        expected = model(**inputs).logits
        report = run.report.to_dict()
        handle = model.model.language_model.layers[layer].mlp.register_forward_hook(fail)
        with pytest.raises(failure):
            model(**inputs)
        handle.remove()
        assert torch.equal(model(**inputs).logits, expected)
        assert run.report.to_dict() == report


def test_report_survives_detach_and_is_none_before_a_picture(model):
    with v2drop.attach(model, HALVES) as run:
        assert run.report is None
        model(input_ids=torch.tensor([[5, 6, 7]]))
        assert run.report is None
        model(**inputs_for(1))
    assert "retained" in str(run.report)
    assert run.report.kept.keys() == {1, 3, 5}


def test_two_hundred_generations_leave_nothing_behind(model):
    inputs = inputs_for(1, 2)

    def live():
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()), len(gc.get_objects())

    with v2drop.attach(model, HALVES):
        for number in range(200):
            model.generate(**inputs, max_new_tokens=2, do_sample=False)
            if number == 9:
                early = live()
        late = live()
    assert late[0] <= early[0]  # what other tests left may go meanwhile
    assert late[1] - early[1] < 100


@torch.no_grad()
def test_few_host_reads_per_prefill_and_none_per_step(model):
    inputs = inputs_for(1, 2)
    mask = torch.cat([inputs["attention_mask"], torch.ones(2, 1, dtype=torch.long)], dim=1)

    def reads():
        with HostReads() as prefill:
            output = model(**inputs)
        with HostReads() as step:
            model(input_ids=torch.tensor([[5], [6]]), attention_mask=mask, past_key_values=output.past_key_values)
        return prefill.count, step.count

    stock = reads()
    with v2drop.attach(model, HALVES):
        attached = reads()
    assert attached[0] - stock[0] <= 2
    assert attached[1] == stock[1]


def test_layout_covers_each_vision_token_once(model):
    inputs = inputs_for(1, 0, 2)
    layout = LlavaAdapter().layout(model, inputs)
    places = set(zip(layout.sample.tolist(), layout.position.tolist(), strict=True))
    expected = {tuple(place) for place in (inputs["input_ids"] == IMAGE).nonzero().tolist()}
    assert len(layout.position) == 3 * PICTURE
    assert places == expected
    for picture in range(3):
        mine = layout.picture == picture
        squares = list(zip(layout.row[mine].tolist(), layout.column[mine].tolist(), strict=True))
        assert squares == [(row, column) for row in range(SIDE) for column in range(SIDE)]
        assert layout.box[mine][SIDE + 2].tolist() == [10, 5, 15, 10]
    assert layout.grid.tolist() == [[SIDE, SIDE]] * 3
    assert layout.size.tolist() == [[20, 20]] * 3


def test_layout_of_class_tokens_and_of_pictures_of_any_size(model):
    whole = copy.deepcopy(model)
    whole.config.vision_feature_select_strategy = "full"
    ids = torch.full((1, PICTURE + 1), IMAGE)
    layout = LlavaAdapter().layout(whole, {"input_ids": ids})
    assert (layout.row[0], layout.column[0], layout.row[1]) == (-1, -1, 0)
    assert layout.box[:2].tolist() == [[0, 0, 20, 20], [0, 0, 5, 5]]
    sized = {"input_ids": torch.full((1, 6 + 2), IMAGE), "image_sizes": [(10, 15), (10, 5)]}
    layout = LlavaAdapter().layout(model, sized)
    assert layout.grid.tolist() == [[2, 3], [2, 1]]
    assert layout.picture.tolist() == [0] * 6 + [1] * 2
    assert layout.box[5].tolist() == [10, 5, 15, 10]


@torch.no_grad()
def test_no_hidden_state_outlives_the_layer_after_it(model):
    """The input of a layer is gone by the time the layer after the next runs, as on the stock model."""
    layers, seen, outlived = model.model.language_model.layers, {}, []

    def watch(number):
        def hook(module, args):
            seen[number] = weakref.ref(args[0])
            if number >= 3 and seen[number - 2]() is not None:
                outlived.append(number - 2)

        return hook

    with v2drop.attach(model, HALVES):
        handles = [layer.register_forward_pre_hook(watch(number)) for number, layer in enumerate(layers)]
        model(**inputs_for(1, 2))
    for handle in handles:
        handle.remove()
    assert len(seen) == 6
    assert outlived == []


def test_layout_of_half_a_picture_is_an_error(model):
    ids = prompt(torch.Generator().manual_seed(0), 1)[None, :-5]
    ids[0, -1] = IMAGE
    with pytest.raises(v2drop.VisionMaskError, match="15 vision tokens but 1 pictures or videos of \\[16\\] tokens"):
        LlavaAdapter().layout(model, {"input_ids": torch.cat([ids, ids[:, -1:]], dim=1)})
