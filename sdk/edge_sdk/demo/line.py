"""The eight steps of the main job, one function each, and the order they are played in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from edge_contracts.ids import DeviceId
from edge_contracts.lifecycle import Outcome
from edge_contracts.manifest import Accelerator, Variant
from edge_contracts.operations import AlertView, DeviceView, OnBreach, RolloutState
from edge_contracts.reasons import Reason
from edge_contracts.window import TelemetryWindow, latency_quantile
from edge_converters.bundles import read_bundle
from edge_converters.guard import Verdict
from edge_sdk.demo.conversion import GUARD, MODEL, converted
from edge_sdk.demo.fleet import GPU_PROFILE, PROFILES, Server, enrolled_devices, no_passphrase, running_server
from edge_sdk.demo.narration import Narrator, expect
from edge_sdk.demo.rollout import roll_out
from edge_sdk.demo.traffic import Measured, Samples, Traffic, measure, read_samples
from edge_sdk.demo.training import Trained, run_program, train
from edge_sdk.demo.waiting import wait_for
from edge_sdk.emulation.agent import EmulatedAgent
from edge_sdk.publishing import publish

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
INPUT_DRIFT: Final = "input-drift"
"""The kind of the alert."""
_WINDOWS_SECONDS: Final = 40.0
_DRIFT_SECONDS: Final = 90.0
_VARIANT_COLUMNS: Final = ("class", "profile", "scheme", "runs on", "bytes", "float", "variant")
_INFERENCE_COLUMNS: Final = (
    "device",
    "runs on",
    "right",
    "p50 ms",
    "p99 ms",
    "windows on the server",
    "p50 ms on the device",
)
_WEIGHTS: Final = "edge_sdk.demo.weights"
_WEIGHTS_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Place:
    """Where the demo works: its own folder, the cache of trained models, the agents' interpreter."""

    folder: Path
    cache: Path
    agent_python: Path


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
        narrator.table(_VARIANT_COLUMNS, [_variant_row(each) for each in variants])
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
        rows = [(each.id, each.profile, each.status, ", ".join(each.engines)) for each in devices]
        narrator.table(("device", "profile", "status", "engines found"), rows)
        step.seen = f"{len(devices)} devices enrolled by one-time token, all online"
    return agents


def roll_out_good(narrator: Narrator, server: Server, bundle: Path) -> None:
    """Step 4."""
    why = "Devices verify every signature, decrypt, test the model in a process of its own, swap, watch it, commit."
    with narrator.step(4, why) as step:
        version = _publish(narrator, server, bundle)
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
            "telemetry of every device", _WINDOWS_SECONDS, lambda: _windows(server, [agent.name for agent in agents])
        )
        rows = [_inference_row(devices[DeviceId(name)], seen, windows[name]) for name, seen in measured.items()]
        narrator.table(_INFERENCE_COLUMNS, rows)
        worst = min(seen.accuracy for seen in measured.values())
        expect(worst >= LEAST_ACCURACY, f"a device answers only {worst:.1%} of the samples rightly")
        step.seen = f"{worst:.1%} to {max(seen.accuracy for seen in measured.values()):.1%} right; {_gpu(devices)}"


def roll_out_bad(place: Place, narrator: Narrator, server: Server, bundle: Path, traffic: Traffic) -> None:
    """Step 6."""
    why = "Correctly signed, same shapes, broken weights. No person steps in: the devices and the gates decide."
    with narrator.step(6, why) as step:
        refused = _roll_out_shuffled(place, narrator, server, bundle)
        undone = _roll_out_constant(place, narrator, server, bundle)
        running = {device.id: device.running.version for device in server.client.devices() if device.running}
        expect(set(running.values()) == {1} and len(running) == len(PROFILES), f"not every device runs 1: {running}")
        expect(traffic.failed == 0, f"{traffic.failed} requests failed meanwhile: {_errors(traffic)}")
        narrator.tell(f"all devices answer with release 1; {traffic.answered:,} requests so far, none failed")
        step.seen = f"{refused} devices refused release 2, {undone} undid release 3; both rollouts halted"


def drift(narrator: Narrator, server: Server, traffic: Traffic, samples: Samples) -> None:
    """Step 7."""
    why = f"The light fails: every image keeps {DIMMED:.0%} of its brightness. No labels are needed to see it."
    with narrator.step(7, why) as step:
        early = _drift_alerts(server)
        expect(not early, f"a drift alert before anything drifted: {early[0].message if early else ''}")
        traffic.switch(samples.dimmed(DIMMED))
        with narrator.waiting("Waiting for the alert"):
            alerts = wait_for("a drift alert", _DRIFT_SECONDS, lambda: _drift_alerts(server) or None)
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


