"""Small steps made to mislead: by the source's own gradients where there are any, else by what its answers tell.

FGSM: I. Goodfellow et al., "Explaining and harnessing adversarial examples", ICLR 2015. PGD: A. Madry et al., "Towards
deep learning models resistant to adversarial attacks", ICLR 2018. SPSA: J. Uesato et al., "Adversarial risk and the
dangers of evaluating against weak attacks", ICML 2018. No element moves by more than the step's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.robustness.corruptions import Domain
from edge_converters.sources import Source, SourceKind
from edge_converters.tasks import Task
from edge_converters.workers import Worker

Array = npt.NDArray[Any]
Ask = Callable[[Array], Array]
"""A model's answers [m, classes] to inputs [m, ...]."""
Pairs = tuple[tuple[Array, Array], ...]
"""For each size: the inputs for the float model, and those for the variant."""

SIZES: Final = (0.001, 0.003, 0.01, 0.03)
UNIT: Final = "of the range, each element at most"
PGD_STEPS: Final = 10
PROBES: Final = 24
"""Pairs of inputs by which a gradient is guessed."""
HAVE_GRADIENTS: Final = frozenset({SourceKind.KERAS, SourceKind.SAVED_MODEL})


@dataclass(frozen=True)
class Scene:
    """What steps are made from: inputs [n, ...] as the float model takes them, with their true classes."""

    source: Source
    x: Array
    true: Array | None
    domain: Domain
    rng: np.random.Generator
    folder: Path
    worker: Worker
    models: tuple[Ask, Ask]
    """The float model and the variant."""


@dataclass(frozen=True)
class Attack:
    """A way of making steps; `how` says what it knew."""

    name: str
    how: str
    run: Callable[[Scene], Pairs]


def fitting(source: Source, classifies: bool) -> tuple[Attack, ...]:
    """The attacks for a source. Without gradients only classes can be attacked."""
    if source.kind in HAVE_GRADIENTS:
        return (FGSM, PGD) if classifies else (PGD,)
    return (SPSA,) if classifies else ()


def _by_gradient(scene: Scene, steps: int) -> Pairs:
    """The same for every variant of a conversion, so made once."""
    output = scene.folder / f"attack-{steps}-steps.npz"
    if not output.exists():
        _step_against_source(scene, steps, output)
    with np.load(output) as made:
        return tuple((made[f"size_{place}"], made[f"size_{place}"]) for place in range(len(SIZES)))


def _step_against_source(scene: Scene, steps: int, output: Path) -> None:
    paths = {name: scene.folder / f"attack-{name}.npy" for name in ("x", "true", "start")}
    start = scene.rng.uniform(-1, 1, scene.x.shape) if steps > 1 else np.zeros(scene.x.shape)
    np.save(paths["x"], scene.x)
    np.save(paths["start"], start.astype(np.float32))
    if scene.true is not None:
        np.save(paths["true"], scene.true)
    scene.worker.call(
        Task.STEP_AGAINST_SOURCE,
        source=str(scene.source.path),
        kind=scene.source.kind,
        inputs=str(paths["x"]),
        starts=str(paths["start"]),
        classes=None if scene.true is None else str(paths["true"]),
        sizes=[size * scene.domain.range for size in SIZES],
        steps=steps,
        output=str(output),
    )


def _by_answers(scene: Scene) -> Pairs:
    assert scene.true is not None
    signs = [np.sign(guess_gradient(ask, scene.x, scene.true, scene.domain.range, scene.rng)) for ask in scene.models]
    reach = [size * scene.domain.range for size in SIZES]
    return tuple((_real(scene.x + by * signs[0]), _real(scene.x + by * signs[1])) for by in reach)


def guess_gradient(ask: Ask, x: Array, true: Array, spread: float, rng: np.random.Generator) -> Array:
    """Where the margin of the true class falls, [n, ...], from answers alone: simultaneous perturbation.

    Inputs are moved by the largest step's size: a quantised model shows nothing of smaller moves.
    """
    by, found = SIZES[-1] * spread, np.zeros(x.shape)
    for _ in range(PROBES):
        direction = rng.choice((-1.0, 1.0), x.shape)
        up, down = (
            margins(ask(_real(x + sign * by * direction)), true).reshape(-1, *(1,) * (x.ndim - 1)) for sign in (1, -1)
        )
        found += (down - up) * direction
    return found


def _real(values: Array) -> Array:
    return np.asarray(values, np.float32)


def margins(answers: Array, true: Array) -> Array:
    """By how much the score of the true class lies over the best other one, [n]."""
    rows = np.asarray(answers, np.float64).reshape(len(answers), -1)
    if rows.shape[1] == 1:
        middle = 0.5 if rows.min() >= 0 and rows.max() <= 1 else 0.0
        return (rows[:, 0] - middle) * np.where(true == 1, 1, -1)
    own = rows[np.arange(len(rows)), true]
    others = rows.copy()
    others[np.arange(len(rows)), true] = -np.inf
    return np.asarray(own - others.max(axis=1))


_WHITE: Final = "gradients of the source; the variant is given the same inputs"
FGSM: Final = Attack("FGSM", _WHITE, lambda scene: _by_gradient(scene, 1))
PGD: Final = Attack("PGD", f"{PGD_STEPS} steps by {_WHITE}", lambda scene: _by_gradient(scene, PGD_STEPS))
SPSA: Final = Attack("SPSA step", "the source shows no gradients: guessed from each model's own answers", _by_answers)
