"""`edge-sdk server`: a fleet server on this machine, with its database, blobs and broker in one folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from edge_sdk.cli import options, screen

app = typer.Typer(no_args_is_help=True, help="A fleet server on this machine.")

Data = Annotated[Path, typer.Option("--data", help="The server's folder: database, blobs, keys, broker.")]
DATA_FOLDER: Final = Path("fleet-data")
RESTARTS: Final = 5
"""Crashes in a row, each within a minute of the last, before the command gives up."""


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
    """Run the server until Ctrl-C; starts it again when it crashes."""
    from edge_sdk.errors import ChildFailed
    from edge_sdk.interrupts import until_stopped
    from edge_sdk.local_server import Ports, start_server

    ports = Ports(operator_port, device_port, broker_port)
    log = data / "log" / "server.log"
    crashes = 0
    with until_stopped() as stopped:
        while not stopped.is_set():
            child, addresses = start_server(data, ports, log)
            started = time.monotonic()
            _show_addresses(addresses, log, as_json)
            try:
                while child.running and not stopped.wait(0.5):
                    pass
            finally:
                child.stop()
            if stopped.is_set():
                break
            crashes = crashes + 1 if time.monotonic() - started < 60 else 1
            if crashes > RESTARTS:
                raise ChildFailed(f"the server crashed {crashes} times: {child.last_words()}", f"See {log}.")
            screen.say(f"The server ended ({child.last_words()}); starting it again.")
    screen.say("The server has stopped.")


def _show_addresses(addresses: dict[str, Any], log: Path, as_json: bool) -> None:
    if as_json:
        screen.show_json_line(addresses)
        return
    print(f"The fleet server is up; Ctrl-C stops it. Log: {log}")
    print(f"  dashboard and operators  {addresses['operator_url']}")
    print(f"  devices                  {addresses['device_url']}")
    print(f"  broker                   mqtts://{addresses['mqtt_host']}:{addresses['mqtt_port']}", flush=True)
    screen.say(f"Next, in another terminal: edge-sdk login --server {addresses['operator_url']}")
