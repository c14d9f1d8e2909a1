"""Why a profile got its variant or none, and what to do now, in one sentence each. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_contracts.manifest import Preprocessing
from edge_converters.datasets import RANKING_SHARE
from edge_converters.guard import Guard, Judgement, Verdict
from edge_converters.reports import Candidate

MOST_NAMED: Final = 5
"""Slices named in a sentence; the report has all."""


@dataclass(frozen=True)
class Untried:
    """What is behind the recipe that was judged. `effort` is where to begin to see more of its scheme."""

    effort: int | None = None
    schemes: tuple[str, ...] = ()
    others: bool = False
    """Recipes that a search found beside it."""

    def __bool__(self) -> bool:
        return self.effort is not None or bool(self.schemes) or self.others


def ranked(judgement: Judgement, guard: Guard) -> str:
    """How a recipe did on the ranking split."""
    words = "over" if judgement.drop > guard.max_drop else "within"
    allowed = f"{words} the {_points(guard.max_drop, '')} allowed"
    said = f"drop {_points(judgement.drop)} points in ranking (n = {judgement.n}), {allowed}"
    return f"{said}; {slices(judgement, guard)}" if judgement.failed_slices else said


def decided(judgement: Judgement, guard: Guard) -> str:
    """How a recipe did on the decision split."""
    found = (
        f"drop {_points(judgement.drop)} points in the decision (n = {judgement.n}), "
        f"at most {_points(judgement.upper_bound, '')} with 95 % confidence"
    )
    match judgement.verdict:
        case Verdict.PASS:
            return found
        case Verdict.UNDECIDABLE if judgement.drop > guard.max_drop:
            return f"{found}: too few samples to show that it is over the {_points(guard.max_drop, '')} allowed"
        case Verdict.UNDECIDABLE:
            return f"{found}: too few samples to exclude {_points(guard.max_drop + guard.slack, '')}"
        case _ if judgement.failed_slices:
            return f"{found}; {slices(judgement, guard)}"
        case _:
            return f"{found}: over the {_points(guard.max_drop, '')} allowed"


def other_data(preprocessing: Preprocessing) -> str:
    """What the person does whose calibration data is not of the evaluation data's kind."""
    steps = f"--offset {preprocessing.offset:g} --scale {preprocessing.scale:g} are applied to both"
    return f"Prepare both files in the same way ({steps}); calibrate with samples such as the model will meet."


def tested(judgement: Judgement, guard: Guard, error: bool) -> str:
    """What the test split shows."""
    form = ".4g" if error else ".2%"
    said = (
        f"test split (n = {judgement.n}, no choice rests on it): {judgement.source:{form}} before, "
        f"{judgement.variant:{form}} after, drop {_points(judgement.drop)} points, at most "
        f"{_points(judgement.upper_bound, '')} with 95 % confidence"
    )
    return f"{said}; {slices(judgement, guard)}" if judgement.failed_slices else said


def slices(judgement: Judgement, guard: Guard) -> str:
    """Which slices lost too much or could not be told, in one sentence; empty if all are fine, or there are none."""
    limit = f"more than the {_points(guard.slice_limit, '')} points a slice may lose"
    failed = [f"{each.name} {_points(each.drop)} (n = {each.n})" for each in judgement.failed_slices]
    open_ones = [each for each in judgement.slices if each.verdict is Verdict.UNDECIDABLE]
    seen = sorted((each for each in open_ones if each.drop > guard.slice_limit), key=lambda each: -each.drop)
    said = []
    if failed:
        said.append(f"slices that lost {limit}: {_named(failed)}")
    if seen:
        drops = [f"{each.name} {_points(each.drop)} (n = {each.n})" for each in seen]
        said.append(f"lost as much, but by too few samples to tell: {_named(drops)}")
    if open_ones:
        least = min(each.n for each in open_ones)
        said.append(
            f"{len(open_ones)} of {len(judgement.slices)} slices have too few samples to exclude a drop of "
            f"{_points(guard.slice_limit + guard.slack, '')} points (the smallest: {least})"
        )
    return "; ".join(said)


def _named(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - MOST_NAMED} more" if len(parts) > MOST_NAMED else ""
    return f"{', '.join(parts[:MOST_NAMED])}{more}"


def what_to_do(best: Candidate, untried: Untried, guard: Guard) -> str:
    """What the person does whose profile ended with `best`; empty if it passed."""
    judgement = best.judgement
    if judgement is None:
        return best.hint
    if judgement.verdict is Verdict.PASS:
        return ""
    if judgement.verdict is Verdict.UNDECIDABLE:
        return _more_samples(judgement, guard)
    if judgement.failed_slices and not untried:
        worst = judgement.failed_slices[0]
        return (
            f"Look at the samples of {worst.name} and calibrate with more such; add a gentler scheme to a copy of the "
            f"profile; or allow it by --slice-max-drop {_rounded_up(worst.drop):g}."
        )
    if untried:
        return (
            f"Ranking chose {best.name} and the decision did not confirm it: convert with {_behind(untried)}, and with "
            "evaluation data that was not yet used."
        )
    return (
        f"No scheme of the profile loses less: allow it by --max-drop {_rounded_up(judgement.drop):g}, give "
        "calibration data that is more like the evaluation data, or add a gentler scheme to a copy of the profile."
    )


def _behind(untried: Untried) -> str:
    if untried.others:
        return "--recipe, a file of another recipe of the front"
    if untried.effort is not None:
        return f"--effort {untried.effort}"
    gentler = ", ".join(f'"{scheme}"' for scheme in untried.schemes)
    return f"a copy of the profile that says schemes = [{gentler}]"


def _more_samples(judgement: Judgement, guard: Guard) -> str:
    most = max(guard.max_drop, _rounded_up(judgement.drop))
    allowed = f"--slack {_rounded_up(judgement.upper_bound - most):g}"
    if most > guard.max_drop:
        allowed = f"--max-drop {most:g} {allowed}"
    if judgement.needed is None:
        return f"No number of samples would settle it: only {allowed} would."
    total = math.ceil(judgement.needed / (1 - RANKING_SHARE))
    return (
        f"Give about {total} evaluation samples, of which the decision takes {judgement.needed} (ranking takes the "
        f"rest); or accept less by {allowed}."
    )


def _points(share: float, sign: str = "+") -> str:
    return f"{share * 100:{sign}.2f}"


def _rounded_up(share: float) -> float:
    """To the next thousandth."""
    return math.ceil(share * 1000) / 1000
