"""Reports survive restarts, short space and a broken disk; only the server's word frees them."""

from __future__ import annotations

import random
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters.records import RecordKind
from edge_agent.adapters.spool import Spool
from edge_contracts import codec
from edge_contracts.ids import DeploymentId, ModelName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.messages import Ack, DeploymentReport
from edge_contracts.reasons import Reason
from edge_contracts.window import TelemetryWindow
from tests.edge_agent.telemetry.windows_of import RELEASE, window
from tests.support import releases

MIB = 1024 * 1024
EVERYTHING = 1_000_000


def open_spool(path: Path, boot: str = "boot-1", cap_bytes: int = 16 * MIB, retry_s: float = 0.0) -> Spool:
    return Spool(path, boot, cap_bytes, now=lambda: 1_790_000_000.0, retry_s=retry_s)


def report(spool: Spool, state: State = State.DOWNLOADING, detail: str = "") -> None:
    spool.deployment(DeploymentId("d-1"), ModelName("digits"), 2, state, detail=detail)


def add_windows(spool: Spool, count: int, first: int = 0, each: int = 8, release=RELEASE) -> None:
    for index in range(first, first + count):
        spool.add_window(lambda boot, sequence, i=index: window(i * 900.0, boot, sequence, each, release))


def windows(spool: Spool) -> list[TelemetryWindow]:
    return [codec.decode(TelemetryWindow, r.body) for r in spool.outstanding(RecordKind.WINDOW, EVERYTHING)]


def events(spool: Spool) -> list[DeploymentReport]:
    return [codec.decode(DeploymentReport, r.body) for r in spool.outstanding(RecordKind.EVENT, EVERYTHING)]


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond `limit_bytes`: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_report_says_what_happened_and_is_kept_over_a_restart(tmp_path):
    spool = open_spool(tmp_path / "spool.db")
    spool.deployment(
        DeploymentId("d-1"),
        ModelName("digits"),
        2,
        State.FAILED,
        outcome=Outcome.FAILED,
        reason=Reason.SELFTEST_OUTPUTS,
        detail="x" * 5000,
        progress=0.5,
    )
    spool.close()

    (found,) = events(open_spool(tmp_path / "spool.db", boot="boot-2"))

    assert (found.boot, found.sequence, found.state, found.reason) == ("boot-1", 1, "failed", "selftest-outputs")
    assert len(found.detail) == 2048


def test_only_an_acknowledgement_of_the_right_boot_and_sequence_frees_a_report(tmp_path):
    spool = open_spool(tmp_path / "spool.db")
    for _ in range(3):
        report(spool)

    assert spool.acknowledge(Ack(boot="boot-0", sequences=(1, 2, 3))) == 0
    assert spool.acknowledge(Ack(boot="boot-1", sequences=(1, 3, 77))) == 2
    assert spool.acknowledge(Ack(boot="boot-1", sequences=(1, 3))) == 0
    assert [event.sequence for event in events(spool)] == [2]


def test_sequences_grow_over_both_kinds_and_are_never_used_twice(tmp_path):
    spool = open_spool(tmp_path / "spool.db")
    report(spool)
    add_windows(spool, 1)
    spool.acknowledge(Ack(boot="boot-1", sequences=(1, 2)))
    report(spool)

    assert [event.sequence for event in events(spool)] == [3]


