"""`edge-sdk server`: a fleet server on this machine, with its database, blobs and broker in one folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    import threading

    from edge_sdk.children import Child
    from edge_sdk.local_server import Ports

app = typer.Typer(no_args_is_help=True, help="A fleet server on this machine.")

Data = Annotated[Path, typer.Option("--data", help="The server's folder: database, blobs, keys, broker.")]
DATA_FOLDER: Final = Path("fleet-data")
RESTARTS: Final = 5
"""Crashes in a row, each within a minute of the last, before the command gives up."""
RESTART_SECONDS: Final = 1.0


@app.command(epilog="Example: edge-sdk server init --data ./fleet-data")
def init(
    data: Data = DATA_FOLDER,
    name: Annotated[list[str] | None, typer.Option(help="What devices call this server; may be repeated.")] = None,
    as_json: options.Json = False,
) -> None:
    """Make the server's folder and its first admin token, which is shown this once."""
    from edge_sdk.local_server import make_server

    made = make_server(data, name or [])
    if as_json:
        screen.show_json(made)
        return
    print(f"{data} is ready. The admin token, shown this once:")
    print(made["admin_token"])
    screen.say(f"Next: edge-sdk server up --data {data}")


@app.command(epilog="Example: edge-sdk server up --data ./fleet-data")
def up(
    data: Data = DATA_FOLDER,
    operator_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    device_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    broker_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    as_json: options.Json = False,
) -> None:
    """Run the server until Ctrl-C; starts it again when it crashes, where it was: devices must find it."""
    from edge_sdk.interrupts import until_stopped
    from edge_sdk.local_server import Ports, ports_of, start_server

    log = data / "log" / "server.log"
    with until_stopped() as stopped:
        child, addresses = start_server(data, Ports(operator_port, device_port, broker_port), log)
        crashes = 0
        while True:
            started = time.monotonic()
            _show_addresses(addresses, log, as_json)
            _await_end(child, stopped)
            if stopped.is_set():
                break
            crashes = crashes + 1 if time.monotonic() - started < 60 else 1
            screen.say(f"The server ended ({child.last_words()}); starting it again.")
            child, addresses = _start_again(data, ports_of(addresses), log, crashes)
    screen.say("The server has stopped.")


def _await_end(child: Child, stopped: threading.Event) -> None:
    try:
        while child.running and not stopped.wait(0.5):
            pass
    finally:
        child.stop()


def _start_again(data: Path, ports: Ports, log: Path, crashes: int) -> tuple[Child, dict[str, Any]]:
    """Its broker may hold its port for a moment longer than the server lived: then once more."""
    from edge_sdk.errors import ChildFailed
    from edge_sdk.local_server import start_server

    while crashes <= RESTARTS:
        try:
            return start_server(data, ports, log)
        except ChildFailed as error:
            crashes += 1
            screen.say(f"It does not start ({error}); trying again.")
            time.sleep(RESTART_SECONDS)
    raise ChildFailed(f"the server crashed {crashes} times or did not start again", f"See {log}.")


def _show_addresses(addresses: dict[str, Any], log: Path, as_json: bool) -> None:
    if as_json:
        screen.show_json_line(addresses)
        return
    print(f"The fleet server is up; Ctrl-C stops it. Log: {log}")
    print(f"  dashboard and operators  {addresses['operator_url']}")
    print(f"  devices                  {addresses['device_url']}")
    print(f"  broker                   mqtts://{addresses['mqtt_host']}:{addresses['mqtt_port']}", flush=True)
    screen.say(f"Next, in another terminal: edge-sdk login --server {addresses['operator_url']}")
