"""A fleet server of our own as a child process: made once, started, watched. Talks to it only by its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from edge_sdk.children import Child, start_child
from edge_sdk.errors import BadInput, ChildFailed, SdkError

READY_SECONDS: Final = 60.0
_INIT_SECONDS: Final = 60.0
SETTINGS_FILE: Final = "server.toml"
"""What every server's folder holds once it is set up."""


@dataclass(frozen=True)
class Ports:
    """Ports to listen on; 0 takes a free one, None what the server's settings say."""

    operator: int | None = None
    device: int | None = None
    broker: int | None = None

    def arguments(self) -> list[str]:
        """As the server's command line wants them."""
        named = {"--operator-port": self.operator, "--device-port": self.device, "--broker-port": self.broker}
        return [text for flag, port in named.items() if port is not None for text in (flag, str(port))]


FREE_PORTS: Final = Ports(0, 0, 0)


def ports_of(addresses: Mapping[str, Any]) -> Ports:
    """Where a server listens that has told its `addresses`: for starting it again where devices know it."""
    operator, device = (urlsplit(str(addresses[door])).port for door in ("operator_url", "device_url"))
    return Ports(operator, device, addresses["mqtt_port"])


def make_server(data: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """Make the data folder of a server; what it prints, the first admin token among it, shown this once.

    Raises:
        BadInput, ChildFailed: with the server's own sentence.
    """
    command = [sys.executable, "-m", "edge_fleet", "init", "--data", str(data.resolve())]
    command += [text for name in names for text in ("--name", name)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ChildFailed(f"making the server took more than {_INIT_SECONDS:.0f} s", "Is the disk full?") from error
    if done.returncode:
        raise _sentence(done.stderr)
    made: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return made


def start_server(data: Path, ports: Ports, log: Path) -> tuple[Child, dict[str, Any]]:
    """Run the server; the child, and where it listens.

    Raises:
        BadInput: `data` is no server's folder; nothing is written there.
        ChildFailed: it did not come up; the message is the server's own sentence.
    """
    if not (data / SETTINGS_FILE).exists():
        message = f"{data} is not a fleet server's data folder"
        raise BadInput(message, f"Make one with `edge-sdk server init --data {data}`.")
    command = [sys.executable, "-m", "edge_fleet", "up", "--data", str(data.resolve()), *ports.arguments()]
    child = start_child("the fleet server", command, log)
    try:
        return child, child.ready(READY_SECONDS)
    except BaseException:
        child.stop()
        raise


def _sentence(stderr: str) -> SdkError:
    if "No module named edge_fleet" in stderr:
        return BadInput("the fleet server is not installed here", "Run `pip install 'edge-sdk[server]'`.")
    lines = stderr.strip().splitlines()
    return BadInput(lines[-1].removeprefix("edge-fleet: ") if lines else "the server ended without a word")
