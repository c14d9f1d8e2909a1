"""Rollouts from the plan to the end, over a real broker and database: what an operator would see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from edge_contracts.assignments import Kind
from edge_contracts.codec import decode
from edge_contracts.ids import DeviceId, ProfileName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.messages import CommandName, Desired
from edge_contracts.operations import OnBreach, RolloutState, Selector
from edge_contracts.reasons import Reason
from edge_contracts.topics import DESIRED
from edge_fleet.domain.rollouts import Verb
from edge_fleet.errors import Conflict, NotFound, Rejected
from edge_fleet.records.identities import AuditRow
from edge_fleet.records.observations import AlertRow
from edge_fleet.records.releases import AssignmentRow
from edge_fleet.services import audit
from tests.edge_fleet.fleet_case import BAD_OUTPUTS, PROFILES, SUCCESS, FleetCase, fleet_case
from tests.support.broker import Broker, broker

__all__ = ["broker"]


@pytest.fixture
def case(tmp_path: Path, broker: Broker) -> Iterator[FleetCase]:
    with fleet_case(tmp_path, broker) as one:
        yield one


def test_canary_then_the_rest(case: FleetCase) -> None:
    case.publish(1)
    devices = [case.enrol(f"cam-{i}", PROFILES[i % 2]) for i in range(4)]
    with case.connected(*devices) as reporters:
        by_device = {reporter.device: reporter for reporter in reporters}
        rollout = case.roll_out(1, waves=(0.1, 1.0), bake_seconds=60)
        canaries = [row for row in case.deployments(rollout) if row.open]
        assert {case.device(row.device).profile for row in canaries} == set(PROFILES)
        for row in canaries:
            case.report(by_device[row.device], rollout, State.DOWNLOADING)
            case.report(by_device[row.device], rollout, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        assert case.rollout(rollout).wave == 1
        assert "bakes" in case.rollout(rollout).reason
        case.pass_time(61)
        assert case.rollout(rollout).wave == 2
        for row in case.deployments(rollout):
            if row.open:
                case.report(by_device[row.device], rollout, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        case.pass_time(61)
        assert case.rollout(rollout).state is RolloutState.SUCCEEDED
    with case.database.read() as session:
        assert audit.first_broken_row(session) is None
        deeds = list(session.scalars(select(AuditRow.action).where(AuditRow.subject == rollout)))
    assert deeds == ["rollout.create", "rollout.start", "rollout.wave", "rollout.wave", "rollout.succeed"]


def test_a_bad_release_stops_at_the_canary_and_the_rest_never_hears_of_it(case: FleetCase) -> None:
    case.publish(1)
    devices = [case.enrol(f"cam-{i}") for i in range(5)]
    with case.connected(*devices) as reporters:
        by_device = {reporter.device: reporter for reporter in reporters}
        rollout = case.roll_out(1, waves=(0.2, 1.0))
        canary = next(row for row in case.deployments(rollout) if row.open)
        case.report(by_device[canary.device], rollout, State.FAILED, **BAD_OUTPUTS)
        case.pass_time(1)
    assert case.rollout(rollout).state is RolloutState.ROLLED_BACK
    rest = [row for row in case.deployments(rollout) if row.id != canary.id]
    assert all((row.outcome, row.assigned) == (Outcome.ABORTED, None) for row in rest)
    with case.database.read() as session:
        alert = session.scalars(select(AlertRow)).one()
        assert alert.kind == "rollout-halted"
        assert "1 x selftest-outputs" in alert.message
        assert alert.devices == (canary.device,)
        assert {row.device for row in session.scalars(select(AssignmentRow))} <= {canary.device}


def test_the_fleet_is_taken_back_to_what_each_device_had(case: FleetCase) -> None:
    case.publish(1)
    case.publish(2)
    devices = [case.enrol(f"cam-{i}") for i in range(3)]
    with case.connected(*devices) as (good, bad, slow):
        first = case.roll_out(1, waves=(1.0,), bake_seconds=0)
        for reporter in (good, bad, slow):
            case.report(reporter, first, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        assert case.rollout(first).state is RolloutState.SUCCEEDED

        second = case.roll_out(2, waves=(1.0,))
        case.report(slow, second, State.DOWNLOADING)
        case.report(good, second, State.COMMITTING, **SUCCESS)
        case.report(bad, second, State.ROLLED_BACK, outcome=Outcome.ROLLED_BACK, reason=Reason.PROBATION_CRASHES)
        case.pass_time(1)
        assert case.rollout(second).state is RolloutState.ROLLING_BACK

        case.take_in(lambda: bool(slow.commands()))
        assert slow.commands()[0].name is CommandName.ABORT
        back = next(row for row in case.deployments(second) if row.kind is Kind.REVERT)
        assert back.device == good.device
        with case.database.read() as session:
            row = case.assignments.current(session, good.device)
            assert row is not None
            assert (row.statement.kind, row.statement.version) == (Kind.REVERT, 1)
        case.report(good, second, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        assert case.rollout(second).state is RolloutState.ROLLING_BACK
        case.report(slow, second, State.ABORTED, outcome=Outcome.ABORTED, reason=Reason.ABORTED_BY_SERVER)
        case.pass_time(1)
        assert case.rollout(second).state is RolloutState.ROLLED_BACK


def test_a_device_without_an_earlier_release_keeps_the_only_one_it_has(case: FleetCase) -> None:
    case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        rollout = case.roll_out(1, waves=(1.0,), bake_seconds=0)
        case.report(reporter, rollout, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        case.verb(rollout, Verb.ROLL_BACK)
        case.pass_time(1)
    assert case.rollout(rollout).state is RolloutState.ROLLED_BACK
    back = next(row for row in case.deployments(rollout) if row.kind is Kind.REVERT)
    assert "keeps this one" in back.detail


def test_offline_devices_form_a_tail_that_gets_the_release_later(case: FleetCase) -> None:
    case.publish(1)
    present, away = case.enrol("cam-here"), case.enrol("cam-away")
    with case.connected(present) as (reporter,):
        rollout = case.roll_out(1, waves=(1.0,), bake_seconds=0, wave_deadline_seconds=600)
        case.report(reporter, rollout, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        assert "1 missing, of them 1 offline" in case.rollout(rollout).reason
        case.pass_time(600)
        assert case.rollout(rollout).state is RolloutState.SUCCEEDED
    with case.connected(away) as (late,):
        assert case.deployment(rollout, away).open
        case.report(late, rollout, State.COMMITTING, **SUCCESS)
    assert case.deployment(rollout, away).outcome is Outcome.SUCCEEDED


def test_a_tail_gives_way_to_a_newer_release(case: FleetCase) -> None:
    case.publish(1)
    case.publish(2)
    present, away = case.enrol("cam-here"), case.enrol("cam-away")
    with case.connected(present) as (reporter,):
        first = case.roll_out(1, waves=(1.0,), bake_seconds=0, wave_deadline_seconds=600)
        case.report(reporter, first, State.COMMITTING, **SUCCESS)
        case.pass_time(601)
        second = case.roll_out(2, waves=(1.0,))
    assert case.deployment(first, away).reason is Reason.SUPERSEDED
    assert case.deployment(second, away).open


def test_a_device_is_never_in_two_rollouts(case: FleetCase) -> None:
    case.publish(1)
    case.publish(2)
    case.enrol("cam-0")
    first = case.roll_out(1)
    with pytest.raises(Conflict, match="cam-0 is in rollout"):
        case.roll_out(2)
    case.verb(first, Verb.ABORT)
    case.roll_out(2)


def test_pausing_stops_new_devices_and_resuming_forgives_what_was_seen(case: FleetCase) -> None:
    case.publish(1)
    devices = [case.enrol(f"cam-{i}") for i in range(2)]
    with case.connected(*devices) as reporters:
        by_device = {reporter.device: reporter for reporter in reporters}
        rollout = case.roll_out(1, waves=(0.5, 1.0), on_breach=OnBreach.PAUSE, bake_seconds=0)
        canary = next(row for row in case.deployments(rollout) if row.open)
        case.report(by_device[canary.device], rollout, State.FAILED, **BAD_OUTPUTS)
        case.pass_time(1)
        assert case.rollout(rollout).state is RolloutState.PAUSED
        case.pass_time(1)
        assert case.rollout(rollout).wave == 1
        case.verb(rollout, Verb.RESUME)
        case.pass_time(1)
        assert (case.rollout(rollout).state, case.rollout(rollout).wave) == (RolloutState.RUNNING, 2)


def test_a_killed_server_goes_on_from_its_rows(case: FleetCase) -> None:
    case.publish(1)
    devices = [case.enrol(f"cam-{i}") for i in range(2)]
    with case.connected(*devices) as reporters:
        rollout = case.roll_out(1, waves=(1.0,), bake_seconds=60)
        for reporter in reporters:
            case.report(reporter, rollout, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        case.restart()
        case.pass_time(61)
    assert case.rollout(rollout).state is RolloutState.SUCCEEDED


def test_what_a_device_reports_beats_what_the_server_believes(case: FleetCase) -> None:
    case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        rollout = case.roll_out(1)
        deployment = case.deployment(rollout, device).id
        case.verb(rollout, Verb.ABORT)
        assert case.deployment(rollout, device).outcome is Outcome.ABORTED
        sequence = reporter.report(deployment, State.DOWNLOADING)
        case.take_in(lambda: sequence in reporter.acknowledged())
        assert case.deployment(rollout, device).open
        case.pass_time(1)
        case.take_in(lambda: bool(reporter.commands()))
        assert reporter.commands()[0].deployment == deployment


def test_committing_is_a_success_only_when_the_device_says_so(case: FleetCase) -> None:
    case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        rollout = case.roll_out(1)
        case.report(reporter, rollout, State.COMMITTING)
        assert case.deployment(rollout, device).outcome is None
        case.report(reporter, rollout, State.COMMITTING, **SUCCESS)
    assert case.deployment(rollout, device).outcome is Outcome.SUCCEEDED


def test_a_bad_link_is_not_held_against_the_release_until_the_device_gives_up(case: FleetCase) -> None:
    case.publish(1)
    device = case.enrol("cam-0")
    no_link = {"outcome": Outcome.FAILED, "reason": Reason.TRANSPORT, "detail": "connection reset"}
    with case.connected(device) as (reporter,):
        rollout = case.roll_out(1, waves=(1.0,))
        for _ in range(4):
            case.report(reporter, rollout, State.FAILED, **no_link)
            case.pass_time(1)
            assert case.rollout(rollout).state is RolloutState.RUNNING
            case.report(reporter, rollout, State.DOWNLOADING)
        case.report(reporter, rollout, State.FAILED, **no_link)
        case.pass_time(1)
    assert case.deployment(rollout, device).outcome is Outcome.FAILED
    assert case.rollout(rollout).state is RolloutState.ROLLED_BACK


def test_a_device_that_waits_to_try_again_does_not_hold_up_an_abort(case: FleetCase) -> None:
    case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        rollout = case.roll_out(1)
        case.report(reporter, rollout, State.FAILED, outcome=Outcome.FAILED, reason=Reason.NO_SPACE)
        case.verb(rollout, Verb.ROLL_BACK)
        case.pass_time(1)
    assert case.deployment(rollout, device).reason is Reason.NO_SPACE
    assert case.rollout(rollout).state is RolloutState.ROLLED_BACK


def test_a_straggler_that_committed_unseen_is_taken_back_too(case: FleetCase) -> None:
    case.publish(1)
    case.publish(2)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        first = case.roll_out(1, waves=(1.0,), bake_seconds=0)
        case.report(reporter, first, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        second = case.roll_out(2, waves=(1.0,), wave_deadline_seconds=600)
        case.report(reporter, second, State.PROBATION)
        case.verb(second, Verb.ROLL_BACK)
        case.pass_time(1)
        assert case.rollout(second).state is RolloutState.ROLLING_BACK
        case.pass_time(600)
        assert "1 device did not answer in time" in case.rollout(second).reason
        case.report(reporter, second, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
        back = next(row for row in case.deployments(second) if row.kind is Kind.REVERT)
        assert back.open
        case.report(reporter, second, State.COMMITTING, **SUCCESS)
        case.pass_time(1)
    assert case.rollout(second).state is RolloutState.ROLLED_BACK


def test_only_devices_that_match_and_can_run_it_are_taken(case: FleetCase) -> None:
    case.publish(1)
    case.enrol("cam-0", site="oslo")
    case.enrol("cam-1", site="rome")
    case.enrol("odd-0", ProfileName("some-other-board"), site="oslo")
    rollout = case.roll_out(1, selector=Selector(labels={"site": "oslo"}), waves=(1.0,))
    assert [row.device for row in case.deployments(rollout)] == ["cam-0"]
    with case.database.read() as session:
        started = session.scalar(
            select(AuditRow.detail).where(AuditRow.subject == rollout, AuditRow.action == "rollout.start")
        )
    assert started is not None
    assert "1 of profile some-other-board" in started
    with pytest.raises(Rejected, match="no variant for odd-0"):
        case.roll_out(1, selector=Selector(devices=(DeviceId("odd-0"),)))
    with pytest.raises(Rejected, match="not enrolled"):
        case.roll_out(1, selector=Selector(devices=(DeviceId("nobody"),)))
    with pytest.raises(Rejected, match="must grow"):
        case.roll_out(1, waves=(0.5, 0.5))
    with pytest.raises(NotFound, match="no release digits 9"):
        case.roll_out(9)


def test_the_hint_reaches_the_device_once_the_broker_has_it(case: FleetCase) -> None:
    case.publish(1)
    device = case.enrol("cam-0")
    with case.connected(device) as (reporter,):
        case.roll_out(1)
        assert case.announcements.announce() == 1
        topic, payload = reporter.received.get(timeout=5)
        assert topic is DESIRED
        assert decode(Desired, payload).counter == 1
        assert case.announcements.announce() == 0
