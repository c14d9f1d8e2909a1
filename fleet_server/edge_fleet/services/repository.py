"""The signed repository: takes what the owner signed, signs snapshot and timestamp over it, publishes all or nothing.

The order of a publication, so that a crash at any point leaves the old or the new, never a mixture:

 1. files that nothing refers to yet: new targets, targets metadata, snapshot
 2. the database's commit: from here on the new state is the true one
 3. new root, then the timestamp, which makes devices look; written again at every start
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from securesystemslib.signer import Signer
from sqlalchemy import select
from sqlalchemy.orm import Session
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp

from edge_contracts.ids import Digest
from edge_contracts.operations import OnlineKeys, Trust
from edge_contracts.targets import DIRECTOR_TARGET, manifest_target
from edge_fleet.domain import trust as rules
from edge_fleet.errors import Conflict, NotFound
from edge_fleet.ports import Clock, Transactions
from edge_fleet.records.releases import MetadataRow, ReleaseRow, TargetRow
from edge_fleet.services import audit

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = Root.type, Targets.type, Snapshot.type, Timestamp.type
_VISIBLE: Final = (ROOT, TIMESTAMP)
"""Roles whose files devices look for by name: written after the commit, in this order."""


class Files(Protocol):
    """The repository as files."""

    def write_metadata(self, name: str, body: bytes) -> None:
        """The file holds `body` afterwards, or is as before. Raises NoSpace."""

    def write_target(self, path: str, body: bytes) -> None:
        """The same for a target, under its consistent-snapshot name. Raises NoSpace."""

    def drop_old(self, role: str, newest: int) -> None:
        """Remove long superseded versions."""


class OnlineSigner(Protocol):
    """The server's own signing keys."""

    @property
    def snapshot(self) -> Signer:
        """Signs which versions belong together."""

    @property
    def timestamp(self) -> Signer:
        """Signs that this is the newest."""

    def public(self) -> OnlineKeys:
        """The public halves."""


