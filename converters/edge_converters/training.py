"""What is asked of training: steps with their parameters, as values and as words, and what each led to. Trains nothing.

`epochs` are the most that are taken; without a `rate` of learning the best of some is found by trial. Steps are taken
in the order that makes sense, whatever order they are asked for in: a narrower student first, then pruning, then
training on, and rounding to int8 last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

from edge_converters.datasets import Samples
from edge_converters.errors import BadInput
from edge_converters.sources import Source, SourceKind


@dataclass(frozen=True)
class Distil:
    """A student of this share of the source's channels learns its answers (Hinton, Vinyals & Dean, arXiv 1503.02531).

    It begins with the source's most important channels.
    """

    kind: ClassVar[str] = "distil"
    width: float = 0.5
    epochs: int = 60
    rate: float | None = None

    def __str__(self) -> str:
        return f"{self.kind}={self.width:g}"


@dataclass(frozen=True)
class Prune:
    """Small weights become zero (Lee et al., LAMP, ICLR 2021) and stay so while the others are trained.

    `sparsity` is the share of all weights; with `of`, among each so many neighbouring inputs `keep` weights stay.
    """

    kind: ClassVar[str] = "prune"
    sparsity: float = 0.8
    of: int = 0
    keep: int = 0
    epochs: int = 40
    rate: float | None = None

    def __str__(self) -> str:
        return f"{self.kind}={self.keep}:{self.of}" if self.of else f"{self.kind}={self.sparsity:g}"


@dataclass(frozen=True)
class FineTune:
    """The model is trained on; weights that are zero stay so."""

    kind: ClassVar[str] = "fine-tune"
    epochs: int = 30
    rate: float | None = None

    def __str__(self) -> str:
        return self.kind


@dataclass(frozen=True)
class RoundAware:
    """Weights and activations are rounded to int8 while the model is trained (Jacob et al., CVPR 2018, section 3).

    Batch normalisation is folded first; ranges are those of the calibration data, so that the conversion meets them.
    """

    kind: ClassVar[str] = "qat"
    epochs: int = 30
    rate: float | None = None

    def __str__(self) -> str:
        return self.kind


Step = Distil | Prune | FineTune | RoundAware
ORDER: Final[tuple[type[Step], ...]] = (Distil, Prune, FineTune, RoundAware)


@dataclass(frozen=True)
class Training:
    """Steps and the data they learn from, `datasets.read_training`. Without labels the source's answers are learnt.

    Raises:
        BadInput: no step, one twice, or a parameter out of its range.
    """

    samples: Samples
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise BadInput("training data was given and nothing to do with it", f"Say what: {_WORDS}.")
        kinds = [type(step) for step in self.steps]
        twice = next((kind.kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise BadInput(f"the training step {twice} is asked for twice", "Ask for each once.")
        for step in self.steps:
            _check(step)
        object.__setattr__(self, "steps", tuple(sorted(self.steps, key=lambda step: ORDER.index(type(step)))))


@dataclass(frozen=True)
class Lesson:
    """What a step led to. Scores are those of the validation part of the training data, more is better.

    After `qat` they are of the model rounded to int8.
    """

    step: str
    settings: dict[str, float]
    measure: str
    validated: int
    """Samples of the validation part."""
    before: float
    changed: float
    """After weights or channels went or were rounded, before anything was trained."""
    after: float
    epochs: int
    best: int
    """The epoch whose weights were kept; 0 if no epoch was better than none."""
    weights: int
    """Of the convolutions and dense layers."""
    zeros: int


def parse(words: Sequence[str]) -> tuple[Step, ...]:
    """Steps from words such as `prune=0.8`, `prune=2:4`, `distil=0.5`, `fine-tune`, `qat`.

    Raises:
        BadInput: no step has that name, or its parameter is no number.
    """
    return tuple(_parse(word) for word in words)


def check_trainable(source: Source) -> None:
    """Only a Keras file holds layers that can be trained.

    Raises:
        BadInput: it is of another kind.
    """
    if source.kind is not SourceKind.KERAS:
        raise BadInput(
            f"{source.path} is of the kind {source.kind}, whose layers cannot be trained",
            "Save the model as a .keras file in the program that built it, and convert that; or leave training out.",
        )


def describe(lesson: Lesson) -> str:
    """A lesson in a sentence."""
    change = f" -> {lesson.changed:.2%} untrained" if lesson.step not in {FineTune.kind} else ""
    none = f"kept as it was: none of {lesson.epochs} epochs helped"
    how = f"epoch {lesson.best} of {lesson.epochs}" if lesson.best else none
    zeros = f", {lesson.zeros / lesson.weights:.1%} of them zero" if lesson.zeros else ""
    return (
        f"{lesson.step}: {lesson.measure} {lesson.before:.2%}{change} -> {lesson.after:.2%} on {lesson.validated} "
        f"held-back training samples ({how}); {lesson.weights:,} weights{zeros}"
    )


def as_plain(step: Step) -> dict[str, Any]:
    """A step as JSON takes it."""
    return {"kind": step.kind, **asdict(step)}


def from_plain(plain: dict[str, Any]) -> Step:
    """The inverse of `as_plain`."""
    (kind,) = (each for each in ORDER if each.kind == plain["kind"])
    return kind(**{name: value for name, value in plain.items() if name != "kind"})


_WORDS: Final = "distil=0.5, prune=0.8, prune=2:4, fine-tune or qat"


def _parse(word: str) -> Step:
    name, _, value = word.partition("=")
    try:
        return _PARSERS[name](value)
    except (KeyError, ValueError) as error:
        raise BadInput(f"{word!r} is no training step", f"There are {_WORDS}.") from error


def _prune(value: str) -> Prune:
    pattern = re.fullmatch(r"(\d+):(\d+)", value)
    return Prune(keep=int(pattern[1]), of=int(pattern[2])) if pattern else Prune(float(value))


def _bare(step: Step, value: str) -> Step:
    if value:
        raise ValueError(value)
    return step


_PARSERS: Final[dict[str, Callable[[str], Step]]] = {
    Distil.kind: lambda value: Distil(float(value)),
    Prune.kind: _prune,
    FineTune.kind: lambda value: _bare(FineTune(), value),
    RoundAware.kind: lambda value: _bare(RoundAware(), value),
}


def _check(step: Step) -> None:
    if step.epochs < 1 or not (step.rate is None or 0 < step.rate < 1):
        raise BadInput(f"{step}: {step.epochs} epochs at rate {step.rate}", "At least 1, and a rate between 0 and 1.")
    if isinstance(step, Distil) and not 0 < step.width < 1:
        raise BadInput(f"{step}: a student is narrower than its teacher", "Give a width between 0 and 1, such as 0.5.")
    if isinstance(step, Prune) and step.of and not 0 < step.keep < step.of:
        raise BadInput(f"{step}: of so many weights some stay and some go", "Say 2:4: two of each four stay.")
    if isinstance(step, Prune) and not step.of and not 0 < step.sparsity < 1:
        raise BadInput(f"{step}: the share of weights that go is between 0 and 1", "Say 0.8 for four fifths.")
