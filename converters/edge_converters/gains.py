"""What taking weights away brought, and what it cost, beside the same recipe with all of them. Values, words; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_converters.guard import Verdict
from edge_converters.timings import Comparison, Speed


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


CONCLUSIONS: Final[dict[tuple[bool, bool], str]] = {
    (True, True): "a speed-up at equal guard",
    (True, False): "the guard is kept, but no speed-up is to be had from this here",
    (False, True): "faster, but the guard is not shown to be kept: with this no speed-up is to be had at equal guard",
    (False, False): "neither faster nor shown to keep the guard: no speed-up is to be had from this here",
}
"""By whether the variant passed, and whether it is faster."""
UNMEASURED: Final[dict[bool, str]] = {
    True: "whether it is faster is not measured here",
    False: "the guard is not shown to be kept: with this no speed-up is to be had at equal guard",
}


def sentences(gain: Gain, max_drop: float) -> tuple[str, ...]:
    """What went and what it cost, what it brought, and which smaller share may do."""
    return (_price(gain), _speed(gain), *([_advice(gain, max_drop)] if gain.lesser else []))


def _price(gain: Gain) -> str:
    gone = ((gain.taken.multiplications, "multiplications"), (gain.taken.weights, "weights"))
    taken = " and ".join(f"{share:.1%} of the {what}" for share, what in gone if share > 0) or "nothing"
    beside = "a check failed" if gain.whole_drop is None else f"{gain.whole_drop * 100:+.2f}"
    return (
        f"{' + '.join(gain.passes)} took away {taken}; drop in ranking {gain.drop * 100:+.2f} points, of the same "
        f"recipe without it {beside}"
    )


def _speed(gain: Gain) -> str:
    passed, found = gain.verdict is Verdict.PASS, gain.comparison
    if found is None:
        return UNMEASURED[passed]
    return (
        f"{found.ratio:.2f} of the time of the same recipe without it ({found.low:.2f} to {found.high:.2f}; the same "
        f"file twice differs by {found.aa_spread:.1%}): {CONCLUSIONS[passed, found.verdict is Speed.GAIN]}"
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
