"""The commands as a person runs them: each its own process; and what a refusal has to look like."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.line import DEVICE_PYTHON, Line

Done = subprocess.CompletedProcess[str]


def edge_sdk(*arguments: str | Path, line: Line | None = None, folder: Path | None = None, **environment: str) -> Done:
    """`edge-sdk` with these arguments in `folder`, logged in to the server of `line`."""
    connection = line.client.connection if line else None
    told = {"EDGE_SDK_SERVER": connection.server, "EDGE_SDK_TOKEN": connection.token} if connection else {}
    command = [sys.executable, "-c", "from edge_sdk.cli import main; main()", *map(str, arguments)]
    return _run(command, folder, {"EDGE_SDK_CONFIG": "/nonexistent", **told, **environment})


def edge_agent(*arguments: str | Path, folder: Path | None = None) -> Done:
    """`edge-agent` with these arguments, in the device environment."""
    return _run([str(DEVICE_PYTHON), "-m", "edge_agent", *map(str, arguments)], folder, {})


def _run(command: list[str], folder: Path | None, environment: Mapping[str, str]) -> Done:
    whole = {**os.environ, **environment}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=whole, stdin=subprocess.DEVNULL, timeout=100
    )


def assert_refused(done: Done, code: int, sentence: str) -> None:
    """Ended with `code`, and said once on standard error: `sentence` (a pattern), and what to do."""
    lines = done.stderr.strip().splitlines()
    said = [number for number, line in enumerate(lines) if re.match(r"edge-(sdk|agent): ", line)]
    assert "Traceback" not in done.stderr, done.stderr
    assert len(said) == 1, done.stderr
    last = lines[said[0] :]
    assert re.search(sentence, last[0]), done.stderr
    assert ". " in last[0] or (len(last) == 2 and last[1].startswith("  ")), f"no word of what to do: {done.stderr}"
    assert done.returncode == code, done.stderr
    assert done.stdout == ""


def contents(folder: Path) -> dict[str, str]:
    """Every file and folder in `folder`, with the digest of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }
