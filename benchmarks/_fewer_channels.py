"""Models with fewer channels in their engines beside the same recipe with all: the guard's verdict, and the time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge_converters.calls import call
from edge_converters.datasets import Data
from edge_converters.drafts import Workshop
from edge_converters.floats import prepare
from edge_converters.gains import Found, Gain, found, sentences
from edge_converters.guard import Guard, Verdict
from edge_converters.ladder import Climb
from edge_converters.latency import Stopwatch
from edge_converters.measures import choose_metric
from edge_converters.recipes import Recipe
from edge_converters.sources import recognise
from edge_converters.variants import make_variant
from edge_converters.workers import Worker
from edge_profiles.boards import load
from edge_profiles.profile import Profile

ENGINES: Final = ("rpi4-litert", "x86-64-vnni")
SHARES: Final = (0.1, 0.2, 0.3, 0.4)
"""Of all multiplications."""


def speed_ups(source: Path, data: Data) -> Iterator[str]:
    """For each engine a line for each share, in the profile's first scheme, and which was the fastest that passed."""
    profiles = [load(name) for name in ENGINES]
    formats = [profile.format for profile in profiles]
    with tempfile.TemporaryDirectory() as folder, Worker() as worker, Stopwatch() as stopwatch:
        floats = prepare(recognise(source), data, formats, Path(folder), worker, seed=0)
        metric = choose_metric(floats.reference, data.evaluation.y, data.evaluation.x.shape[1:])
        shop = Workshop(data, floats, metric, Guard(), worker, stopwatch)
        for profile in profiles:
            gains = []
            for share in SHARES:
                gain = _gain(profile, share, shop)
                gains.append(gain)
                yield f"  {profile.name}, {gain.verdict}: {'; '.join(sentences(gain, shop.guard.max_drop)[:2])}"
            yield f"  {profile.name}: {_best(gains)}"


def _gain(profile: Profile, share: float, shop: Workshop) -> Gain:
    own = (Recipe(profile.schemes[0], (call("prune-channels", {"share": share}),)),)
    gain = make_variant(profile, replace(shop, climb=Climb(own=own))).report.gain
    assert gain is not None
    return gain


def _best(gains: Sequence[Gain]) -> str:
    won = {gain.comparison.ratio: gain for gain in gains if gain.comparison is not None and _is_won(gain)}
    if not won and any(gain.verdict is Verdict.PASS and found(gain.comparison) is Found.NOISE for gain in gains):
        return "the machine is too restless to tell; measure again while nothing else runs"
    if not won:
        return "no speed-up at equal guard at any of these shares"
    ratio = min(won)
    return f"at equal guard {ratio:.2f} of the time by {won[ratio].passes[0]}"


def _is_won(gain: Gain) -> bool:
    return gain.verdict is Verdict.PASS and found(gain.comparison) is Found.FASTER
