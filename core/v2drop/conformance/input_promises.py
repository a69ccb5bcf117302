"""What v2drop promises about inputs: the layout of vision tokens, and errors for invalid inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..errors import AlreadyAttachedError, ScheduleError, V2DropError, VisionMaskError
from ..layout import VisionLayout
from ..schedule import Schedule
from .samples import Inputs
from .subject import Subject

SEEDS = range(200)  # tried until one draws the inputs that a test needs


class InputPromises(Subject):
    """Layouts and mistakes."""

    def test_layout_covers_each_vision_token_once(self) -> None:
        """`layout` places every vision token, in order, in one place of its own in its picture."""
        inputs = self.batch(2, 0, 3, seed=5)
        layout = self.adapter().layout(self.model(), inputs)
        sample, position = self.is_vision(inputs).nonzero(as_tuple=True)
        assert layout.sample.tolist() == sample.tolist()
        assert layout.position.tolist() == position.tolist()
        assert layout.picture.unique().tolist() == list(range(5)), "2 + 0 + 3 pictures or videos were passed"
        places = [layout.picture, layout.tile, layout.frames[:, 0], layout.row, layout.column]
        assert len(torch.stack(places, dim=1).unique(dim=0)) == len(sample), "two tokens have the same place"

    def test_layout_puts_rows_and_columns_where_the_boxes_are(self) -> None:
        """Boxes lie inside of their picture and cover it; a column has one left edge, a row one top; newlines no width."""
        for seed in range(4):
            layout = self.adapter().layout(self.model(), self.batch(2, 0, 3, seed=seed))
            size = layout.size[layout.picture]
            left, top, right, bottom = layout.box.unbind(1)
            assert ((left >= 0) & (left <= right) & (right <= size[:, 1])).all(), "left <= right, inside of the picture"
            assert ((top >= 0) & (top <= bottom) & (bottom <= size[:, 0])).all(), "top <= bottom, inside of the picture"
            assert (left[layout.newline] == right[layout.newline]).all(), "a newline has no width"
            for picture in range(len(layout.size)):
                self._check_finest_view(layout, picture)

    @staticmethod
    def _check_finest_view(layout: VisionLayout, picture: int) -> None:
        mine = (layout.picture == picture) & (layout.row >= 0)
        tiled = mine & (layout.tile >= 0)
        last = mine & (layout.frames[:, 0] == layout.frames[mine, 0].max())
        view = tiled if tiled.any() else last
        rows, columns = layout.grid[picture].tolist()
        assert (layout.row[view] < rows).all(), "row: counted from 0 within the grid"
        assert torch.equal(layout.newline[view], layout.column[view] == columns), (
            "newlines stand one past the grid's columns"
        )
        grid = view & ~layout.newline
        if not rows * columns:
            return
        assert (layout.column[grid] < columns).all(), "column: counted from 0 within the grid"
        for along, place, edge in (("column", layout.column, 0), ("row", layout.row, 1)):
            for number in place[grid].unique():
                edges = layout.box[grid & (place == number), edge]
                assert (edges - edges[0]).abs().max() < 1e-3, f"tokens of one {along} begin at one place"
        reach = layout.box[mine & ~layout.newline]
        assert reach[:, :2].amin(0).tolist() == [0, 0], "the boxes begin at the picture's corner"
        height, width = layout.size[picture].tolist()
        assert (reach[:, 2:].amax(0) > 0.75 * torch.tensor([width, height])).all(), "the boxes cover the picture"

    def test_layout_tells_videos_from_pictures(self) -> None:
        """`is_video` holds for what stands at a placeholder whose name in `Adapter.placeholders` says video."""
        config = self.model().config
        videos = [getattr(config, name) for name in self.adapter.placeholders if "video" in name]
        for placeholder in self.placeholders:
            layout = self.adapter().layout(self.model(), self._one_medium(placeholder))
            assert layout.is_video.tolist() == [placeholder in videos]

    def test_media_without_placeholders_are_an_error(self) -> None:
        """Each kind of media whose placeholders are missing or too few raises a VisionMaskError."""
        model, words = self.model(), self.vocabulary.start
        for placeholder in self.placeholders:
            inputs = self._one_medium(placeholder)
            vision = self.is_vision(inputs)
            one_less = {**inputs, "input_ids": inputs["input_ids"].masked_fill(vision & (vision.cumsum(1) == 1), words)}
            none = {**inputs, "input_ids": inputs["input_ids"].masked_fill(vision, words)}
            with self.attach(model, self.halves):
                raises(VisionMaskError, partial(model, **none))
            raises(VisionMaskError, partial(self.adapter().layout, model, one_less))

    @torch.no_grad()
    def test_media_that_the_mask_hides_are_left_alone(self) -> None:
        """A prompt whose vision tokens all count as padding is the stock model's, not an error."""
        model, inputs = self.model(), self.ending_in_text(1, 2)
        behind = ~self.is_vision(inputs).flip(1).cumsum(1).flip(1).bool()
        hidden = {**inputs, "attention_mask": inputs["attention_mask"] * behind}
        stock = model(**hidden).logits[behind]
        with self.attach(model, self.halves) as run:
            torch.testing.assert_close(model(**hidden).logits[behind], stock, atol=0, rtol=0)
            assert run.report is None

    def test_mistakes_in_attaching_are_named(self) -> None:
        """A schedule too deep or too early and attaching twice raise v2drop's own errors."""
        model = self.model()

        def cut_before(layer: int) -> object:
            return self.attach(model, Schedule([(layer, 0.5)]))

        for layer in (self.depth, self.first_stage - 1):
            raises(ScheduleError, partial(cut_before, layer))
        with self.attach(model, self.halves):
            raises(AlreadyAttachedError, partial(cut_before, self.first_stage))

    def _one_medium(self, placeholder: int) -> Inputs:
        """One sample with one picture or video of this placeholder's kind."""

        def holds(inputs: Inputs) -> bool:
            ids: Tensor = inputs["input_ids"]
            return bool((ids == placeholder).any()) and not torch.isin(ids, torch.tensor(others)).any()

        others = [other for other in self.placeholders if other != placeholder]
        found = next((inputs for inputs in (self.batch(1, seed=seed) for seed in SEEDS) if holds(inputs)), None)
        assert found is not None, f"make_sample() draws no sample with the placeholder {placeholder}"
        return found


def raises(kind: type[V2DropError], act: Callable[[], object]) -> V2DropError:
    """Return the error of that kind that `act` raises; fail if it raises none."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")
