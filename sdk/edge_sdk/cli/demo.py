"""`edge-sdk demo`: the main job once, with every part real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    from edge_sdk.demo.line import Running


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    agent_python: Annotated[
        Path | None, typer.Option(help="Python of an environment with the agent and its engines.")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--dir", help="New folder to keep; else a temporary one.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where the trained model is kept between runs.")] = None,
    as_json: options.Json = False,
) -> None:
    """Train, convert, publish, roll out, refuse a bad release, see drift: eight steps in a few minutes.

    Ends with exit code 0 only if every step happened.

    Example: edge-sdk demo --keep
    """
    from edge_sdk.demo.line import TITLES
    from edge_sdk.demo.narration import Narrator
    from edge_sdk.demo.show import show
    from edge_sdk.demo.training import default_cache

    narrator = Narrator(screen.console(errors=as_json), TITLES)
    python = options.interpreter(agent_python)
    try:
        show(narrator, folder, cache or default_cache(), python, _wait if keep else None)
    finally:
        if as_json:
            screen.show_json({"complete": narrator.complete, "steps": narrator.steps})


def _wait(running: Running) -> None:
    from edge_sdk.interrupts import until_stopped

    print(f"\nEverything keeps running. Dashboard: {running.server.dashboard}   token: {running.server.token}")
    print("Ctrl-C stops it.", flush=True)
    with until_stopped() as stopped:
        stopped.wait()
