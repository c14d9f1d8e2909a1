"""Which device belongs to which wave of a rollout: the same answer on any machine, at any time."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from edge_contracts.ids import DeviceId, ProfileName

_ROUNDING = 1e-9
"""0.1 x 30 is 3.0000000000000004 in floating point; three devices are meant, not four."""


def plan_waves(
    rollout: str, devices: Mapping[DeviceId, ProfileName], shares: Sequence[float]
) -> tuple[tuple[DeviceId, ...], ...]:
    """The devices of each wave, in the order in which they are taken. Waves that would add no device are left out.

    Stratified: each cumulative share is taken of every profile on its own and rounded up, so every profile of the
    selection is in wave one. The order within a profile is that of SHA-256(rollout, device): it favours no name, and a
    device that suffers the first wave of one rollout is no likelier to suffer the next one's.
    """
    strata: dict[ProfileName, list[DeviceId]] = defaultdict(list)
    for device in sorted(devices, key=lambda device: _draw(rollout, device)):
        strata[devices[device]].append(device)
    waves = (
        tuple(device for profile in sorted(strata) for device in _slice(strata[profile], low, high))
        for low, high in pairwise((0.0, *shares))
    )
    return tuple(wave for wave in waves if wave)


def _slice(stratum: Sequence[DeviceId], low: float, high: float) -> Sequence[DeviceId]:
    return stratum[math.ceil(low * len(stratum) - _ROUNDING) : math.ceil(high * len(stratum) - _ROUNDING)]


def _draw(rollout: str, device: DeviceId) -> bytes:
    return hashlib.sha256(f"{rollout}\0{device}".encode()).digest()
