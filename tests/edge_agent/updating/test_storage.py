"""Disks that are full, damaged or lie: the device keeps a model that loads, and goes on when it can."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.durable import write_durably
from edge_agent.adapters.identity import Identity
from edge_agent.adapters.journal import JOURNAL_FILE, SqliteJournal
from edge_agent.adapters.slots import SLOT_FILES, SlotFiles
from edge_agent.core.slots import Slots
from edge_agent.core.updating import Standing
from edge_contracts.ids import DeploymentId, Digest
from edge_contracts.lifecycle import ENDED, State
from tests.edge_agent.updating.device import QUICK, Device, enrolled, open_device
from tests.edge_agent.updating.door import Door
from tests.support import disks

A, B = Digest.of(b"a"), Digest.of(b"b")


def test_slots_are_what_was_written_last(tmp_path: Path) -> None:
    for release in (A, B, A, B):
        SlotFiles(tmp_path).read()
        store = SlotFiles(tmp_path)
        store.write(store.read().model_copy(update={"active": release}))
    assert SlotFiles(tmp_path).read().active == B


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"null", b'{"generation": 9, "digest": "", "slots": "{}"}', b"\xff" * 99]
)
def test_a_torn_slot_file_costs_one_step(tmp_path: Path, damage: bytes) -> None:
    store = SlotFiles(tmp_path)
    store.write(Slots(active=A))
    store.write(Slots(active=B))
    newest = max((tmp_path / name for name in SLOT_FILES), key=lambda path: json.loads(path.read_bytes())["generation"])
    newest.write_bytes(damage)
    torn = SlotFiles(tmp_path)
    assert torn.read() == Slots(active=A)
    torn.write(Slots(active=B))
    assert SlotFiles(tmp_path).read() == Slots(active=B)


def test_a_changed_slot_file_is_not_believed(tmp_path: Path) -> None:
    SlotFiles(tmp_path).write(Slots(counter=7))
    path = next(tmp_path.iterdir())
    path.write_text(path.read_text().replace("7", "1"))
    assert SlotFiles(tmp_path).read() == Slots()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    with limited_files(1024), pytest.raises(OSError, match="too large"):
        write_durably(path, b"n" * 2048)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_journal_outlasts_the_process(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / JOURNAL_FILE)
    journal.note(Standing(state=State.STAGED, deployment=DeploymentId("d-1"), tries=3))
    journal.close()
    again = SqliteJournal(tmp_path / JOURNAL_FILE)
    assert again.standing().tries == 3
    again.close()


def test_a_damaged_journal_is_set_aside(door: Door, identity: Identity, state_dir: Path) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
    (state_dir / JOURNAL_FILE).write_bytes(b"SQLite format 3\0" + b"\x7f" * 8000)
    (state_dir / f"{JOURNAL_FILE}-journal").unlink()
    with open_device(identity, state_dir) as device:
        device.settle()
        assert device.running == 1
        door.assign(door.publish(2), "d-2")
        device.settle()
        assert device.running == 2
    assert (state_dir / f"{JOURNAL_FILE}.damaged").exists()


def test_a_journal_lost_in_probation_leaves_the_committed_release(
    door: Door, identity: Identity, state_dir: Path
) -> None:
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
        door.assign(door.publish(2), "d-2", probation_seconds=600.0)
        device.updater.wake()
        device.until(State.PROBATION)
    (state_dir / JOURNAL_FILE).unlink()
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        assert device.running == 1
        assert device.slots.good == device.slots.active


def damage_artifact(state_dir: Path, release: Digest) -> None:
    path = state_dir / "releases" / release.hex / "artifact"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def installed(door: Door, identity: Identity, state_dir: Path, versions: int) -> Slots:
    with open_device(identity, state_dir) as device:
        for version in range(1, versions + 1):
            door.assign(door.publish(version), f"d-{version}")
            device.settle()
        return device.slots


def test_a_damaged_release_gives_way_to_the_previous_one(door: Door, identity: Identity, state_dir: Path) -> None:
    slots = installed(door, identity, state_dir, 2)
    assert slots.good is not None
    damage_artifact(state_dir, slots.good)
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        assert device.running == 1
        assert device.answers()
        assert device.slots.floors == {"digits": 2}


def test_a_damaged_release_can_be_installed_again(door: Door, identity: Identity, state_dir: Path) -> None:
    slots = installed(door, identity, state_dir, 1)
    assert slots.good is not None
    damage_artifact(state_dir, slots.good)
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        assert device.running is None
        door.envelope = None
        device.settle()
        assert device.updater.state is State.SAFE_MODE
        door.assign(door.publish(1), "d-2")
        device.settle()
        assert device.running == 1
        assert device.updater.state is State.IDLE


def test_a_rollback_without_a_loadable_release_ends_in_safe_mode(
    door: Door, identity: Identity, state_dir: Path
) -> None:
    slots = installed(door, identity, state_dir, 1)
    assert slots.good is not None
    with open_device(identity, state_dir) as device:
        door.assign(door.publish(2), "d-2", probation_seconds=600.0)
        device.updater.wake()
        device.until(State.PROBATION)
    damage_artifact(state_dir, slots.good)
    with open_device(identity, state_dir) as device:
        device.updater.recover()
        device.updater.abort(DeploymentId("d-2"))
        device.settle()
        assert device.updater.state is State.SAFE_MODE
        assert device.reports.ends()[-1][:2] == ("d-2", "failed")
        door.assign(door.publish(3), "d-3")
        device.settle()
        assert device.running == 3
        assert device.updater.state is State.IDLE


def test_too_little_space_is_seen_before_the_download(door: Door, identity: Identity, state_dir: Path) -> None:
    door.assign(door.publish(1), "d-1")
    with open_device(identity, state_dir, settings=replace(QUICK, reserve_bytes=2**62)) as device:
        device.settle()
        assert device.reports.ends() == [("d-1", "failed", "no-space")]
    assert not any("/artifacts/" in path for path, _ in door.requests)


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: writes fail as on a full disk (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def steps(device: Device, count: int = 30) -> None:
    """Let the updater work for a while, on a disk where it may not come to an end."""
    device.updater.wake()
    for _ in range(count):
        if device.updater.step() > 0 and device.updater.state in ENDED:
            return


def test_a_disk_that_takes_nothing_stops_the_update_and_not_the_model(door: Door, device: Device) -> None:
    door.assign(door.publish(1), "d-1")
    device.settle()
    door.assign(door.publish(2), "d-2")
    with limited_files(512):
        steps(device)
        assert device.answers()
    device.settle()
    assert device.running == 2
    assert device.answers()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    with disks.small_disk(tmp_path / "small", "1m") as folder:
        yield folder


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_step_leaves_a_model_that_answers(door: Door, small_disk: Path) -> None:
    """Each round leaves a little more room, so that it runs out a little later: at the manifest, in the download, at
    a slot, at the journal. Within it, and after a restart in it, the old or the new release answers."""
    identity = enrolled(door, small_disk)
    quick = replace(QUICK, reserve_bytes=0)
    with open_device(identity, small_disk, settings=quick) as device:
        door.assign(door.publish(1), "d-1")
        device.settle()
    for version, room in enumerate((0, 16_384, 36_864, 61_440), start=2):
        door.assign(door.publish(version), f"d-{version}")
        ballast = disks.fill(small_disk, room)
        with open_device(identity, small_disk, settings=quick) as device:
            steps(device)
            assert device.answers(), f"with {room} bytes left"
        with open_device(identity, small_disk, settings=quick) as device:
            device.updater.step()
            assert device.answers(), f"restarted with {room} bytes left"
            ballast.unlink()
            device.settle()
            if device.running != version:
                assert device.reports.ends()[-1] == (f"d-{version}", "failed", "no-space")
                door.assign(door.publish(version), f"d-{version}-again")
                device.settle()
            assert device.running == version
            assert device.answers()
