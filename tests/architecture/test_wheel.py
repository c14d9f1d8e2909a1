"""The built wheel installs alone on a device, exactly as locked, and brings neither TensorFlow nor the server."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_contracts.operations import RolloutState
from edge_sdk.inference import InferenceClient
from tests.architecture.project import PYPROJECT, ROOT
from tests.support.bundles import good_bundle
from tests.support.line import running_line
from tests.support.releases import samples

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FORBIDDEN_ON_A_DEVICE = ["tensorflow", "keras", "onnx", "fastapi", "sqlalchemy", "uvicorn"]


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the locked packages, then the wheel with extras from nowhere else."""
    environment = tmp_path_factory.mktemp("device")
    run(sys.executable, "-m", "venv", environment)
    pip = (environment / "bin" / "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    run(*pip, "--require-hashes", "--no-deps", "--requirement", "requirements/agent-litert.txt")
    run(*pip, "--no-index", f"{wheel}[agent,litert]")
    return environment


def test_the_wheel_holds_every_file_of_the_packages_and_claims_no_other_name(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    tracked = run("git", "ls-files", "--cached", "--", *PYPROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"])
    expected = {path.partition("/")[2] for path in tracked.splitlines() if (ROOT / path).exists()}
    assert expected - held == set()
    assert {name.partition("/")[0] for name in held} == {
        Path(package).name for package in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    }


def test_the_agent_runs_from_the_wheel_alone(device: Path) -> None:
    assert "usage" in run(device / "bin" / "edge-agent", "--help").lower()


def test_the_agent_from_the_wheel_installs_a_release_and_serves_it(device: Path, tmp_path: Path) -> None:
    x, y = samples()
    with running_line(tmp_path) as line:
        agent = line.agent("bare", "rpi4-litert", python=device / "bin" / "python")
        rollout = line.roll_out(line.publish(good_bundle(tmp_path, 1)), "bare")
        assert line.ended(rollout).state is RolloutState.SUCCEEDED
        with InferenceClient(agent.address) as client:
            right = [
                client.infer("digits", row[None]).scores[0].argmax() == label for row, label in zip(x, y, strict=True)
            ]

    assert sum(right) / len(right) > 0.9


@pytest.mark.parametrize("library", FORBIDDEN_ON_A_DEVICE)
def test_a_device_cannot_import_what_it_must_not_carry(device: Path, library: str) -> None:
    program = f"import importlib.util as u; print(u.find_spec({library!r}), u.find_spec('ai_edge_litert') is not None)"

    assert run(device / "bin" / "python", "-c", program).split() == ["None", "True"]
