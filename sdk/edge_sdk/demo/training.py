"""The demo's model and data: trained once by `digits.py` in a process of its own, then taken from a cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge_sdk.errors import ChildFailed

_PROGRAM: Final = Path(__file__).with_name("digits.py")
_MODULE: Final = "edge_sdk.demo.digits"
_DECIDES: Final = ("keras", "tensorflow", "scikit-learn")
"""Libraries whose version decides what comes out."""
_SECONDS: Final = 300


@dataclass(frozen=True)
class Trained:
    """A trained model and its data. `accuracy` is the float model's, on `samples`, which nothing else has seen."""

    folder: Path
    accuracy: float
    parameters: int
    cached: bool

    @property
    def model(self) -> Path:
        """The Keras file."""
        return self.folder / "model.keras"

    def data(self, split: str) -> Path:
        """The `.npz` of a split: calibration, evaluation or samples."""
        return self.folder / f"{split}.npz"


def default_cache() -> Path:
    """Where trained models are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-sdk" / "demo"


def train(cache: Path) -> Trained:
    """The trained model, from the cache when this very program and these libraries made it before.

    Raises:
        ChildFailed: the training program failed.
    """
    folder = cache / _fingerprint()
    facts = folder / "facts.json"
    cached = facts.exists()
    if not cached:
        _fill(folder)
    known = json.loads(facts.read_text(encoding="utf-8"))
    return Trained(folder, known["accuracy"], known["parameters"], cached)


def _fingerprint() -> str:
    versions = [f"{name}=={version(name)}" for name in _DECIDES]
    return hashlib.sha256(_PROGRAM.read_bytes() + "\n".join(versions).encode()).hexdigest()[:16]


def _fill(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".training.", dir=folder.parent))
    try:
        answer = run_program(_MODULE, [str(staging)], _SECONDS)
        (staging / "facts.json").write_text(answer, encoding="utf-8")
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def run_program(module: str, arguments: list[str], seconds: float) -> str:
    """The last line that `python -m module` prints; it runs where TensorFlow may load and be gone again.

    Raises:
        ChildFailed: it failed or took longer than `seconds`.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, env=environment)
    except subprocess.TimeoutExpired as error:
        raise ChildFailed(f"{module} took more than {seconds:.0f} s", "Is the machine busy? Run it again.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise ChildFailed(f"{module} failed: {last}", "Install what it needs: pip install 'edge-sdk[convert,demo]'.")
    return done.stdout.strip().splitlines()[-1]
