"""Outcomes kept in the cache under everything that they depend on, and taken from there again."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from edge_contracts.ids import Digest
from edge_contracts.manifest import Variant
from edge_converters import vulkan
from edge_converters.cache import Cache
from edge_converters.fingerprints import NoFingerprint, fingerprint
from edge_converters.job import Job
from edge_converters.machine import describe_machine
from edge_converters.outcomes import Basis, Made, Outcome
from edge_converters.provenance import code_digest, library_versions
from edge_converters.reports import ProfileReport
from edge_converters.workers import SETTINGS
from edge_profiles.profile import Profile

ENTRY: Final = "entry.json"
_log = logging.getLogger(__name__)
Value = TypeVar("Value")


@dataclass(frozen=True)
class _Entry:
    report: ProfileReport
    variant: Variant | None
    parity: float
    float_bytes: int
    kept: str


_ENTRIES: Final = TypeAdapter(_Entry)
_BASES: Final = TypeAdapter(Basis)


class Shelf:
    """The cache as one conversion sees it, profile by profile; nothing is kept or found where there is none.

    A job that holds what has no content to tell it by, such as a function, goes without.
    """

    def __init__(self, cache: Cache | None, job: Job) -> None:
        self._cache, self._common = cache, ""
        if cache is None:
            return
        parts = (job.source.digest, job.source.kind, job.data, job.guard, job.asked, job.method)
        surroundings = (code_digest(), library_versions(), SETTINGS, describe_machine(), vulkan.environment())
        try:
            self._common = fingerprint((parts, surroundings))
        except NoFingerprint as error:
            _log.warning("the cache is not used: %s cannot be told from another", error)
            self._cache = None

    def basis(self) -> Basis | None:
        """What was kept of the source's own answers."""
        files = self._cache.get(self._key("basis")) if self._cache else None
        return None if files is None else _read(_BASES, files)

    def keep_basis(self, basis: Basis) -> None:
        """Keep what the source's own answers gave."""
        if self._cache:
            self._cache.put(self._key("basis"), {ENTRY: _json(_BASES, basis)})

    def find(self, profile: Profile) -> Outcome | None:
        """What became of `profile` before; its figures say where they were measured."""
        files = self._cache.get(self._key(profile)) if self._cache else None
        entry = None if files is None else _read(_ENTRIES, files)
        if files is None or entry is None:
            return None
        contents = {name: content for name, content in files.items() if name != ENTRY} if entry.variant else None
        report = replace(entry.report, from_cache=entry.kept)
        return Outcome(Made(report, entry.variant, contents), entry.parity, entry.float_bytes, entry.kept)

    def keep(self, profile: Profile, outcome: Outcome) -> None:
        """Keep what became of `profile`, unless another run may end otherwise: a process died, or memory was short."""
        made = outcome.made
        if not self._cache or not all(candidate.settled for candidate in made.report.candidates):
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = _Entry(made.report, made.variant, outcome.parity, outcome.float_bytes, now)
        try:
            content = _json(_ENTRIES, entry)
        except PydanticSerializationError as error:
            _log.warning("the outcome of %s is not kept in the cache: %s", profile.name, error)
            return
        self._cache.put(self._key(profile), {ENTRY: content, **(made.files or {})})

    def _key(self, part: object) -> Digest:
        return fingerprint((self._common, part))


def _json(kind: TypeAdapter[Any], value: object) -> bytes:
    return json.dumps(kind.dump_python(value, mode="json")).encode()


def _read(kind: TypeAdapter[Value], files: dict[str, bytes]) -> Value | None:
    try:
        return kind.validate_python(json.loads(files[ENTRY]))
    except (KeyError, ValueError, ValidationError):  # of another form: as good as absent
        return None
