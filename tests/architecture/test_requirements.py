"""The lock files install anywhere, are complete, agree with each other and fit pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.project import PYPROJECT, ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
ALONE = {"openvino", "tflite-runtime"}
"""Engines for one kind of machine: 165 MB for Intel's NPU, and one that needs an old NumPy."""
OF_EACH_LOCK = {
    "agent-litert": ["agent", "litert"],
    "dev": [*(set(EXTRAS) - {"all", *ALONE})],
    "device": ["agent", "litert", "ort", "qnn", "tflm"],
    "server": ["server"],
}

each_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)


def pins(lock: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_there_is_a_lock_for_each_place() -> None:
    assert [lock.stem for lock in LOCKS] == sorted(OF_EACH_LOCK)


@each_lock
def test_a_lock_names_no_index_and_no_place_on_a_machine(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")

    assert re.findall(r"\w+://\S+|file:\S+", text) == []
    assert re.findall(r"^\s*(?:-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host).*", text, re.M) == []


@each_lock
def test_every_package_of_a_lock_has_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=[\w.-]+(?:\[[\w,]+\])?==)", "\n" + lock.read_text(encoding="utf-8"))[1:]

    assert len(entries) == len(pins(lock)) > 10
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@each_lock
def test_a_package_has_one_version_in_all_locks(lock: Path) -> None:
    everything = pins(ROOT / "requirements" / "dev.txt")

    assert {name: version for name, version in pins(lock).items() if everything.get(name) != version} == {}


@each_lock
def test_a_lock_holds_what_its_extras_ask_for(lock: Path) -> None:
    wanted = [*PYPROJECT["project"]["dependencies"]]
    for extra in OF_EACH_LOCK[lock.stem]:
        wanted += EXTRAS[extra]
    locked = pins(lock)

    for requirement in map(Requirement, wanted):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {lock.name}: run `make lock`"
        assert requirement.specifier.contains(version, prereleases=True), f"{version} is not {requirement}: `make lock`"


@pytest.mark.parametrize("lock", ["device", "agent-litert"])
def test_a_device_carries_no_training_framework_and_no_server(lock: str) -> None:
    unwanted = {"alembic", "fastapi", "keras", "onnx", "sqlalchemy", "tensorflow", "tf-keras", "uvicorn"}

    assert pins(ROOT / "requirements" / f"{lock}.txt").keys() & unwanted == set()


@pytest.mark.parametrize("extra", ["agent", "demo", "litert", "openvino", "ort", "qnn", "server", "tflm"])
def test_only_the_converter_needs_tensorflow(extra: str) -> None:
    asked_for = {canonicalize_name(Requirement(text).name) for text in EXTRAS[extra]}

    assert asked_for & {"keras", "tensorflow", "tf-keras"} == set()


def test_everything_leaves_out_the_engines_of_one_kind_of_machine() -> None:
    (everything,) = map(Requirement, EXTRAS["all"])

    assert everything.extras == set(EXTRAS) - {"all", *ALONE}
