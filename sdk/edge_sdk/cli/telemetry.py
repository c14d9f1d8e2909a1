"""`edge-sdk telemetry`: what devices reported."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen
from edge_sdk.cli.words import moment_from

if TYPE_CHECKING:
    from edge_contracts.operations import WindowView


def telemetry(
    device: Annotated[str | None, typer.Option(help="Only this device.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    version: Annotated[int | None, typer.Option(help="Only this version.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only windows that start then or later, as 2026-01-31T12:00Z.")
    ] = None,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Telemetry windows: counts, latency, answers.

    Example: edge-sdk telemetry --device gate-7f3a --model digits
    """
    start = moment_from(since)
    with options.open_client(server, token) as client:
        found = client.windows(device=device, model=model, version=version, since=start)
    if as_json:
        screen.show_json(found)
        return
    columns = ("device", "release", "from (UTC)", "to", "n", "errors", "p50 ms", "p99 ms", "top classes")
    rows = (_row(each) for each in sorted(found, key=lambda each: (each.device, each.window.start)))
    screen.show_table("Windows", columns, rows, "No window yet; devices report one every few minutes.")


def _row(view: WindowView) -> tuple[str, ...]:
    from edge_contracts.window import latency_quantile

    window = view.window
    times = [f"{datetime.fromtimestamp(second, UTC):%m-%d %H:%M:%S}" for second in (window.start, window.end)]
    latency = [f"{latency_quantile(window.latency, q) / 1000:.2f}" if window.n else "" for q in (0.5, 0.99)]
    ranked = sorted(range(len(window.classes)), key=lambda index: -window.classes[index])[:3]
    top = ", ".join(f"{index}: {window.classes[index]}" for index in ranked if window.classes[index])
    return (view.device, f"{window.model} {window.version}", *times, str(window.n), str(window.errors), *latency, top)
