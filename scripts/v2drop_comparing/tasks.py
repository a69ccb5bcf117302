"""What a comparison asks: the zoo's own questions, or those of a file of JSON lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from v2drop import Adapter, MediaError
from v2drop_loading.defaults import DEFAULT_FPS
from v2drop_loading.media import Media, model_inputs, read_media
from v2drop_loading.pictures import frames_as_images, side_by_side
from v2drop_loading.question import Question, read_object
from v2drop_terminal.errors import CommandError, tell_notes
from v2drop_terminal.needs import require_zoo

KIND = "question"  # the kind of questions whose line names none
FILE = "file"  # in place of a modality: a file may ask about any media


@dataclass(frozen=True)
class Asked:
    """One question of a task: its kind, its text, its media, and the right answers.

    `media` names the picture or video: the file as the task's line names it, or its number in the zoo.
    """

    kind: str
    text: str
    media: str
    answers: Sequence[str]


@dataclass(frozen=True)
class Skipped:
    """A line that could not be asked, and why."""

    file: str
    line: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Batch:
    """The inputs of some questions, their numbers, and skipped lines. `inputs` is None if no question was left."""

    numbers: Sequence[int]
    inputs: Any
    skipped: Sequence[Skipped] = ()


class Task(ABC):
    """Questions with right answers.

    Attributes:
        name: what it asks about, or the file's name without folder and extension.
        questions: those that can be asked, as far as known before their media is read.
        skipped: lines that cannot be asked.
        max_new_tokens: the length of the longest answer.
    """

    name: str
    questions: Sequence[Asked]
    skipped: Sequence[Skipped] = ()
    max_new_tokens: int

    @abstractmethod
    def load(self, numbers: Sequence[int]) -> Batch:
        """Read the pictures or videos of the questions with these numbers once, and make model inputs."""

    @abstractmethod
    def picture(self, number: int) -> Image.Image:
        """A picture to show what a question is about: its pictures, or some frames of its video."""


class ZooTask(Task):
    """Fresh questions about test-split digits, the same as in `python -m v2drop_zoo_training.evaluate`.

    Raises:
        CommandError: the model is not one of the zoo's, or takes no such media.
    """

    def __init__(self, model_type: str, modality: str, count: int, seed: int, processor: Any) -> None:
        require_zoo([modality])
        from v2drop_zoo.exam import LONGEST_ANSWER, fresh_questions

        media = zoo_media(model_type, modality)
        self.name = f"zoo {modality} questions"
        self.max_new_tokens = LONGEST_ANSWER
        self._processor = processor
        self._shown = list(fresh_questions(count, seed, media=media))
        self.questions = [
            Asked(question.kind, question.text, f"{modality} {number} of seed {seed}", [question.answer])
            for number, (_, question) in enumerate(self._shown)
        ]

    def load(self, numbers: Sequence[int]) -> Batch:
        from v2drop_zoo.exam import batch_inputs

        return Batch(numbers, batch_inputs(self._processor, [self._shown[number] for number in numbers]))

    def picture(self, number: int) -> Image.Image:
        from v2drop_zoo.media import as_shown

        pixels = as_shown(self._shown[number][0])
        return side_by_side([Image.fromarray(frame) for frame in (pixels if pixels.ndim == 4 else [pixels])])


@dataclass(frozen=True)
class Line:
    """A line of a file that can be asked."""

    number: int
    question: Question
    asked: Asked = field(repr=False)


class FileTask(Task):
    """Lines of a file: JSON objects with `question`, `image` or `video` (a path from the file's folder) and `answers`.

    `answers` is a text or a list of texts; `kind` and, for videos, `fps` are optional. Other lines are skipped.

    Raises:
        CommandError: the file cannot be read, or holds nothing to ask.
    """

    def __init__(self, path: Path, count: int, adapter: Adapter, processor: Any, max_new_tokens: int) -> None:
        self.name, self.max_new_tokens = path.stem, max_new_tokens
        self._path, self._adapter, self._processor = path, adapter, processor
        lines, self.skipped = read_lines(path)
        self._lines = lines[:count]
        self.questions = [line.asked for line in self._lines]

    def load(self, numbers: Sequence[int]) -> Batch:
        """Lines whose files cannot be read, or that the processor cannot take, are skipped."""
        read: dict[int, Media] = {}
        skipped = []
        for number in numbers:
            try:
                read[number] = read_media(self._lines[number].question, self._adapter, self._processor)
                tell_notes(read[number].notes)
            except (MediaError, CommandError) as error:
                skipped.append(Skipped(str(self._path), self._lines[number].number, str(error)))
        try:
            return Batch(list(read), self._inputs(read) if read else None, skipped)
        except CommandError as error:
            if len(numbers) == 1:
                return Batch([], None, [Skipped(str(self._path), self._lines[numbers[0]].number, str(error))])
        alone = {number: self.load([number]) for number in numbers}  # to find which of them fails
        fine = [number for number, batch in alone.items() if batch.numbers]
        bad = [line for batch in alone.values() for line in batch.skipped]
        return Batch(fine, self._inputs({number: read[number] for number in fine}) if fine else None, bad)

    def picture(self, number: int) -> Image.Image:
        media = read_media(self._lines[number].question, self._adapter, self._processor)
        frames = [] if media.frames is None else frames_as_images(media.frames)
        return side_by_side([*media.pictures, *frames])

    def _inputs(self, read: Mapping[int, Media]) -> Any:
        prompts = [self._lines[number].question.prompt for number in read]
        return model_inputs(self._processor, list(read.values()), prompts)


def read_lines(path: Path) -> tuple[list[Line], list[Skipped]]:
    """A file's lines that can be asked, and those that cannot. Raises CommandError if none can."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {path}: {error}") from error
    lines, skipped = [], []
    for number, line in enumerate(
        text.split("\n"), start=1
    ):  # splitlines() would also cut at characters that JSON allows in texts
        if not line.strip():
            continue
        try:
            lines.append(Line(number, *read_line(line, path.parent)))
        except ValueError as error:
            skipped.append(Skipped(str(path), number, str(error)))
    if not lines:
        reason = f": line {skipped[0].line}: {skipped[0].reason}" if skipped else " at all"
        raise CommandError(f"{path} holds no question that can be asked{reason}")
    return lines, skipped


def subject_title(model: str, modality: str) -> str:
    """A model's title, with what the zoo asks it about."""
    return model if modality == FILE else f"{model}, {modality}"


def zoo_media(model_type: str, modality: str) -> Any:
    """The zoo's kinds of media of this modality for such a model. Raises CommandError if there are none."""
    from v2drop_zoo.media import media_of

    media = media_of(model_type, modality)
    if not media:
        raise CommandError(f"the zoo's {model_type} takes no {modality}: pass --modality, or another model")
    return media


def read_line(line: str, folder: Path) -> tuple[Question, Asked]:
    """Parse one line into a question and its right answers. Raises ValueError that says what is wrong."""
    data = read_object(line)
    answers = data.get("answers")
    answers = [answers] if isinstance(answers, str) else answers
    if not isinstance(answers, list) or not answers or not all(isinstance(each, str) and each for each in answers):
        raise ValueError(f"no answer: answers is {data.get('answers')!r}, not a text or a list of texts")
    if not isinstance(data.get("question"), str) or not data["question"].strip():
        raise ValueError(f"no question: question is {data.get('question')!r}")
    image, video, fps = data.get("image"), data.get("video"), data.get("fps", DEFAULT_FPS)
    if not isinstance(image or video, str) or (image and video):
        raise ValueError(f"image is {image!r} and video is {video!r}: exactly one of the two must be a path")
    if not isinstance(fps, (int, float)) or not fps > 0:
        raise ValueError(f"fps is {fps!r}: a number above 0")
    images = [folder / image] if image else []
    question = Question(images, folder / video if video else None, float(fps), data["question"])
    return question, Asked(str(data.get("kind", KIND)), data["question"], str(image or video), answers)
