"""The `edge-agent` command: lists its commands and ends the program. Each command imports its work when it runs."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from edge_agent.cli import failures
from edge_agent.cli.config import config
from edge_agent.cli.enrol import enrol
from edge_agent.cli.journal import journal
from edge_agent.cli.run import run
from edge_agent.cli.status import flush, status
from edge_agent.ports import AgentError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The device agent: serves models, swaps them safely, reports what it sees.",
)
_COMMANDS = (
    (config, "edge-agent config --profile rpi4-litert > edge-agent.toml"),
    (enrol, "edge-agent enrol --config edge-agent.toml --ticket ticket.json"),
    (run, "edge-agent run --config edge-agent.toml --ticket ticket.json"),
    (status, "edge-agent status --config edge-agent.toml --json"),
    (journal, "edge-agent journal --config edge-agent.toml -n 20"),
    (flush, "edge-agent flush --config edge-agent.toml"),
)
for _command, _example in _COMMANDS:
    app.command(epilog=f"Example: {_example}")(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(version("edge-sdk") + "\n")
        raise typer.Exit


@app.callback()
def _root(
    shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; ends with one of `cli.failures.EXIT_CODES`."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(failures.INTERRUPTED)
    except AgentError as error:
        sentence = f"edge-agent: {error}{'. ' if error.hint else ''}{error.hint}"
        sys.stderr.write(" ".join(sentence.split()) + "\n")
        sys.exit(failures.exit_code(error))


if __name__ == "__main__":
    main()