def test_when_space_is_short_windows_are_merged_and_no_inference_is_forgotten(tmp_path):
    spool = open_spool(tmp_path / "spool.db", cap_bytes=MIB // 4)
    report(spool)

    add_windows(spool, 4 * 24 * 6)

    held = windows(spool)
    status = spool.status()
    assert sum(w.n for w in held) == 8 * 4 * 24 * 6
    assert (status.dropped, status.events) == (0, 1)
    assert status.merged == 4 * 24 * 6 - len(held)
    assert status.bytes <= MIB // 4
    assert (tmp_path / "spool.db").stat().st_size <= MIB // 4
    lengths = [w.end - w.start for w in sorted(held, key=lambda w: w.start)]
    assert lengths[0] > lengths[-1] == 900.0
    assert max(lengths) <= 24 * 3600.0


def test_a_window_that_may_have_reached_the_server_is_not_merged(tmp_path):
    spool = open_spool(tmp_path / "spool.db", cap_bytes=MIB // 4)
    add_windows(spool, 8)
    sent = spool.outstanding(RecordKind.WINDOW, 8)
    spool.mark_sent(sent)
    spool.close()
    spool = open_spool(tmp_path / "spool.db", boot="boot-2", cap_bytes=MIB // 4)

    add_windows(spool, 4 * 24 * 4, first=8)

    assert spool.status().merged > 0
    assert spool.outstanding(RecordKind.WINDOW, 8) == sent


def test_windows_that_cannot_be_merged_give_way_oldest_first_and_that_is_counted(tmp_path):
    spool = open_spool(tmp_path / "spool.db", cap_bytes=MIB // 4)

    for version in range(1, 301):
        add_windows(spool, 1, first=version, release=releases.release("cpu-ort", version=version))

    versions = [w.version for w in windows(spool)]
    assert versions == list(range(301 - len(versions), 301))
    assert spool.status().dropped == 300 - len(versions) > 0


def test_events_are_kept_even_when_there_is_no_room_for_windows(tmp_path):
    spool = open_spool(tmp_path / "spool.db", cap_bytes=MIB // 4)
    add_windows(spool, 200)

    for index in range(40):
        report(spool, detail=f"{index} " + "x" * 1000)

    assert [event.detail.split()[0] for event in events(spool)] == [str(index) for index in range(40)]
    assert spool.status().dropped == 0


def test_a_full_disk_moves_reports_to_memory_and_back_without_loss(tmp_path, caplog):
    spool = open_spool(tmp_path / "spool.db", retry_s=0.0)
    add_windows(spool, 2)
    used = max(path.stat().st_size for path in tmp_path.iterdir())
    with full_disk(used):
        for _ in range(60):
            report(spool, detail="x" * 2000)
        add_windows(spool, 2, first=2)
        status = spool.status()
        assert status.in_memory > 0
        assert status.trouble
        assert "held in memory" in caplog.text

    assert [event.sequence for event in events(spool)] == list(range(3, 63))
    assert [w.sequence for w in windows(spool)] == [1, 2, 63, 64]
    status = spool.status()
    assert (status.in_memory, status.trouble, status.dropped) == (0, None, 0)


def test_with_the_disk_full_for_long_memory_stays_bounded_and_keeps_the_newest(tmp_path):
    spool = open_spool(tmp_path / "spool.db", retry_s=3600)
    with full_disk(1):
        for index in range(1200):
            report(spool, detail=random.Random(index).randbytes(1000).hex())
        held = events(spool)
        status = spool.status()

    assert held[-1].sequence == 1200
    assert status.dropped == 1200 - len(held) > 0
    assert sum(len(event.detail) for event in held) < 2 * MIB


def test_acknowledged_while_the_disk_is_broken_is_free_in_memory_too(tmp_path):
    spool = open_spool(tmp_path / "missing" / "spool.db", retry_s=3600)
    report(spool)
    report(spool)

    assert spool.acknowledge(Ack(boot="boot-1", sequences=(1,))) == 1

    assert [event.sequence for event in events(spool)] == [2]


def test_a_damaged_file_is_set_aside_and_reporting_goes_on(tmp_path, caplog):
    path = tmp_path / "spool.db"
    path.write_bytes(b"this is no database " * 500)

    spool = open_spool(path)
    report(spool)

    assert [event.sequence for event in events(spool)] == [1]
    assert spool.status().trouble is None
    assert [p.read_bytes()[:10] for p in tmp_path.glob("*.damaged-*")] == [b"this is no"]
    assert "damaged" in caplog.text
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (1,)
    connection.close()


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.one_of(st.just("event"), st.just("window"), st.integers(1, 40)), max_size=30))
def test_what_is_outstanding_is_what_was_added_and_not_acknowledged(tmp_path_factory, steps):
    spool = open_spool(tmp_path_factory.mktemp("spool") / "spool.db")
    expected, sequence = set(), 0
    for step in steps:
        if isinstance(step, int):
            assert spool.acknowledge(Ack(boot="boot-1", sequences=(step,))) == (step in expected)
            expected.discard(step)
            continue
        sequence += 1
        expected.add(sequence)
        report(spool) if step == "event" else add_windows(spool, 1, each=1)

    held = [r for kind in RecordKind for r in spool.outstanding(kind, EVERYTHING)]
    assert {record.sequence for record in held} == expected
    spool.close()
