"""The pure decisions about rollouts: waves, gates, states; whatever happens, in whatever order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_contracts.ids import DeviceId, ModelName, ProfileName
from edge_contracts.operations import Gates, NewRollout, OnBreach, RolloutState
from edge_fleet.domain.rollouts import (
    ACTIVE,
    OPERATOR_VERBS,
    TRANSITIONS,
    Action,
    Counts,
    Rollout,
    Tally,
    Verb,
    decide,
    next_state,
)
from edge_fleet.domain.waves import plan_waves
from edge_fleet.errors import Conflict

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

shares = st.lists(st.floats(0.001, 1), min_size=1, max_size=6, unique=True).map(lambda them: (*sorted(them)[:-1], 1.0))
fleets = st.dictionaries(
    st.integers(0, 500).map(lambda n: DeviceId(f"dev-{n}")),
    st.sampled_from([ProfileName(f"board-{c}") for c in "abcde"]),
    min_size=1,
)
counts = st.builds(Counts, **dict.fromkeys(vars(Counts()), st.integers(0, 20)))


def a_plan(**fields: object) -> NewRollout:
    return NewRollout.model_validate({"model": ModelName("digits"), "version": 1, "bake_seconds": 600.0} | fields)


def running(wave: int = 1, waves: int = 3, settled: datetime | None = None, **fields: object) -> Rollout:
    return Rollout(a_plan(**fields), RolloutState.RUNNING, wave, waves, NOW - HOUR, NOW - HOUR, settled)


@given(fleets, shares, st.text(max_size=8))
def test_every_device_is_in_one_wave_and_every_profile_in_the_first(
    fleet: dict[DeviceId, ProfileName], cuts: tuple[float, ...], rollout: str
) -> None:
    waves = plan_waves(rollout, fleet, cuts)
    assert Counter(device for wave in waves for device in wave) == Counter(list(fleet))
    assert {fleet[device] for device in waves[0]} == set(fleet.values())
    assert all(waves)
    assert plan_waves(rollout, dict(reversed(fleet.items())), cuts) == waves


def test_shares_mean_what_they_say() -> None:
    fleet = {DeviceId(f"d{n}"): ProfileName("board") for n in range(30)}
    assert [len(wave) for wave in plan_waves("r", fleet, (0.1, 0.5, 1.0))] == [3, 12, 15]
    other = plan_waves("s", fleet, (0.1, 0.5, 1.0))
    assert other[0] != plan_waves("r", fleet, (0.1, 0.5, 1.0))[0]


def test_a_new_rollout_starts_its_first_wave() -> None:
    assert decide(running(wave=0), Tally(), NOW).action is Action.START_WAVE


def test_error_is_judged_before_success() -> None:
    wave = Counts(succeeded=95, failed=15)
    decision = decide(running(settled=NOW - HOUR), Tally(wave, wave), NOW)
    assert decision.verb is Verb.ROLL_BACK
    assert "15 of 110" in decision.reason


@pytest.mark.parametrize(
    ("policy", "verb"),
    [(OnBreach.PAUSE, Verb.PAUSE), (OnBreach.ABORT, Verb.ABORT), (OnBreach.ROLL_BACK, Verb.ROLL_BACK)],
)
def test_a_breach_does_what_the_plan_says(policy: OnBreach, verb: Verb) -> None:
    wave = Counts(failed=1, waiting=9)
    assert decide(running(on_breach=policy), Tally(wave, wave), NOW).verb is verb


def test_one_failure_is_tolerated_where_the_plan_asks_for_more() -> None:
    wave = Counts(failed=1, waiting=9)
    gates = Gates(error_minimum=2)
    assert decide(running(gates=gates), Tally(wave, wave), NOW).action is Action.HOLD


def test_an_open_drift_alert_is_a_breach() -> None:
    wave = Counts(succeeded=10)
    assert decide(running(), Tally(wave, wave, open_alerts=1), NOW).verb is Verb.ROLL_BACK
    assert decide(running(gates=Gates(alerts_breach=False)), Tally(wave, wave, open_alerts=1), NOW).verb is None


def test_too_little_data_holds() -> None:
    wave = Counts(succeeded=8, waiting=1, offline=1)
    assert decide(running(), Tally(wave, wave), NOW).action is Action.HOLD
    nobody = Counts(offline=5)
    assert decide(running(wave_deadline_seconds=60.0), Tally(nobody, nobody), NOW).action is Action.HOLD


def test_offline_devices_do_not_block_after_the_deadline() -> None:
    wave = Counts(succeeded=5, offline=5)
    assert decide(running(wave_deadline_seconds=60.0), Tally(wave, wave), NOW).action is Action.SETTLE_WAVE


def test_a_device_that_took_it_up_and_went_silent_speaks_against_the_release() -> None:
    wave = Counts(succeeded=5, updating=2)
    assert decide(running(wave_deadline_seconds=60.0), Tally(wave, wave), NOW).verb is Verb.ROLL_BACK


def test_a_wave_bakes_before_the_next() -> None:
    wave = Counts(succeeded=10)
    assert decide(running(), Tally(wave, wave), NOW).action is Action.SETTLE_WAVE
    just_now = running(settled=NOW - timedelta(seconds=599))
    assert decide(just_now, Tally(wave, wave), NOW).action is Action.HOLD
    long_ago = running(settled=NOW - timedelta(seconds=600))
    assert decide(long_ago, Tally(wave, wave), NOW).action is Action.START_WAVE


def test_the_last_wave_ends_the_rollout_and_names_its_tail() -> None:
    wave = Counts(succeeded=10, offline=1)
    decision = decide(running(wave=3, settled=NOW - HOUR), Tally(wave, wave), NOW)
    assert decision.verb is Verb.SUCCEED
    assert "1 will get it" in decision.reason


def test_a_rollback_waits_for_its_devices_until_the_deadline() -> None:
    back = Rollout(a_plan(wave_deadline_seconds=60.0), RolloutState.ROLLING_BACK, 1, 1, NOW)
    assert decide(back, Tally(outstanding=2), NOW).action is Action.HOLD
    assert decide(back, Tally(outstanding=0), NOW).verb is Verb.FINISH
    late = decide(back, Tally(outstanding=2), NOW + timedelta(seconds=60))
    assert late.verb is Verb.FINISH
    assert "2 devices did not answer" in late.reason


@given(counts, counts, st.integers(0, 2), st.integers(0, 3), st.booleans(), st.sampled_from(list(OnBreach)))
def test_nothing_advances_on_a_breach_or_without_data(
    wave: Counts, earlier: Counts, alerts: int, number: int, settled: bool, policy: OnBreach
) -> None:
    started = Counts(**{name: getattr(wave, name) + getattr(earlier, name) for name in vars(wave)})
    rollout = running(wave=number, settled=NOW - HOUR if settled else None, on_breach=policy)
    decision = decide(rollout, Tally(wave, started, alerts), NOW)
    advances = decision.action is Action.START_WAVE or decision.verb is Verb.SUCCEED
    gates = rollout.plan.gates
    if advances and number:
        assert not alerts
        assert wave.judged or wave.forgiven
        assert wave.errors <= gates.error_share * wave.judged
        assert wave.succeeded >= gates.success_share * wave.judged
        assert wave.reported >= gates.quorum_share * wave.devices
        assert settled


@given(st.sampled_from(list(RolloutState)), counts, st.integers(0, 3))
def test_every_decision_can_be_acted_out(state: RolloutState, wave: Counts, number: int) -> None:
    rollout = Rollout(a_plan(), state, number, 3, NOW - HOUR, NOW - HOUR, NOW - HOUR)
    decision = decide(rollout, Tally(wave, wave), NOW)
    if decision.verb is not None:
        next_state(state, decision.verb)
    else:
        assert decision.action is not Action.CHANGE


@given(st.lists(st.sampled_from(["succeeded", "failed", "rolled_back", "offline"]), min_size=1, max_size=40), shares)
def test_every_rollout_whose_devices_answer_ends(fates: list[str], cuts: tuple[float, ...]) -> None:
    fate = {DeviceId(f"dev-{n}"): what for n, what in enumerate(fates)}
    waves = plan_waves("r", dict.fromkeys(fate, ProfileName("board")), cuts)
    rollout, now, steps = running(wave=0, waves=len(waves), wave_deadline_seconds=900.0), NOW, 0
    while rollout.state is RolloutState.RUNNING:
        steps += 1
        here = _count(fate, waves[rollout.wave - 1 : rollout.wave] if rollout.wave else ())
        decision = decide(rollout, Tally(here, _count(fate, waves[: rollout.wave])), now)
        rollout = _acted(rollout, decision.action, decision.verb, now)
        now += timedelta(minutes=5)
        if steps > 20 * len(waves):
            assert here.judged == 0, "only a wave of which nobody is there may hold for ever"
            return
    assert rollout.state in {RolloutState.SUCCEEDED, RolloutState.ROLLING_BACK}


def _count(fate: dict[DeviceId, str], waves: tuple[tuple[DeviceId, ...], ...]) -> Counts:
    return Counts(**Counter(fate[device] for wave in waves for device in wave))


def _acted(rollout: Rollout, action: Action, verb: Verb | None, now: datetime) -> Rollout:
    wave, started, settled, state = rollout.wave, rollout.wave_started, rollout.wave_settled, rollout.state
    if action is Action.START_WAVE:
        wave, started, settled = wave + 1, now, None
    elif action is Action.SETTLE_WAVE:
        settled = now
    elif verb is not None:
        state = next_state(state, verb)
    return Rollout(rollout.plan, state, wave, rollout.waves, now, started, settled)


def test_the_table_of_states_has_an_end_for_each() -> None:
    for state in RolloutState:
        leads_on = any(origin is state for origin, _ in TRANSITIONS)
        assert leads_on or state is RolloutState.ROLLED_BACK
    assert set(TRANSITIONS.values()) == set(RolloutState) - {RolloutState.DRAFT}
    assert {RolloutState.SUCCEEDED, RolloutState.ABORTED, RolloutState.ROLLED_BACK}.isdisjoint(ACTIVE)


def test_a_verb_that_does_not_apply_names_those_that_do() -> None:
    with pytest.raises(Conflict) as caught:
        next_state(RolloutState.PAUSED, Verb.START)
    assert caught.value.hint == "Now possible: abort, resume, rollback."
    with pytest.raises(Conflict, match="cannot resume"):
        next_state(RolloutState.ROLLED_BACK, Verb.RESUME)
    assert Verb.SUCCEED not in OPERATOR_VERBS
