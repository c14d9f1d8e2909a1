"""A study in Optuna: proposes recipes, remembers what came of them, shares that with other workers by a database.

The only module that imports Optuna. Nothing is decided here: see `findings`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import optuna
from optuna.samplers import BaseSampler, GridSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from edge_converters.errors import BackendMissing, BadInput
from edge_converters.search.plans import Sampler, SearchPlan
from edge_converters.search.space import Point, Value

HEARTBEAT_SECONDS: Final = 10
GRACE_SECONDS: Final = 45
"""Without a sign of life for so long a trial's worker is dead, and the trial failed."""
LONGEST_WAIT_SECONDS: Final = 900
"""For trials of other workers, when one's own are done."""
LOCKED_SECONDS: Final = 60
"""How long a worker waits for others to have written to SQLite."""
BASIS: Final = "basis"
ANSWER: Final = "answer"
ENDED: Final = (TrialState.COMPLETE, TrialState.FAIL)

Answer = dict[str, Any]
"""What came of a proposal, as JSON: kept with the trial."""


@dataclass(frozen=True)
class Proposal:
    """A point that was proposed. `number` counts from 0 over all workers; `answers` are those of ended trials."""

    number: int
    pick: Callable[[str, Sequence[Value]], Value]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Told:
    """What came of a proposal: three costs, less is better, or None if the recipe broke a check."""

    costs: tuple[float, float, float] | None
    answer: Answer


class _Broken(Exception):
    """The recipe broke a check: the trial counts as failed."""


def run_study(
    plan: SearchPlan,
    name: str,
    basis: str,
    points: Sequence[Point],
    first: Sequence[Point],
    seed: int,
    attempt: Callable[[Proposal], Told],
) -> tuple[Answer, ...]:
    """Propose until the plan's trials or seconds are spent; the answers of all workers' ended trials, in order.

    `basis` says what the study is about; `points` are all there are, for the grid; the others begin with `first`. A
    trial whose worker died is failed by the others, and made up for. What other workers have in work is waited for.

    Raises:
        BadInput: the storage cannot be used, or the study there is about something else.
        BackendMissing: the storage needs a library that is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # trials that broke a check are told in the report
    with _translated(plan), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the heartbeat's interface may change
        study = _open(plan, name, basis)
        if plan.sampler is not Sampler.GRID:
            for point in first:
                study.enqueue_trial(dict(point), skip_if_exists=True)
        start = time.monotonic()
        while _left(study, plan, points) and (plan.seconds is None or time.monotonic() - start < plan.seconds):
            study.sampler = _sampler(plan, points, seed, len(_begun(study)))
            study.optimize(_objective(study, plan, points, attempt), n_trials=1, catch=(_Broken,))
            if plan.storage is not None and not _left(study, plan, points):
                _wait_for_others(study)  # what a dead one had in work is left again
        return _answers(study)


def _open(plan: SearchPlan, name: str, basis: str) -> optuna.Study:
    storage = None if plan.storage is None else _storage(plan.storage)
    study = optuna.create_study(
        storage=storage, study_name=name, directions=["minimize"] * 3, load_if_exists=storage is not None
    )
    known = study.user_attrs.get(BASIS)
    if known is None:
        study.set_user_attr(BASIS, basis)
    elif known != basis:
        raise BadInput(
            f"the study {name} in {plan.storage} is about another model, other data, profile, guard or sampler",
            "Name another one by --study.",
        )
    return study


def _storage(url: str) -> RDBStorage:
    options = {"connect_args": {"timeout": LOCKED_SECONDS}} if url.startswith("sqlite") else {}
    for last in (False, False, True):
        try:
            return RDBStorage(
                url, engine_kwargs=options, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS
            )
        except SQLAlchemyError:  # two workers that make the tables at the same moment: one of them fails once
            if last:
                raise
            time.sleep(1.0)
    raise AssertionError("the last attempt returned or raised")


@contextmanager
def _translated(plan: SearchPlan) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise BackendMissing(
            f"the storage {plan.storage} needs the library {error.name}", f"Install it: pip install {error.name}"
        ) from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(
            f"the storage {plan.storage} cannot be used: {said}", "A file: --storage sqlite:///study.db"
        ) from error


def _sampler(plan: SearchPlan, points: Sequence[Point], seed: int, place: int) -> BaseSampler:
    """The same proposal at the same place of the same study, whether or not it was broken off before."""
    match plan.sampler:
        case Sampler.GRID:
            return GridSampler({"point": range(len(points))}, seed=seed)
        case Sampler.RANDOM:
            return RandomSampler(seed=seed + place)
        case Sampler.NSGA2:
            return NSGAIISampler(population_size=max(4, min(20, plan.trials // 4)), seed=seed + place)
        case Sampler.TPE:
            return TPESampler(seed=seed + place, n_startup_trials=max(4, min(10, plan.trials // 4)))


def _objective(
    study: optuna.Study, plan: SearchPlan, points: Sequence[Point], attempt: Callable[[Proposal], Told]
) -> Callable[[optuna.Trial], tuple[float, ...]]:
    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        _beat(study, trial)
        if plan.sampler is Sampler.GRID:
            chosen = points[trial.suggest_int("point", 0, len(points) - 1)]
            proposal = Proposal(trial.number, lambda axis, _: chosen[axis], _answers(study))
        else:
            proposal = Proposal(trial.number, lambda axis, values: _suggested(trial, axis, values), _answers(study))
        told = attempt(proposal)
        trial.set_user_attr(ANSWER, told.answer)
        if told.costs is None:
            raise _Broken
        return told.costs

    return objective


def _beat(study: optuna.Study, trial: optuna.Trial) -> None:
    """A first heartbeat before the work: Optuna's comes from a thread, and a trial without any is never found dead."""
    storage = study._storage
    if isinstance(storage, optuna.storages._CachedStorage):
        storage = storage._backend
    if isinstance(storage, RDBStorage):
        storage.record_heartbeat(trial._trial_id)


def _suggested(trial: optuna.Trial, axis: str, values: Sequence[Value]) -> Value:
    found = trial.suggest_categorical(axis, list(values))
    assert isinstance(found, str | int | float)
    return found


def _left(study: optuna.Study, plan: SearchPlan, points: Sequence[Point]) -> bool:
    """Whether trials are left; those in other workers' hands count as done, those of dead workers do not."""
    trials = _begun(study)
    lost = sum(trial.state is TrialState.FAIL and ANSWER not in trial.user_attrs for trial in trials)
    most = min(plan.trials, len(points)) if plan.sampler is Sampler.GRID else plan.trials
    return len(trials) - lost < most


def _begun(study: optuna.Study) -> list[FrozenTrial]:
    """All but those that nobody has begun."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state is not TrialState.WAITING]


def _wait_for_others(study: optuna.Study) -> None:
    """Until no trial is in work any more, so that every worker sees the same front; not for ever."""
    start = time.monotonic()
    while time.monotonic() - start < LONGEST_WAIT_SECONDS:
        if not any(trial.state is TrialState.RUNNING for trial in study.get_trials(deepcopy=False)):
            return
        optuna.storages.fail_stale_trials(study)
        time.sleep(0.5)


def _answers(study: optuna.Study) -> tuple[Answer, ...]:
    trials: Sequence[FrozenTrial] = study.get_trials(deepcopy=False, states=ENDED)
    return tuple(trial.user_attrs[ANSWER] for trial in trials if ANSWER in trial.user_attrs)
