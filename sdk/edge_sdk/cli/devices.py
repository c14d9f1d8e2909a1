"""`edge-sdk devices`: who is in the fleet, and tickets for new devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen
from edge_sdk.cli.words import ago, checked, labels_from

if TYPE_CHECKING:
    from edge_contracts.operations import DeviceView

app = typer.Typer(no_args_is_help=True, help="Devices of the fleet.")


@app.command("list", epilog="Example: edge-sdk devices list")
def list_devices(server: options.Server = None, token: options.Token = None, as_json: options.Json = False) -> None:
    """Every device: state, what it runs, when it was last seen."""
    with options.open_client(server, token) as client:
        found = client.devices()
    if as_json:
        screen.show_json(found)
        return
    columns = ("device", "profile", "status", "runs", "on", "state", "last seen")
    empty = "No device yet. Make a ticket: edge-sdk devices token --out ticket.json"
    screen.show_table("Devices", columns, (_row(device) for device in found), empty)


@app.command(epilog="Example: edge-sdk devices show gate-7f3a")
def show(
    device: str, server: options.Server = None, token: options.Token = None, as_json: options.Json = False
) -> None:
    """Everything the server knows of one device."""
    with options.open_client(server, token) as client:
        found = client.device(device)
    if as_json:
        screen.show_json(found)
        return
    fields = found.model_dump(mode="json")
    screen.show_table(device, ("", ""), ((name, _text(value)) for name, value in fields.items()), "")


@app.command("token", epilog="Example: edge-sdk devices token --keys ~/edge-keys --uses 100 --out ticket.json")
def make_ticket(
    out: Annotated[Path, typer.Option(help="File for the ticket (it holds a secret).")] = Path("ticket.json"),
    keys: options.Keys = options.KEYS_FOLDER,
    uses: Annotated[int, typer.Option(min=1, help="How many devices may enrol with it.")] = 1,
    hours: Annotated[float, typer.Option(min=0.02, max=720, help="How long it is valid.")] = 24.0,
    profile: Annotated[str | None, typer.Option(help="Only devices of this hardware profile.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the devices; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Allow devices that are enrolled to enrol anew.")] = False,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Make the file a device enrols with: where to go, whom to trust, a one-time token."""
    from edge_contracts.operations import NewEnrolmentToken
    from edge_sdk.keys import open_keys
    from edge_sdk.tickets import make_ticket as make

    fields = {
        "uses": uses,
        "valid_seconds": int(hours * 3600),
        "profile": profile,
        "labels": labels_from(label or []),
        "allow_reenrolment": again,
    }
    wish = checked(NewEnrolmentToken, fields, "devices token")
    folder = open_keys(keys)
    with options.open_client(server, token) as client:
        ticket = make(client, folder, wish, out)
    if as_json:
        screen.show_json({"ticket": str(out), "expires": ticket.expires.isoformat(), "uses": uses})
        return
    print(f"{out}: for {uses} device{'s' if uses > 1 else ''}, until {ticket.expires:%Y-%m-%d %H:%M} UTC.")
    screen.say(f"Next, on the device: edge-agent run --config edge-agent.toml --ticket {out.name}")


@app.command(epilog="Example: edge-sdk devices revoke gate-7f3a")
def revoke(
    device: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Shut a device out for good: the broker refuses it, no key is wrapped to it again."""
    if not yes:
        options.confirm(f"Shut out {device} for good?")
    with options.open_client(server, token) as client:
        found = client.revoke(device)
    if as_json:
        screen.show_json(found)
        return
    print(f"{device} is {found.status}.")


def _row(device: DeviceView) -> tuple[str, ...]:
    running = device.running
    on = "" if running is None else f"{running.engine}/{running.accelerator}{' (fallback)' if running.fallback else ''}"
    runs = "nothing" if running is None else f"{running.model} {running.version}"
    return (device.id, device.profile, device.status, runs, on, device.state or "", ago(device.last_seen))


def _text(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)
