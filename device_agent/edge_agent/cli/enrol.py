"""`edge-agent enrol`: a ticket becomes an identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile


def enrol(
    ticket: Annotated[Path, typer.Option(help="The ticket that the server's operator made.")],
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Get the device's identity from the server. An enrolled device keeps the one it has."""
    from edge_agent.adapters.durable import private_folder
    from edge_agent.adapters.enrolment import EnrolmentFailed
    from edge_agent.adapters.enrolment import enrol as ask_for_identity
    from edge_agent.config import read_config

    settings = read_config(config)
    try:
        private_folder(settings.state_dir)
    except OSError as error:
        raise EnrolmentFailed(
            f"the state folder {settings.state_dir} cannot be made: {error.strerror}", "Correct `state_dir`."
        ) from error
    identity = ask_for_identity(
        ticket, settings.state_dir, profile=settings.profile, name=settings.name, labels=settings.labels
    )
    if as_json:
        print(json.dumps({"device": identity.device, "tenant": identity.tenant, "server": identity.server}))
        return
    print(f"This device is {identity.device} of {identity.tenant}. Next: edge-agent run --config {config}")
