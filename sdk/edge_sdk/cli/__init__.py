"""The `edge-sdk` command: one module per command or group; this one lists them and ends the program.

Only what parsing needs is imported here; each command imports its work when it runs, so that `--help` is quick.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated

import typer

from edge_sdk.cli import alerts, devices, keys, profiles, recipes, releases, rollouts, server, tokens
from edge_sdk.cli.convert import convert
from edge_sdk.cli.demo import demo
from edge_sdk.cli.emulate import emulate
from edge_sdk.cli.lint import lint
from edge_sdk.cli.login import login
from edge_sdk.cli.publish import publish
from edge_sdk.cli.telemetry import telemetry

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Convert a model for every kind of device, sign it, roll it out, watch it.",
)

app.add_typer(profiles.profiles_app, name="profiles")
app.add_typer(recipes.recipes_app, name="recipes")
app.command()(lint)
app.command()(convert)
app.add_typer(keys.app, name="keys")
app.command()(publish)
app.add_typer(server.app, name="server")
app.command()(login)
app.add_typer(tokens.app, name="tokens")
app.add_typer(devices.app, name="devices")
app.add_typer(releases.app, name="releases")
app.add_typer(rollouts.app, name="rollouts")
app.command()(telemetry)
app.add_typer(alerts.app, name="alerts")
app.command()(emulate)
app.command()(demo)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("edge-sdk"))
        raise typer.Exit


@app.callback()
def _root(
    shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A polite request to end leaves every block in good order, as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; ends with one of `failures.EXIT_CODES`."""
    from edge_sdk.cli import failures

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _run_and_flush()
    except KeyboardInterrupt:
        sys.exit(failures.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last frame of the program: every error gets its code
        failure = failures.explain(error)
        if failure is None:
            traceback.print_exc()
            failure = failures.defect(error)
        print(f"edge-sdk: {failure.message}", file=sys.stderr)
        if failure.hint:
            print(f"  {failure.hint}", file=sys.stderr)
        sys.exit(failure.code)


def _run_and_flush() -> None:
    """Run the command; a result that cannot be written is an error like others, not a word after the end."""
    try:
        app()
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush at exit
            raise
