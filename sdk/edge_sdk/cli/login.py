"""`edge-sdk login`: keep the server's address and token in the user's file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli import options, screen


def login(
    server: Annotated[str, typer.Option(help="Address of the operator door, as http://127.0.0.1:8080.")],
    token: options.Token = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file that vouches for the server (HTTPS).")] = None,
    as_json: options.Json = False,
) -> None:
    """Check a server and token, and keep them for the next commands (readable by you alone).

    Example: edge-sdk login --server http://127.0.0.1:8080
    """
    from edge_sdk.client import FleetClient
    from edge_sdk.settings import TOKEN_VARIABLE, connection, save

    secret = token or os.environ.get(TOKEN_VARIABLE) or options.ask_secret("Operator token", TOKEN_VARIABLE)
    wanted = connection(server, secret, ca)
    with FleetClient(wanted) as client:
        client.devices()
        health = client.health()
    path = save(wanted)
    if as_json:
        screen.show_json({"file": str(path), "server": wanted.server, "health": health})
        return
    print(f"{wanted.server} answers; address and token are kept in {path}.")
    screen.say("Next: edge-sdk devices list; for a new server, edge-sdk keys init and edge-sdk keys trust")
