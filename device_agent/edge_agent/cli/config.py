"""`edge-agent config`: a settings file to start from, or the check of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def config(
    state_dir: Annotated[str, typer.Option(help="Folder of the agent's state.")] = "/var/lib/edge-agent",
    profile: Annotated[str, typer.Option(help="Hardware profile of the device.")] = "rpi4-litert",
    check: Annotated[Path | None, typer.Option(help="Check this file instead of printing one.")] = None,
) -> None:
    """Print a commented settings file with every key."""
    from edge_agent.config import example, read_config

    if check is None:
        print(example(state_dir, profile), end="")
        return
    read_config(check)
    print(f"{check} is fine.")
