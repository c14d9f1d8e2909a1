"""Keras, SavedModel and TFLite sources that were made once, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    script = Path(__file__).with_name("make_bad_keras.py")
    done = subprocess.run([sys.executable, script, folder, folder / "canary"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder
