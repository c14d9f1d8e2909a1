"""The eight steps of the main job, one function each, and the order they are played in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from edge_contracts.ids import DeviceId
from edge_contracts.lifecycle import Outcome
from edge_contracts.operations import OnBreach, RolloutState
from edge_converters.bundles import read_bundle
from edge_converters.guard import Verdict
from edge_sdk.demo.bad_releases import roll_out_bad
from edge_sdk.demo.conversion import GUARD, MODEL, converted
from edge_sdk.demo.fleet import PROFILES, Server, enrolled_devices, running_server
from edge_sdk.demo.narration import Narrator, expect
from edge_sdk.demo.observed import (
    DEVICE_COLUMNS,
    INFERENCE_COLUMNS,
    VARIANT_COLUMNS,
    device_row,
    drift_alerts,
    gpu_sentence,
    inference_row,
    variant_row,
    windows_of,
)
from edge_sdk.demo.releases import Place, publish_bundle
from edge_sdk.demo.rollout import roll_out
from edge_sdk.demo.traffic import Samples, Traffic, measure, read_samples
from edge_sdk.demo.training import Trained, train
from edge_sdk.demo.waiting import wait_for
from edge_sdk.emulation.agent import EmulatedAgent

TITLES: Final = (
    "Train a model and convert it for four kinds of device",
    "Start the fleet server and its broker",
    "Enrol four emulated devices, one of each class",
    "Publish the signed release and roll it out by canary",
    "Run inference on labelled samples",
    "Roll out bad releases",
    "Feed drifted inputs",
    "The dashboard",
)
LEAST_ACCURACY: Final = 0.9
"""Of each device on samples that neither training nor calibration nor the guard has seen; chance is 0.1."""
DIMMED: Final = 0.55
"""Of the light that is left in the drifted inputs."""
MOVED_BY_DIMMING: Final = frozenset({"level", "spread", "range", "texture"})
"""Groups of features that failing light moves; `sparsity` it leaves alone."""
_WINDOWS_SECONDS: Final = 40.0
_DRIFT_SECONDS: Final = 90.0


@dataclass(frozen=True)
class Running:
    """What is up when all steps have happened."""

    server: Server
    agents: list[EmulatedAgent]


def play(place: Place, narrator: Narrator, exits: ExitStack) -> Running:
    """Play all steps; what they start is stopped by `exits`.

    Raises:
        SdkError and the errors of the converters: a step did not happen.
    """
    trained, bundle = convert_model(place, narrator)
    server = start_server(place, narrator, exits)
    agents = enrol_devices(place, narrator, exits, server)
    samples = read_samples(trained.data("samples"))
    traffic = exits.enter_context(Traffic(agents, MODEL, samples))
    roll_out_good(narrator, server, bundle)
    run_inference(narrator, server, agents, samples)
    roll_out_bad(place, narrator, server, bundle, traffic)
    drift(narrator, server, traffic, samples)
    show_dashboard(narrator, server)
    return Running(server, agents)


def convert_model(place: Place, narrator: Narrator) -> tuple[Trained, Path]:
    """Step 1."""
    why = "A small convolutional net on scikit-learn's digits; each variant is measured against the float model."
    with narrator.step(1, why) as step:
        with narrator.waiting("Training"):
            trained = train(place.cache)
        origin = "from the cache" if trained.cached else "just trained"
        narrator.tell(f"{trained.parameters:,} weights, {trained.accuracy:.1%} right on unseen samples ({origin})")
        out = place.folder / "bundle-1"
        outcome = converted(trained, PROFILES, out, lambda what, done, total: narrator.tell(f"{done}/{total} {what}"))
        failed = [each for each in outcome.reports if each.verdict is not Verdict.PASS]
        expect(not failed, f"{[each.profile for each in failed]} did not pass the guard: {outcome.verdict}")
        variants = read_bundle(out).manifest.variants
        narrator.table(VARIANT_COLUMNS, [variant_row(each) for each in variants])
        step.seen = f"{len(variants)} variants, each as good as the float model within {GUARD.max_drop:.0%}"
    return trained, out


def start_server(place: Place, narrator: Narrator, exits: ExitStack) -> Server:
    """Step 2."""
    why = "SQLite and local blobs in one folder, a private Mosquitto with TLS; the owner's keys never go there."
    with narrator.step(2, why) as step:
        server = exits.enter_context(running_server(place.folder))
        narrator.tell(f"operators and dashboard at {server.dashboard}")
        narrator.tell(f"devices at {server.addresses['device_url']}, client certificates required")
        narrator.tell(f"broker at mqtts://{server.addresses['mqtt_host']}:{server.addresses['mqtt_port']}")
        step.seen = "the server answers and trusts the owner's root key"
    return server


def enrol_devices(place: Place, narrator: Narrator, exits: ExitStack, server: Server) -> list[EmulatedAgent]:
    """Step 3."""
    why = "Real agents, each its own process, identity and folder, on the engine that its class claims."
    with narrator.step(3, why) as step:
        with narrator.waiting("Starting and enrolling the agents"):
            agents = exits.enter_context(enrolled_devices(place.folder, server, place.agent_python))
        devices = server.client.devices()
        narrator.table(DEVICE_COLUMNS, [device_row(each) for each in devices])
        step.seen = f"{len(devices)} devices enrolled by one-time token, all online"
    return agents


def roll_out_good(narrator: Narrator, server: Server, bundle: Path) -> None:
    """Step 4."""
    why = "Devices verify every signature, decrypt, test the model in a process of its own, swap, watch it, commit."
    with narrator.step(4, why) as step:
        version = publish_bundle(narrator, server, bundle)
        ended = roll_out(server.client, narrator, MODEL, version, "the first release", OnBreach.ROLL_BACK)
        outcomes = ended.outcomes()
        expect(
            ended.view.state is RolloutState.SUCCEEDED and outcomes == dict.fromkeys(outcomes, Outcome.SUCCEEDED),
            f"the rollout ended as {ended.view.state}: {ended.view.reason}",
        )
        step.seen = f"{MODEL} {version} committed on {len(outcomes)} of {len(PROFILES)} devices"


def run_inference(narrator: Narrator, server: Server, agents: Sequence[EmulatedAgent], samples: Samples) -> None:
    """Step 5."""
    why = f"{len(samples.y)} labelled samples by each device's own HTTP API (Open Inference Protocol)."
    with narrator.step(5, why) as step:
        with narrator.waiting("Asking every device about every sample"):
            measured = {agent.name: measure(agent.address, MODEL, samples) for agent in agents}
        devices = {device.id: device for device in server.client.devices()}
        windows = wait_for(
            "telemetry of every device", _WINDOWS_SECONDS, lambda: windows_of(server, [agent.name for agent in agents])
        )
        rows = [inference_row(devices[DeviceId(name)], seen, windows[name]) for name, seen in measured.items()]
        narrator.table(INFERENCE_COLUMNS, rows)
        worst = min(seen.accuracy for seen in measured.values())
        expect(worst >= LEAST_ACCURACY, f"a device answers only {worst:.1%} of the samples rightly")
        step.seen = (
            f"{worst:.1%} to {max(seen.accuracy for seen in measured.values()):.1%} right; {gpu_sentence(devices)}"
        )


def drift(narrator: Narrator, server: Server, traffic: Traffic, samples: Samples) -> None:
    """Step 7."""
    why = f"The light fails: every image keeps {DIMMED:.0%} of its brightness. No labels are needed to see it."
    with narrator.step(7, why) as step:
        early = drift_alerts(server)
        expect(not early, f"a drift alert before anything drifted: {early[0].message if early else ''}")
        traffic.switch(samples.dimmed(DIMMED))
        with narrator.waiting("Waiting for the alert"):
            alerts = wait_for("a drift alert", _DRIFT_SECONDS, lambda: drift_alerts(server) or None)
        for alert in alerts:
            narrator.tell(f"[yellow]{alert.severity}[/]: {alert.message} [dim]{alert.hint}[/]")
        named = {str(alert.group) for alert in alerts}
        expect(bool(named & MOVED_BY_DIMMING), f"the alert names {named}, the light moves {set(MOVED_BY_DIMMING)}")
        first = alerts[0]
        step.seen = f"alert on {', '.join(sorted(named))}: {first.effect_name} {first.effect or 0:.2f}"


def show_dashboard(narrator: Narrator, server: Server) -> None:
    """Step 8."""
    with narrator.step(8, "Fleet, rollouts, telemetry and alerts, live.") as step:
        answer = httpx.get(server.dashboard, follow_redirects=True, trust_env=False)
        html = answer.headers.get("content-type", "").startswith("text/html")
        expect(answer.is_success and html, f"{server.dashboard} answered {answer.status_code}")
        narrator.tell(f"log in with the operator token {server.token}")
        step.seen = server.dashboard
