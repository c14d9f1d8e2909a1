"""`edge-agent run`: the daemon in the foreground."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.options import DEFAULT_CONFIG, ConfigFile


def run(
    config: ConfigFile = DEFAULT_CONFIG,
    ticket: Annotated[
        Path | None, typer.Option(help="Enrolment ticket, for a device that is not enrolled yet.")
    ] = None,
) -> None:
    """Serve, update and report until SIGTERM. Prints one JSON line when ready; the log goes to standard error."""
    from edge_agent.adapters.jsonlog import log_to_stderr
    from edge_agent.config import read_config
    from edge_agent.daemon import run as run_daemon

    settings = read_config(config)
    log_to_stderr(settings.log.level)
    run_daemon(settings, ticket, _announce)


def _announce(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)
