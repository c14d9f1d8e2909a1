"""A publication that is cut short at any step leaves the old or the new, whole; and signatures are renewed in time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from edge_contracts.ids import Digest
from edge_contracts.operations import NewRelease
from edge_contracts.targets import manifest_target
from edge_fleet.adapters import online_keys, vault
from edge_fleet.adapters.blobs import FolderBlobs
from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.adapters.repository_files import RepositoryFiles
from edge_fleet.errors import NoSpace, Rejected, TooLarge
from edge_fleet.records.releases import ReleaseRow
from edge_fleet.services.changes import Changes
from edge_fleet.services.releases import Releases
from edge_fleet.services.repository import SignedRepository
from tests.edge_fleet.server_case import MODEL, Bundle, Owner, make_bundle


class PowerCut(BaseException):
    """Everything stops here."""


@dataclass
class Disk:
    """The repository's files on a machine that stops after `left` more writes."""

    files: RepositoryFiles
    left: float = float("inf")
    failure: BaseException | None = None

    def _spend(self) -> None:
        if self.left <= 0:
            raise self.failure or PowerCut
        self.left -= 1

    def write_metadata(self, name: str, body: bytes) -> None:
        self._spend()
        self.files.write_metadata(name, body)

    def write_target(self, path: str, body: bytes) -> None:
        self._spend()
        self.files.write_target(path, body)

    def drop_old(self, role: str, newest: int) -> None:
        self._spend()
        self.files.drop_old(role, newest)


class Published(FetcherInterface):
    """A device's network: the repository's files as they lie on the disk."""

    def __init__(self, files: RepositoryFiles) -> None:
        self.files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        kind, _, name = url.removeprefix("http://repository/").partition("/")
        try:
            yield self.files.read_metadata(name) if kind == "metadata" else self.files.read_target(name)
        except Exception as error:
            raise DownloadHTTPError(url, 404) from error


