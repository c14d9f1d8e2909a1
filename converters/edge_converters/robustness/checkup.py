"""The checks of robustness, run on both models' own files in the same engine, one after the other within a time budget.

Statistics are in `statistics`, what befalls inputs in `corruptions`, steps against a model in `attacks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_contracts.features import top_classes
from edge_converters.datasets import Data
from edge_converters.errors import ConverterError
from edge_converters.files import RUN_ON_CPU, ModelFile, run, stored_inputs
from edge_converters.metrics import Metric, Outputs, at, in_order
from edge_converters.progress import Steps
from edge_converters.robustness import attacks, statistics
from edge_converters.robustness.corruptions import CORRUPTIONS, Corruption, Domain, InputKind, domain_of
from edge_converters.robustness.findings import Calibration, Features, Robustness
from edge_converters.robustness.parts import parts_of
from edge_converters.robustness.statistics import Confidences, SweepScores
from edge_converters.sources import Source
from edge_converters.workers import Worker

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]

SAMPLES: Final = 128
LEAST_SAMPLES: Final = 32
MOST_BYTES: Final = 64 * 1024**2
"""Of the samples that are made worse at once: of large inputs fewer are taken."""
ATTACKED: Final = 64
FELT: Final = 12
"""Samples whose parts are moved one by one."""
SECONDS: Final = 90.0
"""For one variant; a check that has begun is finished."""


@dataclass(frozen=True)
class Extent:
    """What the user asked for. `kind` is what the inputs show; None: told from their shape."""

    kind: InputKind | None = None
    seconds: float = SECONDS


@dataclass(frozen=True)
class Checkup:
    """What is checked for every variant of a source."""

    source: Source
    seed: int = 0
    extent: Extent = Extent()


@dataclass(frozen=True)
class Subject:
    """A model file, and its answers to all evaluation data."""

    file: ModelFile
    answers: Outputs


@dataclass
class _Bench:
    """Both models beside each other; remembers what was left out."""

    source: Subject
    variant: Subject
    data: Data
    metric: Metric
    worker: Worker
    rows: Rows
    """Of the evaluation data: the samples that are made worse."""
    domain: Domain
    plan: Checkup
    left_out: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def x(self) -> Array:
        """The samples as the float model takes them."""
        return self.data.model_input(self.data.evaluation.x[self.rows])

    @property
    def classifies(self) -> bool:
        return self.metric.task == "classification"

    def both(self, x: Array) -> tuple[Outputs, Outputs]:
        """Both models' answers to `x`."""
        return self.answers(self.source.file, x), self.answers(self.variant.file, x)

    def answers(self, file: ModelFile, x: Array) -> Outputs:
        """One model's answers to `x`, as the float model takes it."""
        entry = stored_inputs(file, x, "checkup")
        real, _ = run(file, RUN_ON_CPU[file.format], entry, self.worker, threads=1)
        return in_order(list(self.source.answers), real)

    def scores(self, outputs: Outputs, rows: Rows) -> Array:
        """A score in 0..1 for each answer to the samples `rows`; none for what is no number or worse than a guess."""
        whole = {name: np.array(values) for name, values in self.source.answers.items()}
        finite = np.ones(len(rows), bool)
        for name, values in outputs.items():
            finite &= np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            whole[name][rows] = np.nan_to_num(values)
        found = self.metric.score(self.source.answers, whole, rows)
        return np.where(finite, np.clip(found, 0.0, 1.0), 0.0)

    def clean(self, rows: Rows) -> tuple[Array, Array]:
        """Both models' scores on the samples as they are."""
        first, second = (self.scores(at(each.answers, rows), rows) for each in (self.source, self.variant))
        return first, second

    def rng(self, *what: int) -> np.random.Generator:
        return np.random.default_rng((self.plan.seed, *what))

    def time_is_up(self, check: str) -> bool:
        """Whether `check` is left out for it."""
        if time.monotonic() - self.began < self.plan.extent.seconds:
            return False
        self.left_out.append(f"{check}: the {self.plan.extent.seconds:g} s for this variant were over")
        return True


