"""The dashboard as a person sees it, in a real browser on a real server; and what keeps strangers out of it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from edge_contracts.lifecycle import State
from edge_contracts.operations import Scope
from edge_fleet.web import charts
from tests.edge_fleet.busy_fleet import BusyFleet, busy_fleet
from tests.edge_fleet.fleet_case import BAD_OUTPUTS, SUCCESS, images
from tests.edge_fleet.server_case import PROFILES, Server, initialise, must, serving
from tests.support.browser import CHROMIUM, Browser, browser
from tests.support.tools import missing


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusyFleet]:
    folder = tmp_path_factory.mktemp("dashboard") / "data"
    admin = initialise(folder)
    with (folder / "server.toml").open("a") as settings:
        settings.write("\n[rhythm]\nscheduler_seconds = 0.3\ndrift_seconds = 0.5\n")
    with serving(folder, admin) as server, busy_fleet(server) as one:
        yield one


@pytest.fixture
def visitor(fleet: BusyFleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fleet.server.ready["operator_url"], trust_env=False) as client:
        must(client.post("/login", data={"token": fleet.server.admin}), 303)
        yield client


@pytest.fixture
def page(fleet: BusyFleet) -> Iterator[Browser]:
    if CHROMIUM is None:
        missing("chromium is not installed: apt-get install chromium")
    with browser() as one:
        one.open(fleet.server.ready["operator_url"] + "/login?after=/")
        one.evaluate(f"document.getElementById('token').value = {fleet.server.admin!r}")
        one.evaluate("document.querySelector('.login button').click()")
        one.wait_for("location.pathname === '/' && document.readyState === 'complete'")
        yield one


def test_a_person_watches_the_fleet_come_alive(fleet: BusyFleet, page: Browser) -> None:
    address = fleet.server.ready["operator_url"]
    page.wait_for_text("No device is enrolled yet.")
    page.wait_for("document.querySelector('.live').dataset.state === 'on'")
    for number in range(4):
        fleet.enrol(f"gate-{number}", PROFILES[number % 2])
    page.wait_for_text("gate-3")
    page.wait_for("document.querySelector('#device-gate-3 .dot.online') !== null")

    release = fleet.publish(1)
    first = fleet.roll_out(1, waves=[1.0])
    for device, deployment in fleet.wait_for_turns(first, 4).items():
        fleet.commit(device, deployment, 1, **SUCCESS)
    page.wait_for_text("4 succeeded")
    fleet.serve(next(device for device, profile in fleet.profiles.items() if profile == PROFILES[1]), 1, fallback=True)
    page.wait_for_text("on a fallback")
    fleet.wait_for_state(first, "succeeded")

    rng = np.random.default_rng(2)
    for drifted in (False, False, True, True, True):
        for device in fleet.devices:
            fleet.infer(device, release, 1 - images(rng, 200) if drifted else images(rng, 200))
    page.open(f"{address}/alerts")
    page.wait_for_text("have drifted since", seconds=30)
    assert "level" in page.text()
    page.open(f"{address}/telemetry/digits/1")
    assert page.evaluate("document.querySelectorAll('.stream.moved').length") >= 2
    page.evaluate("document.querySelector('.alert button').click()")
    page.wait_for("location.pathname === '/alerts' && document.readyState === 'complete'")
    assert page.problems == []


def test_a_person_sees_why_a_release_is_refused_and_takes_it_back(fleet: BusyFleet, page: Browser) -> None:
    fleet.publish(2)
    gates = {"alerts_breach": False, "error_minimum": 4}
    rollout = fleet.roll_out(2, waves=[1.0], gates=gates)
    given = fleet.wait_for_turns(rollout, 4)
    page.open(f"{fleet.server.ready['operator_url']}/rollouts/{rollout}")
    (bad, deployment), (busy, other), *_ = given.items()
    fleet.devices[bad].report(deployment, State.FAILED, **BAD_OUTPUTS)
    fleet.devices[busy].report(other, State.DOWNLOADING, progress=0.4)
    page.wait_for_text("1 × selftest-outputs")
    page.wait_for_text("downloading 40 %")
    assert "compare with the bundle's report" in page.text()
    page.evaluate("window.confirm = () => true")
    page.evaluate("[...document.querySelectorAll('.verbs button')].find(b => b.textContent === 'Roll back').click()")
    page.wait_for_text("rollback by first-admin")
    fleet.devices[busy].report(other, State.ABORTED, outcome="aborted", reason="aborted-by-server")
    fleet.wait_for_state(rollout, "rolled-back")
    page.wait_for_text("rolled back")
    assert page.problems == []


def test_without_a_token_there_is_only_the_login_page(fleet: BusyFleet) -> None:
    with httpx.Client(base_url=fleet.server.ready["operator_url"], trust_env=False) as stranger:
        for path in ("/", "/rollouts", "/rollouts/r-1", "/telemetry", "/telemetry/digits/1", "/alerts", "/live"):
            answer = must(stranger.get(path), 303)
            assert answer.headers["location"].startswith("/login?after=/")
        wrong = must(stranger.post("/login", data={"token": "op_wrong"}), 401)
        assert "not known here" in wrong.text
        assert "set-cookie" not in wrong.headers


def test_pages_bear_a_strict_policy_and_the_cookie_is_out_of_reach(visitor: httpx.Client, fleet: BusyFleet) -> None:
    for path in ("/", "/rollouts", "/telemetry", "/alerts", "/login"):
        policy = must(visitor.get(path)).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    cookie = must(visitor.post("/login", data={"token": fleet.server.admin}), 303).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_login_never_leads_to_another_site(fleet: BusyFleet) -> None:
    with httpx.Client(base_url=fleet.server.ready["operator_url"], trust_env=False) as client:
        for after in ("https://evil.example", "//evil.example", "/\\evil.example"):
            answer = client.post("/login", data={"token": fleet.server.admin, "after": after})
            assert answer.headers["location"] == "/"
        assert "evil" not in client.get("/login", params={"after": "//evil.example"}).text


def test_a_form_without_the_proof_changes_nothing(visitor: httpx.Client) -> None:
    for data in ({}, {"proof": ""}, {"proof": "0" * 64}, {"proof": "ü"}):
        assert visitor.post("/rollouts/r-1/abort", data=data).status_code in {403, 404}
        assert visitor.post("/alerts/a-1/acknowledge", data=data).status_code in {403, 404}


def test_a_reader_sees_no_buttons_and_a_token_without_read_sees_nothing(fleet: BusyFleet) -> None:
    for scope, status in ((Scope.READ, 303), (Scope.ENROL, 401)):
        token = _token(fleet.server, scope)
        with httpx.Client(base_url=fleet.server.ready["operator_url"], trust_env=False) as client:
            must(client.post("/login", data={"token": token}), status)
            if status == 303:
                assert "Acknowledge</button>" not in must(client.get("/alerts")).text


def test_stale_links_answer_with_a_sentence(visitor: httpx.Client) -> None:
    for path in ("/rollouts/r-none", "/telemetry/none/1", "/telemetry/NOT A MODEL/x"):
        answer = must(visitor.get(path), 404)
        assert "What to do." in answer.text
        assert answer.headers["content-type"].startswith("text/html")


def test_charts_say_in_words_what_they_show() -> None:
    latency = charts.latency_chart((0,) * 20 + (5, 1) + (0,) * 42)
    assert latency.label == "latency from 631 us to 1.58 ms"
    assert len(latency.rects) == 4
    assert charts.latency_chart((0,) * 64).rects == ()
    shares = charts.share_chart("x.mean", [1 / 32] * 32, [1 / 32] * 32, "low", "high")
    assert len(shares.rects) == 16
    assert shares.rects[0].title == "6.2% now, 6.2% in the baseline"


def _token(server: Server, scope: Scope) -> str:
    with server.operator() as operator:
        wish = {"name": f"only-{scope}", "scopes": [scope]}
        return str(must(operator.post("/v1/operator-tokens", json=wish), 201).json()["secret"])
