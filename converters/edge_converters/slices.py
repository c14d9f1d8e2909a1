"""Slices: whether a class, sensor or group lost too much by itself, among many that are looked at. Pure.

A slice fails if its drop is over the limit with less than 5 % doubt for all slices together: Holm's procedure (S. Holm,
Scandinavian Journal of Statistics 6, 1979, 65-70). What a slice would lose by chance is judged by how often the variant
wins over all samples: a few of one slice cannot tell. One with few samples fails only by a collapse, and stops nothing
else. The rule and its simulated error rates: docs/decisions, "A slice fails a variant by evidence".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_converters.guard import DOUBT, Guard, SliceJudgement, Verdict
from edge_converters.paired import Means, Proportions, from_scores

Array = npt.NDArray[Any]
Memberships = Mapping[str, npt.NDArray[np.bool_]]
"""By slice name, whether each sample belongs to it, [n] each."""

LEAST: Final = 2
"""One sample is no slice: it is neither reported nor counted among those looked at."""


def memberships(groups: Mapping[str, Array]) -> dict[str, npt.NDArray[np.bool_]]:
    """A slice `name value` for each value of each array of `groups`, [n] each."""
    return {f"{name} {value}": group == value for name, group in groups.items() for value in np.unique(group)}


def judge_slices(source: Array, variant: Array, members: Memberships, guard: Guard) -> tuple[SliceJudgement, ...]:
    """Each slice of samples with the scores `source` and `variant`, [n] each, in the order of `members`."""
    chosen = {name: rows for name, rows in members.items() if rows.sum() >= LEAST}
    evidence = {name: from_scores(source[rows], variant[rows]) for name, rows in chosen.items()}
    won = (np.count_nonzero(variant > source) + 1) / (len(source) + 1)
    doubts = holm([_doubt(each, guard.slice_limit, won) for each in evidence.values()])
    judged = []
    for (name, each), doubt in zip(evidence.items(), doubts, strict=True):
        upper = each.upper(each.n)
        verdict = Verdict.UNDECIDABLE
        if doubt < DOUBT:
            verdict = Verdict.FAIL
        elif upper <= guard.slice_limit + guard.slack:
            verdict = Verdict.PASS
        judged.append(SliceJudgement(name, each.n, each.source, each.variant, each.drop, upper, verdict))
    return tuple(judged)


def _doubt(evidence: Proportions | Means, limit: float, won: float) -> float:
    if isinstance(evidence, Proportions):
        return evidence.doubt_if_won(limit, won)
    return evidence.doubt(limit, evidence.n)


def holm(doubts: Sequence[float]) -> list[float]:
    """The p-values of tests that are looked at together, so that one below 5 % is wrong in at most 5 % of all cases."""
    adjusted, highest = [0.0] * len(doubts), 0.0
    for rank, place in enumerate(sorted(range(len(doubts)), key=doubts.__getitem__)):
        highest = max(highest, min(1.0, (len(doubts) - rank) * doubts[place]))
        adjusted[place] = highest
    return adjusted
