"""Why a profile got its variant or none, and what to do now, in one sentence each. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_converters.datasets import RANKING_SHARE
from edge_converters.guard import Guard, Judgement, Verdict
from edge_converters.reports import Candidate


def ranked(drop: float, n: int, guard: Guard) -> str:
    """How a scheme did on the ranking split."""
    words = "over" if drop > guard.max_drop else "within"
    return f"drop {_points(drop)} points in ranking (n = {n}), {words} the {_points(guard.max_drop, '')} allowed"


def decided(judgement: Judgement, guard: Guard) -> str:
    """How a scheme did on the decision split."""
    found = (
        f"drop {_points(judgement.drop)} points in the decision (n = {judgement.n}), "
        f"at most {_points(judgement.upper_bound, '')} with 95 % confidence"
    )
    match judgement.verdict:
        case Verdict.PASS:
            return found
        case Verdict.UNDECIDABLE:
            return f"{found}: too few samples to exclude {_points(guard.max_drop + guard.slack, '')}"
        case _:
            return f"{found}: over the {_points(guard.max_drop, '')} allowed"


def what_to_do(best: Candidate, untried: Sequence[str], guard: Guard) -> str:
    """What the person does whose profile ended with `best`; empty if it passed.

    `untried` are the gentler schemes behind it that ranking did not need.
    """
    judgement = best.judgement
    if judgement is None:
        return best.hint
    if judgement.verdict is Verdict.PASS:
        return ""
    if judgement.verdict is Verdict.UNDECIDABLE:
        return _more_samples(judgement, guard)
    if untried:
        gentler = ", ".join(f'"{scheme}"' for scheme in untried)
        return (
            f"Ranking chose {best.scheme} and the decision did not confirm it: convert with a copy of the profile that "
            f"says schemes = [{gentler}], and with evaluation data that was not yet used."
        )
    return (
        f"No scheme of the profile loses less: allow it by --max-drop {_rounded_up(judgement.drop):g}, give "
        "calibration data that is more like the evaluation data, or add a gentler scheme to a copy of the profile."
    )


def _more_samples(judgement: Judgement, guard: Guard) -> str:
    slack = f"--slack {_rounded_up(judgement.upper_bound - guard.max_drop):g}"
    if judgement.needed is None:
        return f"No number of samples would settle it: only {slack} would."
    total = math.ceil(judgement.needed / (1 - RANKING_SHARE))
    return (
        f"Give about {total} evaluation samples, of which the decision takes {judgement.needed} (ranking takes the "
        f"rest); or accept less certainty by {slack}."
    )


def _points(share: float, sign: str = "+") -> str:
    return f"{share * 100:{sign}.2f}"


def _rounded_up(share: float) -> float:
    """To the next thousandth."""
    return math.ceil(share * 1000) / 1000
