"""Importing a part loads nothing that its machine should not carry. Each import is done in a process of its own."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import edge_contracts

TRAINING = {"keras", "onnx", "onnx2tf", "sklearn", "tensorflow", "tf2onnx", "tf_keras"}
ENGINES = {"ai_edge_litert", "onnxruntime", "tflite_micro", "tflite_runtime"}
SERVER = {"alembic", "fastapi", "sqlalchemy", "starlette", "uvicorn"}
SEARCH = {"optuna"}
NUMBERS = {"numpy", "scipy"}
NETWORK = {"httpx", "paho", "requests", "waitress", "werkzeug"}

MUST_NOT_LOAD = {
    "edge_contracts": TRAINING | ENGINES | SERVER | NUMBERS | NETWORK,
    "edge_profiles": TRAINING | ENGINES | SERVER | NUMBERS | NETWORK,
    "edge_converters": TRAINING | ENGINES | SERVER | NUMBERS | SEARCH,
    "edge_converters.conversion": TRAINING | ENGINES | SERVER | SEARCH | {"scipy"},
    "edge_sdk": TRAINING | ENGINES | SERVER | NUMBERS,
    "edge_sdk.cli": TRAINING | ENGINES | SERVER | NUMBERS | SEARCH | {"pydantic", "rich"},
    "edge_agent": TRAINING | ENGINES | SERVER,
    "edge_agent.__main__": TRAINING | ENGINES | SERVER,
    "edge_fleet": TRAINING | ENGINES,
    "edge_fleet.app": TRAINING | ENGINES,
}

# The one module of the contracts that computes: arrays in, features out. Whoever calls it has NumPy.
CONTRACTS_WITH_ARRAYS = {"edge_contracts.features"}


def loaded_by(*modules: str) -> set[str]:
    """Top-level names in `sys.modules` after a fresh process has imported `modules`."""
    imports = "; ".join(f"import {module}" for module in modules)
    program = f"import sys; {imports}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", MUST_NOT_LOAD)
def test_importing_a_part_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(module) & MUST_NOT_LOAD[module] == set()


def test_all_contracts_together_load_no_library_of_one_side() -> None:
    modules = {f"edge_contracts.{found.name}" for found in pkgutil.iter_modules(edge_contracts.__path__)}

    loaded = loaded_by(*sorted(modules - CONTRACTS_WITH_ARRAYS))

    assert loaded & MUST_NOT_LOAD["edge_contracts"] == set()


def test_the_check_sees_a_library_that_is_loaded() -> None:
    assert "numpy" in loaded_by("numpy")
