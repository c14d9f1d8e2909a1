"""An engine reports to nobody but its agent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_onnx_runtime_is_told_not_to_send_usage_data(tmp_path: Path) -> None:
    """Its reporting begins with a session file in the folder for temporary files."""
    loud = {name: value for name, value in os.environ.items() if name not in {"ORT_DISABLE_TELEMETRY", "CI"}}
    probe = [sys.executable, "-m", "edge_agent.worker", "--probe", "onnxruntime/cpu"]

    subprocess.run(probe, env={**loud, "TMPDIR": str(tmp_path)}, check=True, timeout=60)

    assert list(tmp_path.iterdir()) == []
