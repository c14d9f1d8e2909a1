"""`edge-agent journal`: the latest steps of this device's deployments."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from edge_agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile


def journal(
    config: ConfigFile = DEFAULT_CONFIG,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the latest steps.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what happened to each deployment on this device, oldest step first, whether the agent runs or not."""
    from edge_agent.adapters.journal import JOURNAL_FILE, SqliteJournal
    from edge_agent.config import read_config

    path = read_config(config).state_dir / JOURNAL_FILE
    if not path.exists():
        print("[]" if as_json else "No deployment has reached this device yet.")
        return
    opened = SqliteJournal(path)
    try:
        rows = opened.history(limit)
    finally:
        opened.close()
    if as_json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    for row in rows:
        at = datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        what = f"{row.model} {row.version}" if row.model else "-"
        why = f"  {row.reason}: {row.detail}" if row.reason else ""
        print(f"{at}  {row.deployment or '-':<14} {what:<20} {row.before} -> {row.after}{why}")
