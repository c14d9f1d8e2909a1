"""`edge-sdk emulate`: real agents on this machine that claim a hardware profile, for trying a fleet without boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from edge_sdk.emulation.fleet import EmulatedFleet, Status

FOLDER: Final = Path("emulated")
REFRESH_SECONDS: Final = 2.0


def emulate(
    profile: Annotated[str, typer.Option(help="Hardware profile: a shipped name or a TOML file.")],
    count: Annotated[int, typer.Option(min=1, max=200, help="How many devices.")] = 1,
    ticket: Annotated[Path | None, typer.Option(help="Enrolment ticket; without it one is made by --keys.")] = None,
    folder: Annotated[Path, typer.Option("--dir", help="Where the devices' folders are; kept.")] = FOLDER,
    prefix: Annotated[str | None, typer.Option(help="Names are PREFIX-1, PREFIX-2, ...")] = None,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the devices; may be repeated.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Trouble on purpose: crash-after=50, slow=20, network=bad, power-cut=30. May be repeated."),
    ] = None,
    agent_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with the agent and the profile's engine.")
    ] = None,
    keys: options.Keys = options.KEYS_FOLDER,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Run real agents, each its own process, identity and folder, on the engine that the profile's class claims.

    Ctrl-C stops them. Run it again with the same --dir and they come back as the same devices.

    Example: edge-sdk emulate --profile hexagon-qnn --count 3 --keys ~/edge-keys
    """
    from edge_profiles.boards import load
    from edge_sdk.cli.words import labels_from
    from edge_sdk.emulation.agent import Plan
    from edge_sdk.emulation.faults import trouble_from
    from edge_sdk.emulation.fleet import EmulatedFleet
    from edge_sdk.errors import BadInput
    from edge_sdk.interrupts import until_stopped

    board, trouble, labels = load(profile), trouble_from(fault or []), labels_from(label or [])
    names = [f"{prefix or f'emu-{board.name[:40]}'}-{number}" for number in range(1, count + 1)]
    python = options.interpreter(agent_python)
    if ticket is not None and not ticket.is_file():
        raise BadInput(f"there is no file {ticket}", "Correct --ticket, or leave it out and one is made by --keys.")
    with until_stopped() as stopped:
        paper = ticket or _ticket(folder, names, keys, server, token)
        plans = [
            Plan(name, board, (folder / name).absolute(), python, paper.absolute(), labels, trouble=trouble)
            for name in names
        ]
        with EmulatedFleet(plans) as fleet:
            fleet.start(lambda agent: screen.say(f"{agent.name} is ready at {agent.address} (log: {agent.log})"))
            for _ in _shown(fleet, as_json):
                if stopped.wait(REFRESH_SECONDS):
                    break
                for agent in fleet.revive():
                    screen.say(f"{agent.name} had died and runs again (start {agent.starts})")
    screen.say(f"{count} device{'s' if count > 1 else ''} stopped; they are kept in {folder}.")


def _ticket(folder: Path, names: list[str], keys: Path, server: str | None, token: str | None) -> Path:
    """A ticket for these devices: the former one if all of them have enrolled with it, else a new one."""
    from edge_contracts.operations import NewEnrolmentToken
    from edge_sdk.files import make_private_folder
    from edge_sdk.keys import open_keys
    from edge_sdk.tickets import make_ticket

    out = make_private_folder(folder) / "ticket.json"
    if out.exists() and all((folder / name / "state").is_dir() for name in names):
        return out
    with options.open_client(server, token) as client:
        make_ticket(client, open_keys(keys), NewEnrolmentToken(uses=len(names), valid_seconds=3600), out)
    return out


def _shown(fleet: EmulatedFleet, as_json: bool) -> Iterator[None]:
    """Show the devices, again after each step of the iteration."""
    from rich.live import Live

    if as_json:
        shown: list[Status] = []
        while True:
            now = fleet.status()
            if now != shown:
                screen.show_json_line({"devices": now})
            shown = now
            yield
    with Live(_table(fleet.status()), console=screen.console(), auto_refresh=False) as live:
        while True:
            live.update(_table(fleet.status()), refresh=True)
            yield


def _table(devices: list[Status]) -> Table:
    from rich.text import Text

    rows = [
        (
            each.name,
            each.profile,
            f"pid {each.pid}" if each.running else Text("down", "red"),
            "answers" if each.serving else "none yet",
            str(each.starts),
            each.address,
        )
        for each in devices
    ]
    return screen.table(("device", "profile", "process", "model", "starts", "inference API"), rows)
