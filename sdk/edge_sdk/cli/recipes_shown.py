"""What the terminal says of a variant's recipe: a search's front, layers in float, zeros held, what pruning won."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edge_sdk.cli import screen

if TYPE_CHECKING:
    from edge_converters.reports import ProfileReport
    from edge_converters.search.findings import Found


def show_front(report: ProfileReport) -> None:
    """The table of a search's front, if there was one."""
    found = report.search
    if found is None:
        return
    screen.show_table(
        f"{report.profile}: the front of {found.proposals} proposals by {found.sampler}",
        ("", "drop in ranking", "time", "size", "recipe"),
        [_row(found, place) for place in sorted(found.front, key=lambda place: _size(found, place))],
        f"{report.profile}: no proposal could be made",
    )
    print(f"`time`: {found.time_unit}. `*`: taken, {found.rule}.")
    if found.study is not None:
        screen.say(f"The study {found.study} is kept: the same command goes on with it, with a larger --search.")


def sentences(report: ProfileReport, max_drop: float) -> Iterable[str]:
    """About what was done to the weights. `max_drop` is what the guard allows."""
    if report.kept:
        names = ", ".join(layer.short_name for layer in report.kept)
        yield f"{report.profile}: {len(report.kept)} layers stay in float: {names}"
    zeros = (report.figures or {}).get("zero_weights")
    if zeros is not None:
        yield f"{report.profile}: {zeros.value:.1%} of the weights are zero in {zeros.source}: held"
    if report.gain is not None:
        from edge_converters.gains import sentences as told

        yield from (f"{report.profile}: {each}" for each in told(report.gain, max_drop))


def _row(found: Found, place: int) -> tuple[str, ...]:
    trial = found.trials[place]
    assert trial.costs is not None
    star = "*" if place == found.taken else ""
    costs = trial.costs
    return star, f"{costs.drop * 100:+.2f}", f"{costs.time:.3g}", f"{costs.size_bytes:,}", str(trial.recipe)


def _size(found: Found, place: int) -> int:
    costs = found.trials[place].costs
    return costs.size_bytes if costs else 0
