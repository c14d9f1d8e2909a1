"""The recent windows of each cohort (release x hardware profile), and as streams to compare with a baseline."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from edge_contracts.ids import DeviceId, ModelName, ProfileName
from edge_contracts.manifest import Baseline, FeatureBaseline
from edge_contracts.window import Clock, TelemetryWindow
from edge_fleet.domain.drift import Stream
from edge_fleet.records.identities import DeviceRow
from edge_fleet.records.observations import WindowRow
from edge_fleet.services import windows

LOOK_BACK: Final = timedelta(hours=24)
MOST_WINDOWS: Final = 512
"""Of a cohort, the newest: enough evidence for any size of fleet, at a cost that does not grow with it."""
CLOCK_TOLERANCE: Final = timedelta(days=1)


@dataclass(frozen=True)
class Cohort:
    """Devices that are compared together."""

    model: ModelName
    version: int
    profile: ProfileName


@dataclass(frozen=True)
class Seen:
    """One window of a cohort. `start` is the device's if its clock can be believed, else when the window came."""

    device: DeviceId
    start: datetime
    received: datetime
    window: TelemetryWindow


class CohortWindows:
    """Filled from the table, and filled again from it after a restart."""

    def __init__(self) -> None:
        self._last_id = 0
        self._cohorts: defaultdict[Cohort, deque[Seen]] = defaultdict(lambda: deque(maxlen=MOST_WINDOWS))

    def load_new(self, session: Session, now: datetime) -> set[Cohort]:
        """Take in what came since the last call; the cohorts that have something new."""
        query = (
            select(WindowRow, DeviceRow.profile)
            .join(DeviceRow, DeviceRow.id == WindowRow.device)
            .where(WindowRow.id > self._last_id, WindowRow.received > now - LOOK_BACK)
            .where(WindowRow.slot == "active", WindowRow.n > 0)
            .order_by(WindowRow.id)
        )
        news: set[Cohort] = set()
        for row, profile in session.execute(query).yield_per(200):
            cohort = Cohort(row.model, row.version, profile)
            self._cohorts[cohort].append(seen_in(row, windows.read(row)))
            self._last_id = row.id
            news.add(cohort)
        return news

    def recent(self, cohort: Cohort, now: datetime) -> list[Seen]:
        """The cohort's windows of the last day, oldest first."""
        return [seen for seen in self._cohorts[cohort] if seen.received > now - LOOK_BACK]


def seen_in(row: WindowRow, window: TelemetryWindow) -> Seen:
    """The window of a row, dated."""
    suspect = window.clock is Clock.SUSPECT or abs(row.received - row.start) > CLOCK_TOLERANCE
    return Seen(row.device, row.received if suspect else row.start, row.received, window)


def input_streams(baseline: Baseline, seen: Sequence[Seen]) -> Iterator[Stream]:
    """What came in: every feature, and whether values were there at all."""
    for feature in baseline.features:
        counts = [_feature_counts(feature, one) for one in seen]
        yield Stream(feature.name, feature.group, _array(feature.counts), np.stack(counts), _array(feature.edges))
    for feature in {feature.tensor: feature for feature in reversed(baseline.features)}.values():
        valid = np.stack([_validity(feature, one) for one in seen])
        yield Stream(f"{feature.tensor}.valid", "validity", np.array([float(sum(feature.counts)), 0.0]), valid)


def output_streams(baseline: Baseline, seen: Sequence[Seen]) -> Iterator[Stream]:
    """What was answered: the classes, and how sure the model was."""
    for name, reference, field in (
        ("classes", baseline.classes, "classes"),
        ("confidence", baseline.confidence, "confidence"),
    ):
        if reference:
            counts = [_fitting(getattr(one.window, field), len(reference)) for one in seen]
            yield Stream(name, "answers", _array(reference), np.stack(counts))


def _feature_counts(feature: FeatureBaseline, one: Seen) -> npt.NDArray[np.float64]:
    found = one.window.features.get(feature.name)
    return _fitting(found.counts if found else (), len(feature.counts))


def _validity(feature: FeatureBaseline, one: Seen) -> npt.NDArray[np.float64]:
    found = one.window.features.get(feature.name)
    return np.array([sum(found.counts), found.missing + found.non_finite], float) if found else np.zeros(2)


def _fitting(counts: tuple[int, ...], length: int) -> npt.NDArray[np.float64]:
    """The counts; nothing counted where a device sends another number of bins than its release has."""
    return _array(counts) if len(counts) == length else np.zeros(length)


def _array(values: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