class SignedRepository:
    """The repository of one server. Its methods take their own transactions."""

    def __init__(
        self,
        database: Transactions,
        files: Files,
        signers: OnlineSigner,
        clock: Clock,
        timestamp_time: timedelta,
        snapshot_time: timedelta,
    ) -> None:
        self._database = database
        self._files = files
        self._signers = signers
        self._clock = clock
        self._times = {TIMESTAMP: timestamp_time, SNAPSHOT: snapshot_time}
        self._one_at_a_time = threading.Lock()
        self._behind = False
        """Whether the files may be older than the database."""

    def online_keys(self) -> OnlineKeys:
        """The public halves, for the owner's root and targets."""
        return self._signers.public()

    def put_trust(self, trust: Trust, actor: str) -> None:
        """Take the owner's first or next root with its targets. The same again changes nothing.

        Raises:
            Rejected, Conflict: see `domain.trust`.
        """
        root_bytes, targets_bytes, director = trust.root.encode(), trust.targets.encode(), trust.director_key.encode()
        root, targets = rules.read_root(root_bytes), rules.read_targets(targets_bytes)
        with self._publication() as session:
            self._take_root(session, root, root_bytes)
            self._take_targets(session, targets, targets_bytes, root)
            rules.check_director(targets, director, self.online_keys())
            session.merge(TargetRow(path=DIRECTOR_TARGET, body=director))
            detail = f"root version {root.signed.version}, targets version {targets.signed.version}"
            audit.record(session, self._clock(), actor, "trust.put", "root", detail)

    @contextmanager
    def publication(self) -> Iterator[Session]:
        """A transaction in which the targets may be replaced by `replace_targets`; published when the block ends.

        Raises:
            Conflict: trust-missing, when the owner has not put a root yet.
        """
        with self._publication() as session:
            if _newest(session, ROOT) is None:
                message = "The owner's root is not here yet"
                raise Conflict("trust-missing", message, "Put it with `edge-sdk keys trust` (PUT /v1/trust) first.")
            yield session

    def replace_targets(self, session: Session, targets: Metadata[Targets], body: bytes) -> Metadata[Targets]:
        """Inside `publication`: checked targets metadata takes the place of the current one, which is returned.

        Raises:
            Rejected, Conflict: see `domain.trust.check_targets`.
        """
        root, before = _newest(session, ROOT), _newest(session, TARGETS)
        assert root is not None, "`publication` has looked"
        assert before is not None, "root and targets come together"
        current = rules.read_targets(before.body)
        rules.check_targets(targets, rules.read_root(root.body), current, self._clock())
        _keep(session, targets, body)
        return current

    def renew(self) -> bool:
        """Sign timestamp and snapshot anew if more than half of their time has passed; whether it was needed."""
        if self._behind:
            self.restore()
        now = self._clock()
        with self._database.read() as session:
            rows = [_newest(session, role) for role in (TIMESTAMP, SNAPSHOT)]
        if not any(row is not None and self._is_old(row, now) for row in rows):
            return False
        with self._publication():
            pass
        return True

    def restore(self) -> None:
        """Write every file as the database says: finishes a publication that a crash or a full disk cut short."""
        with self._one_at_a_time:
            with self._database.read() as session:
                targets = session.scalars(select(TargetRow)).all()
                releases = session.scalars(select(ReleaseRow)).all()
                metadata = session.scalars(select(MetadataRow)).all()
            for target in targets:
                self._files.write_target(target.path, target.body)
            for release in releases:
                self._files.write_target(manifest_target(release.model, release.version), release.manifest)
            self._write(sorted(metadata, key=lambda row: (_order(row.role), row.version)))
            self._behind = False

    def current(self, role: str) -> bytes:
        """The newest metadata of a role. Raises NotFound."""
        with self._database.read() as session:
            row = _newest(session, role)
        if row is None:
            raise NotFound(
                "trust-missing", f"There is no {role} metadata yet", "The owner puts a root with PUT /v1/trust."
            )
        return row.body

    def _take_root(self, session: Session, root: Metadata[Root], body: bytes) -> None:
        before = _newest(session, ROOT)
        if before is not None and before.body == body:
            return
        current = None if before is None else rules.read_root(before.body)
        rules.check_root(root, current, self.online_keys(), self._clock())
        _keep(session, root, body)

    def _take_targets(self, session: Session, targets: Metadata[Targets], body: bytes, root: Metadata[Root]) -> None:
        before = _newest(session, TARGETS)
        if before is not None and before.body == body:
            rules.check_targets_signature(targets, root)
            return
        current = None if before is None else rules.read_targets(before.body)
        rules.check_targets(targets, root, current, self._clock())
        rules.check_same_releases(targets, current)
        _keep(session, targets, body)

    @contextmanager
    def _publication(self) -> Iterator[Session]:
        with self._one_at_a_time:
            with self._database.write() as session:
                yield session
                session.flush()
                self._sign_online(session)
                rows = sorted(session.scalars(select(MetadataRow)), key=lambda row: (_order(row.role), row.version))
                self._write_targets(session)
                self._write([row for row in rows if row.role not in _VISIBLE])
                self._behind = True
            self._write([row for row in rows if row.role in _VISIBLE])
            self._behind = False
            for row in rows:
                if row.role in (TARGETS, SNAPSHOT):
                    self._files.drop_old(row.role, row.version)

    def _write(self, rows: Sequence[MetadataRow]) -> None:
        for row in rows:
            self._files.write_metadata(row.name, row.body)

    def _write_targets(self, session: Session) -> None:
        for target in session.scalars(select(TargetRow)):
            self._files.write_target(target.path, target.body)
        for release in session.scalars(select(ReleaseRow).order_by(ReleaseRow.published.desc()).limit(1)):
            self._files.write_target(manifest_target(release.model, release.version), release.manifest)

    def _sign_online(self, session: Session) -> None:
        now = self._clock()
        targets, snapshot = _newest(session, TARGETS), _newest(session, SNAPSHOT)
        assert targets is not None, "root and targets come together"
        meta = {f"{TARGETS}.json": _meta_file(targets)}
        if snapshot is None or self._is_old(snapshot, now) or _read_snapshot(snapshot).meta != meta:
            version = 1 if snapshot is None else snapshot.version + 1
            content = Snapshot(version, expires=self._expiry(SNAPSHOT, now), meta=meta)
            snapshot = self._sign(session, content, self._signers.snapshot)
        timestamp = _newest(session, TIMESTAMP)
        version = 1 if timestamp is None else timestamp.version + 1
        fresh = Timestamp(version, expires=self._expiry(TIMESTAMP, now), snapshot_meta=_meta_file(snapshot))
        self._sign(session, fresh, self._signers.timestamp)

    def _sign(self, session: Session, content: Signed, signer: Signer) -> MetadataRow:
        metadata: Metadata[Any] = Metadata(content)
        metadata.sign(signer)
        return _keep(session, metadata, metadata.to_bytes())

    def _expiry(self, role: str, now: datetime) -> datetime:
        return (now + self._times[role]).replace(microsecond=0)

    def _is_old(self, row: MetadataRow, now: datetime) -> bool:
        return now >= row.expires - self._times[row.role] / 2


def _order(role: str) -> int:
    return (TARGETS, SNAPSHOT, ROOT, TIMESTAMP).index(role)


def _newest(session: Session, role: str) -> MetadataRow | None:
    by_version = MetadataRow.version.desc()
    return session.scalar(select(MetadataRow).where(MetadataRow.role == role).order_by(by_version).limit(1))


def _keep(session: Session, metadata: Metadata[Any], body: bytes) -> MetadataRow:
    """Make it the newest of its role; of roles other than root, it is then the only one."""
    signed = metadata.signed
    role: str = signed.type
    if role != ROOT:
        for superseded in session.scalars(select(MetadataRow).where(MetadataRow.role == role)).all():
            session.delete(superseded)
        session.flush()
    name = f"{role}.json" if role == TIMESTAMP else f"{signed.version}.{role}.json"
    row = MetadataRow(name=name, role=role, version=signed.version, body=body, expires=signed.expires)
    session.add(row)
    session.flush()
    return row


def _meta_file(row: MetadataRow) -> MetaFile:
    return MetaFile(row.version, len(row.body), {"sha256": Digest.of(row.body).hex})


def _read_snapshot(row: MetadataRow) -> Snapshot:
    return Metadata[Snapshot].from_bytes(row.body).signed
