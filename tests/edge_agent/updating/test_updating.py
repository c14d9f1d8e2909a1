"""The pure part: every walk through the table ends, budgets are kept, slots only change in the ways they may."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core import slots as slot
from edge_agent.core.budgets import Attempt, after_attempt, counted
from edge_agent.core.slots import Slots
from edge_agent.core.updating import (
    Earlier,
    Move,
    Standing,
    UpdateSettings,
    Wait,
    advance,
    condemned,
    end_of,
    may_try_again,
    offered,
    probation,
)
from edge_agent.ports import ServingHealth
from edge_contracts.assignments import Assignment, Kind
from edge_contracts.errors import IllegalTransition
from edge_contracts.ids import DeploymentId, DeviceId, Digest, ModelName, TenantId
from edge_contracts.lifecycle import MAX_TRANSITIONS, OUTCOMES, TRANSITIONS, Event, Outcome, State
from edge_contracts.manifest import FileRef
from edge_contracts.reasons import REASONS, Reason, Retry
from edge_contracts.verification import Plan
from tests.support.releases import manifest, variant

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SETTINGS = UpdateSettings()
DIGESTS = [Digest.of(bytes([number])) for number in range(5)]
MODEL = ModelName("digits")


def a_plan(**changes: object) -> Plan:
    made, _ = variant("cpu-litert")
    described = manifest(made, version=3)
    fields: dict[str, object] = {
        "tenant": TenantId("acme"),
        "device": DeviceId("gate-7"),
        "deployment": DeploymentId("d-1"),
        "kind": Kind.INSTALL,
        "model": described.model,
        "version": 3,
        "variant": made.name,
        "counter": 7,
        "nonce": "0123456789abcdef",
        "issued": NOW,
        "expires": NOW + timedelta(days=1),
    }
    artifact = FileRef(digest=DIGESTS[0], length=100_000)
    return Plan(Assignment.model_validate(fields | changes), described, made, artifact)


PLAN = a_plan()
WALKS = [event for event in Event if event is not Event.POLL]


@given(st.lists(st.sampled_from(WALKS), max_size=200), st.integers(0, 70))
def test_every_walk_keeps_to_the_table_and_ends_within_its_transitions(events: list[Event], earlier: int) -> None:
    standing = offered(PLAN, None).model_copy(update={"state": State.OFFERED, "transitions": earlier})
    taken = 0
    for event in events:
        try:
            after, row = advance(standing, Move(event), 0.0)
        except IllegalTransition:
            continue
        taken += 1
        assert TRANSITIONS[row.before, row.event] is row.after
        if after.deployment is None:
            ended = end_of(standing, after, 0.0)
            assert ended is not None
            assert ended.outcome in Outcome
            break
        assert after.transitions <= max(MAX_TRANSITIONS, earlier + 4)
        standing = after
    assert taken <= MAX_TRANSITIONS


@given(st.sampled_from([state for state in State if state not in {State.IDLE, State.SAFE_MODE}]))
def test_a_deployment_in_circles_is_led_out(state: State) -> None:
    standing = offered(PLAN, None).model_copy(update={"state": state, "transitions": MAX_TRANSITIONS - 4})
    for event in (Event.OFFER, Event.BEGIN, Event.FINISH, Event.PASS, Event.CLOSE) * 4:
        if standing.deployment is None:
            return
        try:
            standing, row = advance(standing, Move(event), 0.0)
        except IllegalTransition:
            continue
        assert row.after not in {State.DOWNLOADING, State.STAGED, State.PROBATION, State.ACTIVATING}
    raise AssertionError(f"still {standing.state}")


def test_a_refused_assignment_is_not_remembered_as_followed() -> None:
    refused = Standing(deployment=DeploymentId("d-1"), state=State.FAILED, counter=9)
    assert end_of(refused, Standing(), 0.0) is None


@pytest.mark.parametrize(("state", "outcome"), OUTCOMES.items())
def test_each_last_state_has_its_outcome(state: State, outcome: Outcome) -> None:
    before = offered(PLAN, None).model_copy(update={"state": state})
    if state is State.SAFE_MODE:
        before = before.model_copy(update={"state": State.ROLLING_BACK})
    after = Standing(state=State.SAFE_MODE if state is State.SAFE_MODE else State.IDLE)
    ended = end_of(before, after, 5.0)
    assert ended is not None
    assert (ended.outcome, ended.at, ended.counter) == (outcome, 5.0, 7)


@given(st.sampled_from(Reason), st.integers(1, 9))
def test_only_what_may_pass_is_tried_again_and_not_for_ever(reason: Reason, rounds: int) -> None:
    standing = offered(PLAN, None).model_copy(update={"state": State.FAILED, "reason": reason, "rounds": rounds - 1})
    ended = end_of(standing, Standing(), 0.0)
    assert ended is not None
    assert not may_try_again(ended, 1.0, SETTINGS)
    later = may_try_again(ended, 10.0**9, SETTINGS)
    assert later == (REASONS[reason].retry is Retry.BACKOFF and rounds < SETTINGS.max_rounds)


@dataclass
class Link:
    """What a bad network does to one attempt."""

    received: int
    problem: str


LINKS = st.builds(Link, st.integers(0, 60_000), st.sampled_from(["", "timeout", "status 503"]))


@settings(max_examples=30)
@given(st.lists(LINKS, min_size=120, max_size=120), st.floats(0, 1))
def test_a_download_ends_within_its_budget(links: list[Link], jitter: float) -> None:
    standing = offered(PLAN, None).model_copy(update={"state": State.DOWNLOADING})
    for link in links:
        # One stopped on purpose brings something or is not counted; the caller decides how often that is.
        attempt = Attempt(link.received, complete=False, problem=link.problem or "reset")
        standing = counted(standing, attempt)
        todo = after_attempt(standing, attempt, 100_000, SETTINGS, lambda: jitter)
        if isinstance(todo, Move):
            assert todo.reason in {Reason.TRANSPORT, Reason.DOWNLOAD_BUDGET}
            break
        assert 0 <= todo.seconds <= SETTINGS.backoff_cap_seconds
    else:
        raise AssertionError("it never gives up")
    assert standing.attempts <= SETTINGS.max_attempts
    assert standing.received <= 2 * 100_000 + 1024 * 1024 + 60_000


def test_a_complete_download_goes_on_whatever_it_cost() -> None:
    standing = offered(PLAN, None).model_copy(update={"attempts": 10_000})
    assert after_attempt(standing, Attempt(1, complete=True), 1, SETTINGS, lambda: 1.0) == Move(Event.FINISH)


HEALTHY = ServingHealth(100, 0, 0, 0, 0, 2, 1.0)


def test_probation_ends_when_both_time_and_traffic_have_passed() -> None:
    plan = a_plan(probation_seconds=60.0, probation_inferences=100)
    quiet = ServingHealth(99, 0, 0, 0, 0, 2, 1.0)
    assert isinstance(probation(plan, HEALTHY, 59.0, SETTINGS), Wait)
    assert isinstance(probation(plan, quiet, 61.0, SETTINGS), Wait)
    assert probation(plan, HEALTHY, 61.0, SETTINGS) == Move(Event.PASS)


def test_probation_counts_what_earlier_processes_have_watched() -> None:
    plan = a_plan(probation_seconds=60.0, probation_inferences=150)
    crashed = replace(HEALTHY, crashes=1)
    assert isinstance(probation(plan, HEALTHY, 20.0, SETTINGS, Earlier(30.0, 50)), Wait)
    assert isinstance(probation(plan, HEALTHY, 20.0, SETTINGS, Earlier(41.0, 49)), Wait)
    assert probation(plan, HEALTHY, 20.0, SETTINGS, Earlier(41.0, 50)) == Move(Event.PASS)
    undone = probation(plan, crashed, 20.0, SETTINGS, Earlier(crashes=1))
    assert isinstance(undone, Move)
    assert undone.reason is Reason.PROBATION_CRASHES


def test_an_unhealthy_release_is_undone_even_when_its_time_is_over() -> None:
    crashed = ServingHealth(100, 0, 2, 0, 0, 2, 1.0)
    undone = probation(a_plan(probation_seconds=60.0), crashed, 3600.0, SETTINGS)
    assert isinstance(undone, Move)
    assert (undone.event, undone.reason) == (Event.UNDO, Reason.PROBATION_CRASHES)


@given(st.sampled_from(Reason))
def test_bytes_that_only_arrived_damaged_bar_nothing(reason: Reason) -> None:
    barred = condemned(reason, PLAN)
    arrived = {Reason.ARTIFACT_DIGEST, Reason.ARTIFACT_LENGTH, Reason.ARTIFACT_KEY, Reason.TRANSPORT, Reason.NO_SPACE}
    assert not (barred and reason in arrived)
    assert set(barred) <= {PLAN.artifact.digest, PLAN.variant.payload.digest, PLAN.variant.model.digest}
    if reason.value.startswith("selftest"):
        assert PLAN.variant.model.digest not in barred


STEPS = st.one_of(
    st.tuples(st.just("stage"), st.sampled_from(DIGESTS)),
    st.tuples(st.just("switch"), st.sampled_from(DIGESTS)),
    st.tuples(st.just("commit"), st.sampled_from(DIGESTS)),
    st.tuples(st.just("back"), st.just(DIGESTS[0])),
)


@given(st.lists(STEPS, max_size=40))
def test_slots_always_hold_the_good_one_and_floors_never_sink(steps: list[tuple[str, Digest]]) -> None:
    slots = Slots()
    for number, (step, release) in enumerate(steps, start=1):
        before = slots
        if step == "stage":
            slots = slot.staged(slots, release)
        elif step == "switch":
            slots = slot.switched(slot.staged(slots, release), release)
        elif step == "commit":
            slots = slot.committed(slots, release, MODEL, number)
            assert slots == slot.committed(slots, release, MODEL, number)
            assert (slots.active, slots.good, slots.candidate) == (release, release, None)
        else:
            slots = slot.rolled_back(slots)
            assert slots == slot.rolled_back(slots)
            assert slots.active == slots.good
        assert slots.floors.get(MODEL, 0) >= before.floors.get(MODEL, 0)
        assert step == "commit" or (slots.good, slots.previous) == (before.good, before.previous)
        assert slots.good is None or slots.good != slots.previous
        assert slots.good is None or slots.good in slot.loading_order(slots, 3)


@given(st.lists(st.sampled_from(DIGESTS), max_size=20))
def test_quarantine_holds_each_digest_once(digests: list[Digest]) -> None:
    slots = Slots()
    for digest in digests:
        slots = slot.quarantined(slots, [digest, digest])
    assert sorted(slots.quarantine) == sorted(set(digests))


def test_a_suspect_release_is_left_out_after_too_many_starts() -> None:
    slots = Slots(active=DIGESTS[0], good=DIGESTS[0], previous=DIGESTS[1], starts=4)
    assert slot.loading_order(slots, 3) == (DIGESTS[1],)
    assert slot.loading_order(slots, 4) == (DIGESTS[0], DIGESTS[1])
