"""Which releases the device holds and what it will not run again: one frozen value and the ways it may change.

A release is named by the digest of its artifact, which is also its folder on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field

from edge_contracts.ids import Digest, ModelName
from edge_contracts.manifest import Count
from edge_contracts.wire import Utc, Wire

MAX_QUARANTINE: Final = 1024
"""Digests remembered; beyond it the oldest is forgotten (the anti-rollback floor still stands in its way)."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Slots(Wire):
    """The durable facts of the updater, replaced as a whole."""

    active: Digest | None = None
    """What answers, or answered when the process ended."""
    candidate: Digest | None = None
    """Complete on disk and verified, not yet committed."""
    good: Digest | None = None
    """The last committed release."""
    previous: Digest | None = None
    """The committed release before it."""
    floors: dict[ModelName, int] = {}
    """Per model, the highest version committed."""
    quarantine: Annotated[tuple[Digest, ...], Field(max_length=MAX_QUARANTINE)] = ()
    counter: Count = 0
    """Of the last assignment followed."""
    time_floor: Utc = EPOCH
    """It is at least this late."""
    starts: Count = 0
    """Process starts since a loaded model was last seen healthy."""

    @property
    def held(self) -> frozenset[Digest]:
        """Every release a slot names."""
        return frozenset(slot for slot in (self.active, self.candidate, self.good, self.previous) if slot)


def staged(slots: Slots, release: Digest) -> Slots:
    """`release` is the candidate."""
    return slots.model_copy(update={"candidate": release})


def switched(slots: Slots, release: Digest) -> Slots:
    """The active pointer names `release`; what was good stays good."""
    return slots.model_copy(update={"active": release, "candidate": release})


def committed(slots: Slots, release: Digest, model: ModelName, version: int) -> Slots:
    """`release` is the last-known-good, the old one the previous; the floor of its model has risen. Idempotent."""
    floors = {**slots.floors, model: max(version, slots.floors.get(model, 0))}
    previous = slots.previous if slots.good == release else slots.good
    return slots.model_copy(
        update={"active": release, "candidate": None, "good": release, "previous": previous, "floors": floors}
    )


def rolled_back(slots: Slots) -> Slots:
    """The last-known-good is active again. Idempotent."""
    return slots.model_copy(update={"active": slots.good, "candidate": None})


def fallen_back(slots: Slots, release: Digest) -> Slots:
    """Only `release` could be loaded: it is active and good; slots that could not are empty."""
    previous = slots.previous if slots.previous != release and slots.good == release else None
    return slots.model_copy(update={"active": release, "good": release, "previous": previous})


def quarantined(slots: Slots, digests: Iterable[Digest]) -> Slots:
    """These digests are not tried again. Idempotent."""
    new = tuple(digest for digest in dict.fromkeys(digests) if digest not in slots.quarantine)
    return slots.model_copy(update={"quarantine": (slots.quarantine + new)[-MAX_QUARANTINE:]})


def loading_order(slots: Slots, max_starts: int) -> tuple[Digest, ...]:
    """The slots to try when the process starts, best first.

    After more than `max_starts` starts without a healthy model the active one is suspected of killing the process and
    is left out.
    """
    wanted = (slots.active, slots.good, slots.previous)
    suspect = slots.active if slots.starts > max_starts else None
    return tuple(dict.fromkeys(slot for slot in wanted if slot and slot != suspect))
