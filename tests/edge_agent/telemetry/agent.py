"""A real `edge-agent` process for tests, with its settings file, its output and its exit code."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from edge_agent.adapters.control import ask
from tests.support import releases

COMMAND = (sys.executable, "-m", "edge_agent")
SETTINGS = """\
state_dir = "{state_dir}"
profile = "gateway"
name = "gate-7"
[inference]
port = {port}
[telemetry]
window_s = {window_s}
heartbeat_s = 0.5
[link]
reconnect_cap_s = 0.5
ack_timeout_s = 2.0
will_delay_s = 0
"""


def write_settings(
    folder: Path, port: int = 0, window_s: float = 900.0, state_dir: str = "state", more: str = ""
) -> Path:
    """A settings file of a device with profile `gateway`."""
    path = folder / "edge-agent.toml"
    path.write_text(SETTINGS.format(port=port, window_s=window_s, state_dir=state_dir) + more, encoding="utf-8")
    return path


def command(*arguments: str | Path, limit: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    """What `edge-agent` with these arguments prints, once it has ended."""
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, preexec_fn=limit)


def no_space() -> None:
    """No file of the process can grow, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


class RunningAgent:
    """An `edge-agent run` that is ready. `stop` ends it as systemd does, `kill` as a power cut does."""

    def __init__(self, config: Path, ticket: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.log = config.with_suffix(".log")
        words = [*COMMAND, "run", "--config", str(config), *(["--ticket", str(ticket)] if ticket else [])]
        with self.log.open("ab") as errors:
            self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the agent ended: {self.log.read_text()}"
        self.ready = json.loads(line)["ready"]

    def status(self) -> dict[str, Any]:
        """What `edge-agent status` shows."""
        facts: dict[str, Any] = ask(self.config.with_name("state"), "status")
        return facts

    def infer(self, samples: int) -> int:
        """How many of the first sample images the model names rightly, over HTTP."""
        images, labels = releases.samples()
        right = 0
        with httpx.Client(base_url=self.ready["inference"], trust_env=False) as client:
            for image, label in zip(images[:samples], labels[:samples], strict=True):
                tensor = {
                    "name": "image",
                    "datatype": "FP32",
                    "shape": [1, *image.shape],
                    "data": image.ravel().tolist(),
                }
                answer = client.post("/v2/models/digits/infer", json={"inputs": [tensor]}).raise_for_status().json()
                scores = answer["outputs"][0]["data"]
                right += scores.index(max(scores)) == label
        return right

    def answers(self) -> bool:
        """Whether a model is ready."""
        return httpx.get(f"{self.ready['inference']}/v2/health/ready", trust_env=False).status_code == 200

    def stop(self) -> int:
        """Its exit code after SIGTERM."""
        self._process.terminate()
        return self._end()

    def kill(self) -> None:
        """End it without a warning."""
        self._process.kill()
        self._end()

    def _end(self) -> int:
        code = self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code