class Publisher:
    """The publishing half of a server on a data folder, and its owner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self.owner = Owner()
        for name in ("keys", "blobs"):
            (folder / name).mkdir(parents=True)
        online_keys.make_online_keys(folder / "keys")
        vault.make_kek(folder / "keys")
        self.start()
        self.database.migrate()
        self.repository.put_trust(self.owner.trust(self.repository.online_keys()), "owner")

    def start(self) -> None:
        """The parts as a fresh process makes them."""
        self.database = Database(sqlite_url(self.folder / "fleet.sqlite"))
        self.files = RepositoryFiles(self.folder / "repository")
        self.disk = Disk(self.files)
        self.blobs = FolderBlobs(self.folder / "blobs")
        signers = online_keys.load_online_keys(self.folder / "keys")
        day, week = timedelta(days=1), timedelta(days=7)
        self.repository = SignedRepository(self.database, self.disk, signers, lambda: self.now, day, week)
        safe = vault.load_vault(self.folder / "keys")
        self.releases = Releases(self.database, self.repository, self.blobs, safe, lambda: self.now, Changes())

    def restart(self) -> None:
        self.database.close()
        self.start()
        self.repository.restore()

    def upload(self, bundle: Bundle) -> NewRelease:
        for data in bundle.ciphertexts.values():
            upload = self.blobs.upload(Digest.of(data), len(data))
            upload.write(data)
            upload.finish()
        return self.owner.release(bundle)

    def device(self, folder: Path) -> Updater:
        """A device that looks now, with what it has in `folder` from before."""
        folder.mkdir(exist_ok=True)
        base = "http://repository/"
        fetcher = Published(self.files)
        updater = Updater(
            str(folder), base + "metadata/", str(folder), base + "targets/", fetcher, bootstrap=self.owner.root
        )
        updater.refresh()
        return updater

    def sees(self, folder: Path, bundle: Bundle) -> bool:
        """Whether a device sees the release; if so, it can fetch its manifest."""
        updater = self.device(folder)
        target = updater.get_targetinfo(manifest_target(MODEL, bundle.manifest.version))
        if target is None:
            return False
        assert Path(updater.download_target(target)).read_bytes() == bundle.manifest_bytes
        return True


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    one = Publisher(tmp_path / "data")
    yield one
    one.database.close()


def test_a_publication_cut_short_at_any_write_is_whole_after_the_restart(tmp_path: Path) -> None:
    base = Publisher(tmp_path / "base")
    bundle = make_bundle(1, size=500)
    request = base.upload(bundle)
    base.database.close()
    outcomes = []
    for writes in range(20):
        folder = tmp_path / f"cut-{writes}"
        shutil.copytree(base.folder, folder)
        publisher = object.__new__(Publisher)
        publisher.folder, publisher.now, publisher.owner = folder, base.now, base.owner
        publisher.start()
        device = tmp_path / f"device-{writes}"
        assert not publisher.sees(device, bundle)
        publisher.disk.left = writes
        try:
            publisher.releases.publish(request, "publisher")
            finished = True
        except PowerCut:
            finished = False
        publisher.sees(device, bundle)  # whatever it sees in between, it is consistent
        publisher.restart()
        with publisher.database.read() as session:
            stored = session.scalar(select(ReleaseRow.version)) is not None
        assert publisher.sees(device, bundle) is stored
        publisher.releases.publish(request, "publisher")
        assert publisher.sees(device, bundle)
        publisher.database.close()
        outcomes.append(stored)
        if finished:
            break
    assert outcomes == sorted(outcomes)
    assert outcomes[0] is False
    assert finished


def test_a_disk_that_is_full_publishes_nothing_and_the_same_request_works_later(
    publisher: Publisher, tmp_path: Path
) -> None:
    bundle = make_bundle(1, size=500)
    request = publisher.upload(bundle)
    publisher.disk.left, publisher.disk.failure = 1, NoSpace("disk-full", "no space", "free some")
    with pytest.raises(NoSpace):
        publisher.releases.publish(request, "publisher")
    assert not publisher.sees(tmp_path / "device", bundle)
    publisher.disk.left = float("inf")
    assert publisher.releases.publish(request, "publisher")[1] is True
    assert publisher.sees(tmp_path / "device", bundle)


def test_files_that_lag_behind_the_database_are_written_at_the_next_renewal(
    publisher: Publisher, tmp_path: Path
) -> None:
    bundle = make_bundle(1, size=500)
    request = publisher.upload(bundle)
    # targets, targets metadata, snapshot; not the timestamp, which comes after the commit
    publisher.disk.left, publisher.disk.failure = 4, NoSpace("disk-full", "no space", "free some")
    with pytest.raises(NoSpace):
        publisher.releases.publish(request, "publisher")
    publisher.disk.left = float("inf")
    assert publisher.releases.publish(request, "publisher")[1] is False
    publisher.repository.renew()
    assert publisher.sees(tmp_path / "device", bundle)


def timestamp(publisher: Publisher) -> int:
    return int(json.loads(publisher.files.read_metadata("timestamp.json"))["signed"]["version"])


def test_the_timestamp_is_renewed_when_half_of_its_time_has_passed(publisher: Publisher, tmp_path: Path) -> None:
    publisher.device(tmp_path / "device")
    first = timestamp(publisher)
    publisher.now += timedelta(hours=11)
    assert publisher.repository.renew() is False
    publisher.now += timedelta(hours=2)
    assert publisher.repository.renew() is True
    assert timestamp(publisher) == first + 1
    publisher.device(tmp_path / "device")


def test_the_snapshot_is_renewed_too_and_old_ones_are_dropped(publisher: Publisher, tmp_path: Path) -> None:
    snapshots = publisher.folder / "repository" / "metadata"
    for _ in range(15):
        publisher.now += timedelta(days=4)
        assert publisher.repository.renew() is True
    kept = sorted(int(path.name.split(".")[0]) for path in snapshots.glob("*.snapshot.json"))
    assert kept == list(range(7, 17))
    publisher.now = datetime.now(UTC)
    publisher.device(tmp_path / "device")


def test_a_server_that_was_off_for_long_signs_anew_when_it_starts(publisher: Publisher) -> None:
    first = timestamp(publisher)
    publisher.now += timedelta(days=30)
    publisher.restart()
    publisher.repository.renew()
    assert timestamp(publisher) == first + 1


def test_deleted_files_come_back_at_the_next_start(publisher: Publisher, tmp_path: Path) -> None:
    bundle = make_bundle(1, size=500)
    publisher.releases.publish(publisher.upload(bundle), "publisher")
    shutil.rmtree(publisher.folder / "repository")
    publisher.restart()
    assert publisher.sees(tmp_path / "device", bundle)


# ---- artifacts on the disk


def test_an_upload_is_whole_or_absent(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest = Digest.of(b"content")
    cut = blobs.upload(digest, 100)
    cut.write(b"cont")
    assert blobs.size(digest) is None
    assert len(list((tmp_path / "incoming").iterdir())) == 1
    reopened = FolderBlobs(tmp_path)
    assert list((tmp_path / "incoming").iterdir()) == []
    cut.abandon()

    wrong = reopened.upload(digest, 100)
    wrong.write(b"other")
    with pytest.raises(Rejected):
        wrong.finish()
    wrong.abandon()
    long = reopened.upload(digest, 3)
    with pytest.raises(TooLarge):
        long.write(b"content")
    long.abandon()
    assert reopened.size(digest) is None
    assert list((tmp_path / "incoming").iterdir()) == []

    good = reopened.upload(digest, 7)
    good.write(b"content")
    good.finish()
    good.abandon()
    assert b"".join(reopened.read(digest, 2, 5)) == b"nte"
