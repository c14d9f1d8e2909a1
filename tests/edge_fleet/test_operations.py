"""Rollouts, telemetry, alerts and the event stream at the operator door of a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from edge_contracts.lifecycle import State
from edge_contracts.operations import AlertView, DeploymentView, RolloutView, WindowView
from tests.edge_fleet.busy_fleet import BusyFleet, busy_fleet
from tests.edge_fleet.fleet_case import BAD_OUTPUTS, SUCCESS, images
from tests.edge_fleet.server_case import initialise, must, problem, serving


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusyFleet]:
    folder = tmp_path_factory.mktemp("operations") / "data"
    admin = initialise(folder)
    with (folder / "server.toml").open("a") as settings:
        settings.write("\n[rhythm]\nscheduler_seconds = 0.2\ndrift_seconds = 0.3\n")
    with serving(folder, admin) as server, busy_fleet(server) as one:
        one.publish(1)
        one.publish(2)
        for number in range(3):
            one.enrol(f"gate-{number}")
        yield one


@pytest.fixture
def operator(fleet: BusyFleet) -> Iterator[httpx.Client]:
    with fleet.server.operator() as client:
        yield client


def everything(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """A whole list, by the smallest pages."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = must(client.get(path, params={"limit": 1, **query, **({"cursor": cursor} if cursor else {})})).json()
        assert len(page["items"]) <= 1
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def wait_until(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_rollout_from_plan_to_success(fleet: BusyFleet, operator: httpx.Client) -> None:
    plan = {"model": "digits", "version": 1, "bake_seconds": 0, "waves": [1.0], "start": False, "name": "first"}
    draft = RolloutView.model_validate(must(operator.post("/v1/rollouts", json=plan), 201).json())
    assert (draft.state, draft.wave, draft.waves) == ("draft", 0, ())
    problem(operator.post(f"/v1/rollouts/{draft.id}/pause"), 409, "rollout-state")
    must(operator.post(f"/v1/rollouts/{draft.id}/start"))
    for device, deployment in fleet.wait_for_turns(draft.id, 3).items():
        fleet.commit(device, deployment, 1, **SUCCESS)
    fleet.wait_for_state(draft.id, "succeeded")
    view = RolloutView.model_validate(must(operator.get(f"/v1/rollouts/{draft.id}")).json())
    assert [(wave.number, wave.devices, wave.succeeded) for wave in view.waves] == [(1, 3, 3)]
    rows = [DeploymentView.model_validate(row) for row in everything(operator, f"/v1/rollouts/{draft.id}/deployments")]
    assert sorted(row.device for row in rows) == ["gate-0", "gate-1", "gate-2"]
    assert {row.outcome for row in rows} == {"succeeded"}


def test_a_bad_release_is_halted_and_alerted(fleet: BusyFleet, operator: httpx.Client) -> None:
    rollout = fleet.roll_out(2, waves=[0.3, 1.0])
    ((device, deployment),) = fleet.wait_for_turns(rollout, 1).items()
    problem(operator.post("/v1/rollouts", json={"model": "digits", "version": 2}), 409, "device-in-rollout")
    fleet.devices[device].report(deployment, State.FAILED, **BAD_OUTPUTS)
    fleet.wait_for_state(rollout, "rolled-back")
    found = [AlertView.model_validate(row) for row in everything(operator, "/v1/alerts", acknowledged=False)]
    halted = next(alert for alert in found if alert.kind == "rollout-halted")
    assert "selftest-outputs" in halted.message
    assert halted.hint
    known = AlertView.model_validate(must(operator.post(f"/v1/alerts/{halted.id}/acknowledge")).json())
    assert known.acknowledged
    assert halted.id not in {row["id"] for row in everything(operator, "/v1/alerts", acknowledged=False)}
    assert everything(operator, "/v1/rollouts")[0]["id"] == rollout
    deeds = {row["action"] for row in must(operator.get("/v1/audit", params={"limit": 500})).json()["items"]}
    assert {"rollout.create", "rollout.rollback", "rollout.finish", "alert.raise", "alert.acknowledge"} <= deeds


def test_windows_are_asked_for_by_device_release_and_time(fleet: BusyFleet, operator: httpx.Client) -> None:
    with operator.stream("GET", "/v1/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        release = fleet.publish(3)
        for device in fleet.devices:
            fleet.infer(device, release, images(np.random.default_rng(3), 40))
        told = (json.loads(line.removeprefix("data: "))["changed"] for line in lines if line.startswith("data: "))
        assert "telemetry" in told
    wait_until(lambda: len(everything(operator, "/v1/telemetry", version=3)) == 3)
    found = [WindowView.model_validate(row) for row in everything(operator, "/v1/telemetry", version=3)]
    assert {one.device for one in found} == set(fleet.devices)
    assert {one.window.n for one in found} == {40}
    assert len(everything(operator, "/v1/telemetry", device="gate-0", model="digits")) == 1
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert everything(operator, "/v1/telemetry", since=later) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/rollouts/r-none", 404, "rollout-unknown"),
        ("GET", "/v1/rollouts/r-none/deployments", 404, "rollout-unknown"),
        ("POST", "/v1/rollouts/r-none/abort", 404, "rollout-unknown"),
        ("POST", "/v1/rollouts/r-none/succeed", 422, "request-invalid"),
        ("POST", "/v1/alerts/a-none/acknowledge", 404, "alert-unknown"),
        ("GET", "/v1/telemetry?device=NOT/ID", 422, "request-invalid"),
        ("GET", "/v1/rollouts?cursor=xyz", 422, "cursor-invalid"),
        ("GET", "/v1/alerts?cursor=WyJ5ZXN0ZXJkYXkiLCAiYS0xIl0", 422, "cursor-invalid"),
        ("GET", "/v1/rollouts?cursor=WyIyMDI2LTAxLTAxIiwgInItMSJd", 422, "cursor-invalid"),
        ("GET", "/v1/alerts?limit=501", 422, "request-invalid"),
    ],
)
def test_wrong_requests_get_a_sentence(operator: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    problem(operator.request(method, path), status, code)


def test_who_may_only_read_moves_nothing(fleet: BusyFleet, operator: httpx.Client) -> None:
    made = must(operator.post("/v1/operator-tokens", json={"name": "eyes", "scopes": ["read"]}), 201).json()
    with fleet.server.operator(made["secret"]) as reader:
        must(reader.get("/v1/rollouts"))
        problem(reader.post("/v1/rollouts", json={"model": "digits", "version": 1}), 403, "scope-missing")
        problem(reader.post("/v1/rollouts/r-1/abort"), 403, "scope-missing")
        problem(reader.post("/v1/alerts/a-1/acknowledge"), 403, "scope-missing")
