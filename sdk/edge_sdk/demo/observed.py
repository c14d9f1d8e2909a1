"""What the demo sees on the server and shows: variants, telemetry windows, alerts, which accelerator runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from edge_contracts.ids import DeviceId
from edge_contracts.manifest import Accelerator, Variant
from edge_contracts.operations import AlertView, DeviceView
from edge_contracts.window import TelemetryWindow, latency_quantile
from edge_profiles.boards import load
from edge_sdk.demo.conversion import MODEL
from edge_sdk.demo.fleet import GPU_PROFILE, Server
from edge_sdk.demo.traffic import Measured

INPUT_DRIFT: Final = "input-drift"
"""The kind of the alert."""
VARIANT_COLUMNS: Final = ("class", "profile", "scheme", "runs on", "bytes", "float", "variant")
INFERENCE_COLUMNS: Final = (
    "device",
    "runs on",
    "right",
    "p50 ms",
    "p99 ms",
    "windows on the server",
    "p50 ms on the device",
)
DEVICE_COLUMNS: Final = ("device", "profile", "status", "engine of its class", "found")


def windows_of(server: Server, names: Sequence[str]) -> dict[str, list[TelemetryWindow]] | None:
    """The windows of release 1 that hold requests, by device; None until each of `names` has one."""
    found: dict[str, list[TelemetryWindow]] = {name: [] for name in names}
    for view in server.client.windows(model=MODEL, version=1):
        if view.window.n:
            found[view.device].append(view.window)
    return found if all(found.values()) else None


def drift_alerts(server: Server) -> list[AlertView]:
    """Alerts on drifted inputs."""
    return [alert for alert in server.client.alerts() if alert.kind == INPUT_DRIFT]


def device_row(device: DeviceView) -> tuple[str, ...]:
    """One of DEVICE_COLUMNS."""
    board = load(device.profile)
    wanted = f"{board.engine}/{board.accelerator}"
    missing = f"no: {board.fallback} as the profile allows" if board.fallback else "no"
    return (device.id, device.profile, device.status, wanted, "yes" if wanted in device.engines else missing)


def variant_row(variant: Variant) -> tuple[str, ...]:
    """One of VARIANT_COLUMNS."""
    accuracy = variant.accuracy
    values = ("", "") if accuracy is None else (f"{accuracy.source_value:.1%}", f"{accuracy.variant_value:.1%}")
    runs_on = f"{variant.needs.engine}/{variant.needs.accelerator}"
    size = f"{variant.model.length:,}"
    return (variant.profile_class, variant.profile, variant.scheme, runs_on, size, *values)


def inference_row(device: DeviceView, seen: Measured, windows: list[TelemetryWindow]) -> tuple[str, ...]:
    """One of INFERENCE_COLUMNS."""
    running = device.running
    told = "" if running is None else f"{running.engine}/{running.accelerator}{' (fallback)' * running.fallback}"
    n = sum(window.n for window in windows)
    latency = tuple(map(sum, zip(*(window.latency for window in windows), strict=True)))
    p50 = latency_quantile(latency, 0.5) / 1000
    times = (f"{seen.p50:.1f}", f"{seen.p99:.1f}")
    return (device.id, told, f"{seen.accuracy:.1%}", *times, f"{n:,} in {len(windows)}", f"{p50:.2f}")


def gpu_sentence(devices: Mapping[DeviceId, DeviceView]) -> str:
    """What runs the gpu device's model."""
    running = [device.running for device in devices.values() if device.profile == GPU_PROFILE]
    on_gpu = any(each is not None and each.accelerator == Accelerator.GPU for each in running)
    return "the gpu device runs on a Vulkan adapter" if on_gpu else "no Vulkan adapter: the gpu device runs on the CPU"
