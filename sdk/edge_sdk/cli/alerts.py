"""`edge-sdk alerts`: what a person should look at."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_sdk.cli import options, screen
from edge_sdk.cli.words import ago

app = typer.Typer(no_args_is_help=True, help="Alerts: drift and other things to look at.")


@app.command("list", epilog="Example: edge-sdk alerts list")
def list_alerts(
    every: Annotated[bool, typer.Option("--all", help="Acknowledged ones too.")] = False,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Open alerts: what, where, since when, how large."""
    with options.open_client(server, token) as client:
        found = [alert for alert in client.alerts() if every or not alert.acknowledged]
    if as_json:
        screen.show_json(found)
        return
    rows = (
        (
            each.id,
            each.kind,
            each.severity,
            f"{each.model or ''} {each.version or ''}".strip(),
            each.group or "",
            "" if each.effect is None else f"{each.effect_name} {each.effect:.2f}",
            ago(each.since),
            f"{each.message} {each.hint}".strip(),
        )
        for each in found
    )
    columns = ("alert", "kind", "severity", "release", "feature group", "effect", "since", "")
    screen.show_table("Alerts", columns, rows, "No open alert.")


@app.command(epilog="Example: edge-sdk alerts ack a-1")
def ack(alert: str, server: options.Server = None, token: options.Token = None, as_json: options.Json = False) -> None:
    """Mark an alert as seen; an open drift alert halts rollouts of its release."""
    with options.open_client(server, token) as client:
        found = client.acknowledge(alert)
    if as_json:
        screen.show_json(found)
        return
    print(f"{alert} is acknowledged.")