def check(
    plan: Checkup,
    source: Subject,
    variant: Subject,
    data: Data,
    metric: Metric,
    worker: Worker,
    steps: Steps,
) -> Robustness:
    """How `variant` stands up beside the float model `source`, both of the same format, on the decision data.

    Raises:
        ConverterError: an engine does not run one of the files.
    """
    domain = domain_of(data.model_input(data.calibration.x), plan.extent.kind)
    count = min(max(MOST_BYTES // max(domain.middle.nbytes, 1), LEAST_SAMPLES), SAMPLES)
    rows = _chosen(data.decision_rows, metric, plan.seed, count)
    bench = _Bench(source, variant, data, metric, worker, rows, domain, plan)
    sweeps = [*_corrupted(bench, steps), *_attacked(bench, steps)]
    random = list(_random(bench, steps))
    judged, told = statistics.judge(sweeps, random)
    clean = bench.clean(rows)
    decided = [at(each.answers, data.decision_rows) for each in (source, variant)]
    return Robustness(
        kind=domain.kind,
        n=len(rows),
        source=float(clean[0].mean()),
        variant=float(clean[1].mean()),
        sweeps=judged,
        random=told,
        features=_felt(bench, steps),
        residuals=statistics.residuals(*decided),
        calibration=_calibrated(bench),
        left_out=tuple(bench.left_out),
    )


def _chosen(rows: Rows, metric: Metric, seed: int, count: int) -> Rows:
    """At most `count` of these rows at random, one of each class among them: some metrics need it."""
    order = np.random.default_rng(seed).permutation(rows)
    if metric.classes is not None:
        first = np.sort(np.unique(metric.classes[order], return_index=True)[1])
        order = np.concatenate([order[first], np.delete(order, first)])
    return np.sort(order[:count])


def _corrupted(bench: _Bench, steps: Steps) -> Iterator[SweepScores]:
    x, clean = bench.x, bench.clean(bench.rows)
    for number, corruption in enumerate(CORRUPTIONS[bench.domain.kind]):
        if bench.time_is_up(corruption.name):
            continue
        steps.say(f"robustness: {corruption.name}")
        worse = tuple(_scores(bench, x, corruption, level, bench.rng(0, number)) for level in corruption.levels)
        yield SweepScores(corruption.name, corruption.unit, corruption.levels, clean, worse)


def _scores(
    bench: _Bench, x: Array, corruption: Corruption, level: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    first, second = bench.both(corruption.apply(x, level, bench.domain, rng))
    return bench.scores(first, bench.rows), bench.scores(second, bench.rows)


def _attacked(bench: _Bench, steps: Steps) -> Iterator[SweepScores]:
    rows = _chosen(bench.rows, bench.metric, bench.plan.seed, ATTACKED)
    x = bench.data.model_input(bench.data.evaluation.x[rows])
    true = None if bench.metric.classes is None else bench.metric.classes[rows]
    clean = bench.clean(rows)
    fitting = attacks.fitting(bench.plan.source, true is not None)
    if not fitting:
        bench.left_out.append(
            "adversarial steps: an ONNX source shows no gradients, and there are no classes to mislead"
        )
    for attack in fitting:
        if bench.time_is_up(attack.name):
            continue
        steps.say(f"robustness: {attack.name}")
        scene = attacks.Scene(
            bench.plan.source,
            x,
            true,
            bench.domain,
            bench.rng(1),
            bench.source.file.path.parent,
            bench.worker,
            (_asker(bench, bench.source.file), _asker(bench, bench.variant.file)),
        )
        try:
            pairs = attack.run(scene)
        except ConverterError as error:
            bench.left_out.append(f"{attack.name}: {error}")
            continue
        worse = tuple(
            (
                bench.scores(bench.answers(bench.source.file, own), rows),
                bench.scores(bench.answers(bench.variant.file, other), rows),
            )
            for own, other in pairs
        )
        yield SweepScores(attack.name, attacks.UNIT, attacks.SIZES, clean, worse, attack.how)


def _asker(bench: _Bench, file: ModelFile) -> Callable[[Array], Array]:
    """The first output of a file for inputs [n, ...]."""
    return lambda x: next(iter(bench.answers(file, x).values()))


def _random(bench: _Bench, steps: Steps) -> Iterator[Confidences]:
    if not bench.classifies:
        bench.left_out.append("random inputs: only answers that are classes have a confidence")
        return
    domain, shape, rng = bench.domain, bench.x.shape, bench.rng(2)
    made = {
        "uniform noise over the range": rng.uniform(domain.low, domain.high, shape),
        "Gaussian noise of the data's mean and deviation": rng.normal(domain.middle, domain.spread, shape),
    }
    for name, x in made.items():
        if bench.time_is_up(name):
            continue
        steps.say(f"robustness: {name}")
        first, second = (
            top_classes(np.nan_to_num(next(iter(each.values()))))[1] for each in bench.both(x.astype(np.float32))
        )
        yield Confidences(name, (first, second))


def _felt(bench: _Bench, steps: Steps) -> Features | None:
    if bench.time_is_up("sensitivity to single parts of the input"):
        return None
    x = bench.x[:: max(1, -(-len(bench.rows) // FELT))]
    parts = parts_of(bench.domain, x.shape[1:])
    steps.say(f"robustness: moving {len(parts)} parts of the input one by one")
    spread = np.where(bench.domain.spread > 0, bench.domain.spread, bench.domain.spread.mean())
    before = _firsts(bench, x)
    effects = [
        [float(np.abs(moved - still).mean()) for moved, still in zip(after, before, strict=True)]
        for after in (_firsts(bench, np.asarray(x + spread * part.mask, np.float32)) for part in parts)
    ]
    return statistics.features([part.name for part in parts], *np.transpose(effects))


def _firsts(bench: _Bench, x: Array) -> tuple[Array, Array]:
    """Both models' first outputs."""
    first, second = (np.nan_to_num(next(iter(outputs.values()))) for outputs in bench.both(x))
    return first, second


def _calibrated(bench: _Bench) -> Calibration | None:
    labels = bench.data.evaluation.y
    if not bench.classifies or labels is None or labels.dtype.kind != "i":
        bench.left_out.append("calibration error: it needs answers that are classes, and true ones")
        return None
    rows = bench.data.decision_rows
    told = [top_classes(next(iter(each.answers.values()))[rows]) for each in (bench.source, bench.variant)]
    right = [(found == labels[rows]).astype(np.float64) for found, _ in told]
    return statistics.calibration((told[0][1], told[1][1]), (right[0], right[1]), bench.plan.seed)
