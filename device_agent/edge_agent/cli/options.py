"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

DEFAULT_CONFIG = Path("/etc/edge-agent.toml")

ConfigFile: TypeAlias = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="EDGE_AGENT_CONFIG", help="Settings file; `edge-agent config` prints one."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
