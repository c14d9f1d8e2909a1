"""Options that many commands share, and the connection made from them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_sdk.client import FleetClient
    from edge_sdk.keys import Unlock

Server = Annotated[
    str | None, typer.Option("--server", help="Address of the operator door. Else: EDGE_SDK_SERVER, `edge-sdk login`.")
]
Token = Annotated[str | None, typer.Option("--token", help="Operator token. Else: EDGE_SDK_TOKEN, `edge-sdk login`.")]
Keys = Annotated[Path, typer.Option("--keys", help="Folder of the signing keys; keep it off the server.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

KEYS_FOLDER = Path("edge-keys")


def open_client(server: str | None, token: str | None) -> FleetClient:
    """The client for these options, the environment and the user's file."""
    from edge_sdk.client import FleetClient
    from edge_sdk.settings import connection

    return FleetClient(connection(server, token))


def interpreter(named: Path | None) -> Path:
    """The Python that runs agents: the one named, else the one that runs this command.

    Raises:
        BadInput: it is not there.
    """
    from edge_sdk.errors import BadInput

    python = (named or Path(sys.executable)).absolute()
    if not python.is_file():
        raise BadInput(f"there is no file {python}", "Name a Python with the agent in it: --agent-python FILE.")
    return python


def passphrase(prompt: str, *, confirm: bool = False) -> str:
    """The passphrase from EDGE_SDK_PASSPHRASE, or asked for without showing it."""
    from edge_sdk.settings import PASSPHRASE_VARIABLE

    given = os.environ.get(PASSPHRASE_VARIABLE)
    return ask_secret(prompt, PASSPHRASE_VARIABLE, confirm=confirm) if given is None else given


def ask_secret(prompt: str, instead: str, *, confirm: bool = False) -> str:
    """A secret typed at the terminal without showing it, or the first line of a pipe.

    Raises:
        BadInput: nobody is there to ask; `instead` says where else it may be given.
    """
    from edge_sdk.errors import BadInput

    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))
    given = sys.stdin.readline().strip()
    if not given:
        raise BadInput(f"{prompt}: nobody is there to ask", f"Give it on standard input, or by {instead}.")
    return given


def confirm(question: str) -> None:
    """Goes on only after a yes.

    Raises:
        BadInput: nobody is there to ask.
    """
    from edge_sdk.errors import BadInput

    if not sys.stdin.isatty():
        raise BadInput(f"{question} Nobody is there to ask", "Add --yes.")
    typer.confirm(question, abort=True, err=True)


def unlock() -> Unlock:
    """Asks for the passphrase once, however many keys it opens."""
    from functools import cache

    return cache(lambda: passphrase("Passphrase of the keys"))
