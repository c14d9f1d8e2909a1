"""What devices send over a real broker: taken once, acknowledged after the commit; hostile input is dropped."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import cbor2
import numpy as np
import pytest
from sqlalchemy import func, select

from edge_contracts.codec import decode, encode
from edge_contracts.ids import DeviceId
from edge_contracts.lifecycle import State
from edge_contracts.messages import Death, DeploymentReport, Heartbeat, RunningRelease
from edge_contracts.operations import DeviceStatus
from edge_contracts.topics import DEATH, EVENT, HEARTBEAT, WINDOW
from edge_fleet.adapters.mqtt import PahoLink
from edge_fleet.ports import Incoming
from edge_fleet.records.observations import AlertRow, WindowRow
from edge_fleet.records.rollouts import DeploymentReportRow
from edge_fleet.services import alerts, devices, windows
from tests.edge_fleet.fleet_case import MODEL, SUCCESS, TENANT, FleetCase, Reporter, fleet_case, images, make_window
from tests.support.broker import Broker, broker

__all__ = ["broker"]

RUNNING = RunningRelease(
    model=MODEL, version=1, variant="rpi4-litert-int8", engine="onnxruntime", accelerator="cpu", fallback=True
)


@pytest.fixture
def case(tmp_path: Path, broker: Broker) -> Iterator[FleetCase]:
    with fleet_case(tmp_path, broker) as one:
        yield one


def test_births_heartbeats_and_deaths_show_where_a_device_stands(case: FleetCase) -> None:
    device = case.enrol("cam-0")
    assert status(case, device) is DeviceStatus.NEVER_SEEN
    with case.connected(device) as (reporter,):
        assert case.device(device).engines == ("onnxruntime/cpu",)
        reporter.heartbeat(State.IDLE, RUNNING)
        case.take_in(lambda: case.device(device).inferences == 7)
        assert case.device(device).running == RUNNING
        assert status(case, device) is DeviceStatus.ONLINE
        reporter.send(DEATH, Death(boot="an-earlier-boot"))
        reporter.heartbeat(State.CHECKING)
        case.take_in(lambda: case.device(device).state is State.CHECKING)
        assert status(case, device) is DeviceStatus.ONLINE, "the will of an earlier boot kills nobody"
        reporter.send(DEATH, Death(boot=reporter.boot))
        case.take_in(lambda: not case.device(device).connected)
        assert status(case, device) is DeviceStatus.SILENT


def test_a_device_that_says_nothing_falls_silent(case: FleetCase) -> None:
    told: list[str] = []
    case.changes.listen(told.append)
    device = case.enrol("cam-0")
    with case.connected(device):
        case.pass_time(59)
        assert case.device(device).connected
        told.clear()
        case.pass_time(2)
    assert not case.device(device).connected
    assert told == ["devices"]


def test_the_brokers_memory_of_a_birth_is_no_sign_of_life(case: FleetCase) -> None:
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        reporter.send(DEATH, Death(boot=reporter.boot))
        case.take_in(lambda: not case.device(device).connected)
    context = case.broker.server().client_context()
    with PahoLink(case.broker.host, case.broker.port, context, TENANT, "another-reader") as link:
        remembered = []
        while not remembered:
            remembered = list(link.receive(1, 5.0))
        assert remembered[0].retained
        case.ingest.take(remembered)
    assert not case.device(device).connected


def test_windows_and_reports_count_once_and_are_acknowledged(case: FleetCase) -> None:
    release = case.publish(1)
    device = case.enrol("cam-0")
    pictures = images(np.random.default_rng(0), 50)
    with case.connected(device) as (reporter,):
        rollout = case.roll_out(1)
        sequence = reporter.window(release, pictures, case.now)
        case.take_in(lambda: sequence in reporter.acknowledged())
        reporter.send(WINDOW, make_window(release, pictures, case.now, reporter.boot, sequence))
        deployment = case.deployment(rollout, device).id
        done = reporter.report(deployment, State.COMMITTING, **SUCCESS)
        case.take_in(lambda: done in reporter.acknowledged())
        reporter.sequence -= 1
        reporter.report(deployment, State.COMMITTING, **SUCCESS)
        late = reporter.report(deployment, State.IDLE)
        case.take_in(lambda: late in reporter.acknowledged())
    with case.database.read() as session:
        row = session.scalars(select(WindowRow)).one()
        assert windows.read(row).n == 50
        assert session.scalar(select(func.count()).select_from(DeploymentReportRow)) == 2
    assert case.deployment(rollout, device).state is State.COMMITTING, "the end of a deployment stands"


def test_late_reports_do_not_turn_a_deployment_back(case: FleetCase) -> None:
    case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        rollout = case.roll_out(1)
        deployment = case.deployment(rollout, device).id
        reporter.sequence = 5
        sixth = reporter.report(deployment, State.STAGED)
        reporter.sequence = 2
        third = reporter.report(deployment, State.DOWNLOADING)
        case.take_in(lambda: {sixth, third} <= reporter.acknowledged())
    assert case.deployment(rollout, device).state is State.STAGED


def test_nothing_is_acknowledged_when_the_database_refuses(case: FleetCase) -> None:
    release = case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        reporter.window(release, images(np.random.default_rng(0), 20), case.now)
        messages = []
        case.take_in(lambda: True)
        while not messages:
            messages = list(case.link.receive(10, 1.0))
        with case.database.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE windows RENAME TO hidden")
        with pytest.raises(Exception, match="no such table"):
            case.ingest.take(messages)
        assert not reporter.acknowledged()
        with case.database.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE hidden RENAME TO windows")
        case.ingest.take(messages)
        case.take_in(lambda: reporter.acknowledged() == {1})


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "malformed"),
        (b"\x00not cbor", "malformed"),
        (b"\x07", "malformed"),
        (b"\x01" + b"\x00" * 40, "malformed"),
        (b"\x00" + cbor2.dumps({"v": 99}), "malformed"),
        (b"\x00" + cbor2.dumps({"v": 1, "kind": "heartbeat"}), "malformed"),
        (b"\x00" + cbor2.dumps([1] * 10), "malformed"),
        (b"\x00" * 10_000, "malformed"),
    ],
)
def test_hostile_bytes_are_counted_and_dropped(case: FleetCase, payload: bytes, why: str) -> None:
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        reporter.send_bytes(HEARTBEAT, payload)
        reporter.heartbeat(State.CHECKING)
        case.take_in(lambda: case.device(device).state is State.CHECKING)
    assert case.ingest.dropped == {why: 1}


def test_impossible_numbers_are_refused_and_still_acknowledged(case: FleetCase) -> None:
    release = case.publish(1)
    device = case.enrol("cam-0")
    window = make_window(release, images(np.random.default_rng(0), 5), case.now, "boot-cam-0", 1)
    with case.connected(device) as (reporter,):
        case.publish(2)
        rollout = case.roll_out(2)
        deployment = case.deployment(rollout, device).id
        wrong = [
            (WINDOW, window.model_copy(update={"sequence": 11, "n": 2**62})),
            (WINDOW, window.model_copy(update={"sequence": 12, "start": float("nan")})),
            (WINDOW, window.model_copy(update={"sequence": 13, "start": 1e300})),
            (WINDOW, window.model_copy(update={"sequence": 14, "classes": (2**62,) * 10})),
            (WINDOW, window.model_copy(update={"sequence": 17, "version": 99})),
            (EVENT, _report(reporter.boot, 15, deployment, at=float("inf"))),
            (EVENT, _report(reporter.boot, 16, "d-of-another", at=0.0)),
        ]
        for topic, message in wrong:
            reporter.send_bytes(topic, encode(message))
        case.take_in(lambda: reporter.acknowledged() >= set(range(11, 18)))
    assert case.ingest.dropped == {
        "impossible-number": 2,
        "impossible-time": 3,
        "unknown-release": 1,
        "unknown-deployment": 1,
    }


@pytest.mark.parametrize(
    "extra",
    [cbor2.CBORTag(4000, 1), 2**20_000, cbor2.undefined, b"", re.compile("a+")],
    ids=lambda extra: type(extra).__name__,
)
def test_a_message_that_cannot_be_stored_stops_no_other(case: FleetCase, extra: object) -> None:
    device, other = case.enrol("cam-0"), case.enrol("cam-1")
    with case.connected(device, other) as (hostile, honest):
        birth = {"v": 1, "kind": "heartbeat", "boot": "b", "at": 0.0, "state": "staged"}
        hostile.send_bytes(HEARTBEAT, b"\x00" + cbor2.dumps({**birth, "running": {**vars(RUNNING), "x": extra}}))
        honest.heartbeat(State.CHECKING)
        case.take_in(lambda: case.device(other).state is State.CHECKING)
    assert set(case.ingest.dropped) <= {"malformed"}


def test_what_the_database_refused_is_taken_when_it_works_again(case: FleetCase) -> None:
    release = case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        sent = reporter.window(release, images(np.random.default_rng(0), 20), case.now)
        with case.database.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE windows RENAME TO hidden")
        stop = threading.Event()
        with pytest.raises(Exception, match="no such table"):
            case.ingest.run(stop)
        with case.database.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE hidden RENAME TO windows")
        again = threading.Thread(target=case.ingest.run, args=(stop,))
        again.start()
        deadline = time.monotonic() + 10
        while sent not in reporter.acknowledged() and time.monotonic() < deadline:
            time.sleep(0.02)
        stop.set()
        again.join()
        assert sent in reporter.acknowledged()


def test_no_device_can_make_the_sum_of_inferences_overflow(case: FleetCase) -> None:
    release = case.publish(1)
    device = case.enrol("cam-0")
    window = make_window(release, images(np.random.default_rng(0), 5), case.now, "boot-cam-0", 1)
    with case.connected(device) as (reporter,):
        for sequence in (1, 2):
            reporter.send(WINDOW, window.model_copy(update={"sequence": sequence, "n": 2**63 - 1}))
        case.take_in(lambda: reporter.acknowledged() == {1, 2})
        reporter.send(WINDOW, window.model_copy(update={"sequence": 3}))
        case.take_in(lambda: 3 in reporter.acknowledged())
    with case.database.read() as session:
        assert session.scalar(select(func.sum(WindowRow.n))) == 5


def test_complaints_about_a_device_do_not_fill_the_log(case: FleetCase, caplog: pytest.LogCaptureFixture) -> None:
    device = case.enrol("cam-0")
    forged = cbor2.dumps({"v": 1, "features": {"x\n2026-01-01 00:00:00 WARNING all is well": 1}})
    with case.connected(device) as (reporter,):
        for _ in range(40):
            reporter.send_bytes(WINDOW, b"\x00" + forged)
        case.take_in(lambda: case.ingest.dropped["malformed"] == 40)
    lines = [record.getMessage() for record in caplog.records if "dropped" in record.getMessage()]
    assert 1 <= len(lines) <= 6
    assert not any("\n" in line for line in lines)


def test_heartbeats_that_would_fill_the_memory_are_not_kept(case: FleetCase) -> None:
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        reporter.send_bytes(HEARTBEAT, b"\x00" * 200_000)
        reporter.heartbeat(State.CHECKING)
        waiting: list[Incoming] = []
        while not any(decode(Heartbeat, one.payload).state is State.CHECKING for one in waiting):
            waiting = list(case.link.receive(10, 5.0))
        assert len(waiting) == 1


def test_strangers_and_revoked_devices_are_not_heard(case: FleetCase) -> None:
    device = case.enrol("cam-0")
    stranger = Reporter(case.broker, DeviceId("cam-stranger"))
    stranger.connect()
    stranger.heartbeat()
    case.take_in(lambda: case.ingest.dropped["unknown-device"] == 1)
    stranger.close()
    with case.connected(device) as (reporter,):
        with case.database.write() as session:
            session.get_one(type(case.device(device)), device).revoked = case.now
        reporter.heartbeat(State.SAFE_MODE)
        case.take_in(lambda: case.ingest.dropped["revoked-device"] == 1)
    assert case.device(device).state is State.IDLE


def test_drifted_inputs_raise_one_alert_that_is_kept_up_to_date(case: FleetCase) -> None:
    release = case.publish(1)
    rng = np.random.default_rng(8)
    good, bad = case.enrol("cam-good"), case.enrol("cam-bad")
    with case.connected(good, bad) as (steady, moved):
        start = case.now
        for number in range(6):
            for reporter in (steady, moved):
                reporter.window(release, images(rng, 200), start.replace(microsecond=number))
        case.take_in(lambda: steady.acknowledged() | moved.acknowledged() == set(range(1, 7)))
        case.drift.look()
        assert _alerts(case) == []
        for _ in range(3):
            steady.window(release, images(rng, 200), case.now)
            sent = moved.window(release, 1 - images(rng, 200), case.now)
        case.take_in(lambda: sent in moved.acknowledged() and sent in steady.acknowledged())
        case.drift.look()
        alert = _alerts(case)[0]
        assert (alert.kind, alert.group) == ("input-drift", "sparsity"), "inverted strokes leave no zeros"
        assert "level" in alert.message
        assert alert.effect_name == "bias-corrected PSI"
        assert alert.effect is not None
        assert alert.effect > 0.2
        assert alert.evidence is not None
        assert alert.evidence > 20
        assert alert.devices == ("cam-bad",)
        assert alert.since == case.now
        sent = moved.window(release, 1 - images(rng, 200), case.now)
        case.take_in(lambda: sent in moved.acknowledged())
        case.drift.look()
        assert len(_alerts(case)) == 1, "updated, not doubled"
        with case.database.write() as session:
            alerts.acknowledge(session, alert.id, "ann", case.now)
        sent = moved.window(release, 1 - images(rng, 200), case.now)
        case.take_in(lambda: sent in moved.acknowledged())
        case.drift.look()
        assert len(_alerts(case)) == 1, "what is known is not raised again"


def _alerts(case: FleetCase) -> list[AlertRow]:
    with case.database.read() as session:
        return list(session.scalars(select(AlertRow)))


def _report(boot: str, sequence: int, deployment: str, at: float) -> DeploymentReport:
    return DeploymentReport.model_validate(
        {
            "boot": boot,
            "sequence": sequence,
            "at": at,
            "deployment": deployment,
            "model": "digits",
            "version": 2,
            "state": "downloading",
        }
    )


def status(case: FleetCase, device: DeviceId) -> DeviceStatus:
    return devices.status(case.device(device), case.now - timedelta(seconds=60))
