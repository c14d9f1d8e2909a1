"""What taking weights away brought in time: in values and in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edge_converters.timings import Comparison, Speed


@dataclass(frozen=True)
class Gain:
    """A variant's time beside that of the same recipe without `passes`; None where it cannot be measured here."""

    passes: tuple[str, ...]
    comparison: Comparison | None


def describe(gain: Gain) -> str:
    """In a sentence."""
    named, found = " + ".join(gain.passes), gain.comparison
    if found is None:
        return f"{named}: whether this makes it faster cannot be measured here"
    said = (
        f"{named}: {found.ratio:.2f} of the time of the same recipe without ({found.low:.2f} to {found.high:.2f}; the "
        f"same file twice differs by {found.aa_spread:.1%})"
    )
    return f"{said}: gain" if found.verdict is Speed.GAIN else f"{said}: no speed-up is to be had from this here"
