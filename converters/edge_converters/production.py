"""The outcomes that no cache knows: float files, training and one variant after the other, in one working folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge_converters.answers import count_answers
from edge_converters.doubts import doubt
from edge_converters.drafts import Workshop
from edge_converters.errors import NotWritten
from edge_converters.fingerprints import fingerprint
from edge_converters.floats import prepare
from edge_converters.held_back import hold_back
from edge_converters.job import Job
from edge_converters.latency import Stopwatch
from edge_converters.lint.inspection import check_source
from edge_converters.measures import metric_for
from edge_converters.memory import Meter
from edge_converters.outcomes import Basis, Outcome
from edge_converters.progress import Steps
from edge_converters.retraining import retrain
from edge_converters.robustness.checkup import Checkup
from edge_converters.shelf import Shelf
from edge_converters.tasks import Task
from edge_converters.variants import make_variant
from edge_converters.workers import Worker, observed
from edge_profiles.profile import Profile
from edge_profiles.schemes import Format


def produce(
    job: Job, profiles: Sequence[Profile], shelf: Shelf, steps: Steps, meter: Meter
) -> tuple[Basis, dict[str, Outcome]]:
    """By profile name what became of it, kept on the shelf as soon as it is there.

    Raises:
        ConverterError: as `conversion.convert`.
    """
    made: dict[str, Outcome] = {}
    formats = tuple(dict.fromkeys(profile.format for profile in profiles))
    with observed(_Watch(steps, meter)), _workplace() as folder, Worker() as worker, Stopwatch() as stopwatch:
        basis, shop = _prepared(job, formats, folder, worker, stopwatch, steps)
        shelf.keep_basis(basis)
        for profile in profiles:
            steps.begin(profile.name)
            parity, size = shop.floats.parity[profile.format], shop.floats.files[profile.format].size
            outcome = made[profile.name] = Outcome(make_variant(profile, shop), parity, size)
            shelf.keep(profile, outcome)
    return basis, made


@dataclass(frozen=True)
class _Watch:
    """Tells children's doings to whom they concern."""

    steps: Steps
    meter: Meter

    def progressed(self, task: Task, done: int, total: int) -> None:
        self.steps.progressed(task, done, total)

    def measured(self, pid: int, peak: int, libraries: int) -> None:
        self.meter.measured(pid, peak, libraries)

    def ended(self, pid: int) -> None:
        self.meter.ended(pid)


def _prepared(
    job: Job, formats: Sequence[Format], folder: Path, worker: Worker, stopwatch: Stopwatch, steps: Steps
) -> tuple[Basis, Workshop]:
    """The float files that all variants start from, trained if that is asked for, and what judges the variants."""
    steps.begin("reading the source and proving the float conversions")
    data, method = job.data, job.method
    check_source(job.source, worker)
    floats = prepare(job.source, data, formats, folder, worker, method.seed)
    metric = metric_for(job.asked, floats.reference, data.evaluation, data.model_input(data.evaluation.x))
    answers, doubted = count_answers(metric, floats.reference), doubt(metric, floats.reference)
    basis = Basis(metric.name, metric.task, answers, metric.error, doubt=doubted)
    if method.training is not None:
        steps.begin("training")
        trained = retrain(job.source, method.training, data, floats, formats, folder, worker, method.seed)
        floats, basis = trained.floats, replace(basis, lessons=trained.lessons)
    extent = method.robustness
    return basis, Workshop(
        data,
        floats,
        metric,
        job.guard,
        worker,
        stopwatch if method.latency else None,
        steps,
        method.climb,
        test=hold_back(job.source, data, job.asked, folder, worker),
        checkup=None if extent is None else Checkup(job.source, method.seed, extent),
        source=None if method.climb.search is None else fingerprint((job.source.digest, method.training)),
    )


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder for the way, gone afterwards; no room in it becomes one sentence."""
    try:
        with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
            yield Path(folder)
    except OSError as error:
        raise NotWritten(
            f"there is no room to work in {tempfile.gettempdir()}: {error.strerror or error}",
            "Make room there, or point TMPDIR to another folder.",
        ) from error