def _roll_out_shuffled(place: Place, narrator: Narrator, server: Server, bundle: Path) -> int:
    """Release 2 is caught by the self-test: its answers differ from the golden ones. How many devices refused it."""
    version = _publish(narrator, server, _spoilt(place, bundle, 2, "shuffled"))
    ended = roll_out(server.client, narrator, MODEL, version, "broken weights", OnBreach.PAUSE)
    refused = [each for each in ended.deployments if each.outcome is Outcome.FAILED]
    reasons = {each.reason for each in refused}
    expect(ended.view.state is RolloutState.PAUSED, f"the rollout is {ended.view.state}: {ended.view.reason}")
    expect(
        len(refused) == len(PROFILES) and reasons == {Reason.SELFTEST_OUTPUTS},
        f"{len(refused)} of {len(PROFILES)} devices refused the release, with {reasons}",
    )
    narrator.tell(f"[green]the server halted the rollout[/]: {ended.view.reason}")
    server.client.steer(ended.view.id, "abort")
    return len(refused)


def _roll_out_constant(place: Place, narrator: Narrator, server: Server, bundle: Path) -> int:
    """Release 3 comes with a self-test that lets everything pass: live traffic shows it. How many devices went back."""
    version = _publish(narrator, server, _spoilt(place, bundle, 3, "constant"))
    ended = roll_out(server.client, narrator, MODEL, version, "always the same answer", OnBreach.ROLL_BACK)
    undone = [each for each in ended.deployments if each.reason is Reason.PROBATION_OUTPUTS]
    expect(bool(undone), "no device saw that release 3 always answers the same")
    expect(
        ended.view.state in {RolloutState.ROLLED_BACK, RolloutState.ABORTED},
        f"the rollout is {ended.view.state}: {ended.view.reason}",
    )
    narrator.tell(f"[green]the server took the rollout back[/]: {ended.view.reason}")
    return len({each.device for each in undone})


def _publish(narrator: Narrator, server: Server, bundle: Path) -> int:
    content = read_bundle(bundle)
    release = publish(content, server.keys, server.client, no_passphrase, _Quiet()).release
    size = sum(len(payload) for payload in content.payloads.values())
    narrator.tell(f"published {release.model} {release.version}: {len(content.payloads)} artifacts, {size:,} bytes")
    return release.version


def _spoilt(place: Place, bundle: Path, version: int, fault: str) -> Path:
    out = place.folder / f"bundle-{version}"
    run_program(_WEIGHTS, [str(bundle), str(out), str(version), fault], _WEIGHTS_SECONDS)
    return out


def _windows(server: Server, names: Sequence[str]) -> dict[str, list[TelemetryWindow]] | None:
    found: dict[str, list[TelemetryWindow]] = {name: [] for name in names}
    for view in server.client.windows(model=MODEL, version=1):
        if view.window.n:
            found[view.device].append(view.window)
    return found if all(found.values()) else None


def _drift_alerts(server: Server) -> list[AlertView]:
    return [alert for alert in server.client.alerts() if alert.kind == INPUT_DRIFT]


def _variant_row(variant: Variant) -> tuple[str, ...]:
    accuracy = variant.accuracy
    values = ("", "") if accuracy is None else (f"{accuracy.source_value:.1%}", f"{accuracy.variant_value:.1%}")
    runs_on = f"{variant.needs.engine}/{variant.needs.accelerator}"
    size = f"{variant.model.length:,}"
    return (variant.profile_class, variant.profile, variant.scheme, runs_on, size, *values)


def _inference_row(device: DeviceView, seen: Measured, windows: list[TelemetryWindow]) -> tuple[str, ...]:
    running = device.running
    told = "" if running is None else f"{running.engine}/{running.accelerator}{' (fallback)' * running.fallback}"
    n = sum(window.n for window in windows)
    latency = tuple(map(sum, zip(*(window.latency for window in windows), strict=True)))
    p50 = latency_quantile(latency, 0.5) / 1000
    times = (f"{seen.p50:.1f}", f"{seen.p99:.1f}")
    return (device.id, told, f"{seen.accuracy:.1%}", *times, f"{n:,} in {len(windows)}", f"{p50:.2f}")


def _gpu(devices: Mapping[DeviceId, DeviceView]) -> str:
    running = [device.running for device in devices.values() if device.profile == GPU_PROFILE]
    on_gpu = any(each is not None and each.accelerator == Accelerator.GPU for each in running)
    return "the gpu device runs on a Vulkan adapter" if on_gpu else "no Vulkan adapter: the gpu device runs on the CPU"


def _errors(traffic: Traffic) -> str:
    return "; ".join(f"{name}: {tally.last_error}" for name, tally in traffic.tallies.items() if tally.failed)


class _Quiet:
    """Publishing without bars: the bundles are small."""

    def step(self, sentence: str) -> None:
        """Nothing is said."""

    def uploading(self, name: str, total: int) -> Callable[[int], None]:
        """Nothing is shown."""
        return lambda _sent: None
