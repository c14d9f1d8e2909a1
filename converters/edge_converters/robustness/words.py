"""What robustness checks found, in a sentence. Pure."""

from __future__ import annotations

from edge_converters.robustness.findings import MARGIN, Robustness


def describe(found: Robustness) -> str:
    """For the person at the terminal."""
    looked = len(found.sweeps) + len(found.random)
    if not looked:
        return f"robustness: nothing was checked. Left out: {'; '.join(found.left_out)}"
    if found.brittle:
        said = (
            f"BRITTLE: loses over {MARGIN * 100:g} points more than the float model under {', '.join(found.brittle)}"
            f" (of {looked} looked at). Calibrate with such samples, or choose a gentler scheme"
        )
    else:
        bounds = [each.excess.upper_bound for each in found.sweeps] + [each.excess.upper_bound for each in found.random]
        said = (
            f"robustness: under none of {looked} kinds of worse input shown to lose over {MARGIN * 100:g} points more"
            f" than the float model (at most {max(bounds, default=0.0) * 100:.1f} with 95 % confidence each)"
        )
    return f"{said}. Left out: {'; '.join(found.left_out)}" if found.left_out else said
