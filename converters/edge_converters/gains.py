"""What taking weights away brought, and what it cost, beside the same recipe with all of them. Values, words; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge_converters.guard import Verdict
from edge_converters.timings import LEAST_DIFFERENCE, Comparison, Speed


@dataclass(frozen=True)
class Taken:
    """Shares of what the float model has, its dead channels removed before."""

    multiplications: float
    weights: float
    """Those that became zero count as gone."""


@dataclass(frozen=True)
class Lesser:
    """A smaller share of channels, and its drop on the ranking split; None if it broke a check."""

    share: float
    drop: float | None


@dataclass(frozen=True)
class Gain:
    """A variant's time and drop beside those of the same recipe without `passes`, whether or not it passed."""

    passes: tuple[str, ...]
    taken: Taken
    comparison: Comparison | None
    """None where it was not asked for or cannot be measured here."""
    verdict: Verdict
    drop: float
    """On the ranking split, or its worst slice's."""
    whole_drop: float | None
    """Of the same recipe without; None if that one broke a check."""
    lesser: tuple[Lesser, ...] = ()
    """What was tried of smaller shares where this one did not pass, down to the first that may do."""


class Found(StrEnum):
    """What the time says."""

    FASTER = "faster"
    NOT_FASTER = "not faster"
    NOISE = "noise"
    """The machine was too restless to tell."""
    UNMEASURED = "unmeasured"


CONCLUSIONS: Final[dict[tuple[bool, Found], str]] = {
    (True, Found.FASTER): "a speed-up at equal guard",
    (True, Found.NOT_FASTER): "the guard is kept, but no speed-up is to be had from this here",
    (True, Found.NOISE): "the guard is kept, but whether it is faster is lost in this machine's noise: measure again",
    (True, Found.UNMEASURED): "whether it is faster is not measured here",
    (False, Found.FASTER): (
        "faster, but the guard is not shown to be kept: with this no speed-up is to be had at equal guard"
    ),
    (False, Found.NOT_FASTER): "neither faster nor shown to keep the guard: no speed-up is to be had from this here",
    (False, Found.NOISE): "the guard is not shown to be kept: with this no speed-up is to be had at equal guard",
    (False, Found.UNMEASURED): "the guard is not shown to be kept: with this no speed-up is to be had at equal guard",
}
"""By whether the variant passed, and what its time says."""


def found(comparison: Comparison | None) -> Found:
    """No gain is no proof that there is none: the whole interval has to lie above the least difference."""
    if comparison is None:
        return Found.UNMEASURED
    if comparison.verdict is Speed.GAIN:
        return Found.FASTER
    return Found.NOT_FASTER if comparison.low > 1 / (1 + LEAST_DIFFERENCE) else Found.NOISE


def sentences(gain: Gain, max_drop: float) -> tuple[str, ...]:
    """What went and what it cost, what it brought, and which smaller share may do."""
    return (_price(gain), _speed(gain), *([_advice(gain, max_drop)] if gain.lesser else []))


def _price(gain: Gain) -> str:
    gone = ((gain.taken.multiplications, "multiplications"), (gain.taken.weights, "weights"))
    taken = " and ".join(f"{share:.1%} of the {what}" for share, what in gone if share > 0) or "nothing"
    beside = "a check failed" if gain.whole_drop is None else f"{gain.whole_drop * 100:+.2f}"
    return (
        f"taken away by {' + '.join(gain.passes)}: {taken}; drop in ranking {gain.drop * 100:+.2f} points, of the same "
        f"recipe without it {beside}"
    )


def _speed(gain: Gain) -> str:
    concluded, time = CONCLUSIONS[gain.verdict is Verdict.PASS, found(gain.comparison)], gain.comparison
    if time is None:
        return concluded
    return (
        f"{time.ratio:.2f} of the time of the same recipe without it ({time.low:.2f} to {time.high:.2f}; the same "
        f"file twice differs by {time.aa_spread:.1%}): {concluded}"
    )


def _advice(gain: Gain, max_drop: float) -> str:
    tried = ", ".join(f"{each.share:.3g} {_drop(each.drop)}" for each in gain.lesser)
    said = f"drop in ranking of smaller shares: {tried}"
    last = gain.lesser[-1]
    if last.drop is not None and last.drop <= max_drop:
        return f"{said}. Ask for {last.share:.3g}, and judge it by evaluation data that was not yet used"
    return f"{said}. None of them keeps the guard: by taking channels away no speed-up is to be had here"


def _drop(drop: float | None) -> str:
    return "failed a check" if drop is None else f"{drop * 100:+.2f}"
