"""The Python that the reference shows runs as it stands, from one block to the next."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from edge_converters import Identity, Method, Proof, convert
from edge_converters.bundles import read_bundle
from tests.architecture.project import ROOT
from tests.support.releases import MODELS

PAGE = (ROOT / "docs/reference/python.md").read_text()


VALUES = {"identity": Identity, "proof": Proof, "method": Method}


@pytest.mark.parametrize("argument", VALUES)
def test_the_values_that_the_page_names_have_the_fields_that_it_names(argument: str):
    name, named = re.findall(rf"\| `{argument}` \| `(\w+)\(([\w, ]+)\)` \|", PAGE)[0]

    assert name == VALUES[argument].__name__
    assert named.split(", ") == [field.name for field in fields(VALUES[argument])]
    assert argument in signature(convert).parameters


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_of_the_python_api_runs_as_it_stands(tmp_path: Path):
    images, classes = load_digits(return_X_y=True)
    x, first = np.unique(images.astype(np.float32).reshape(-1, 8, 8, 1) / 16, axis=0, return_index=True)
    np.savez(tmp_path / "calibration.npz", x=x[::10])
    kept = np.arange(len(x)) % 10 > 0
    np.savez(tmp_path / "evaluation.npz", x=x[kept], y=classes[first][kept])
    (tmp_path / "my-model.onnx").write_bytes((MODELS / "digits-fp32.onnx").read_bytes())
    (tmp_path / "program.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))

    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pass\nx86-64-vnni: ")
    first_bundle, second = read_bundle(tmp_path / "bundle").manifest, read_bundle(tmp_path / "bundle-2").manifest
    assert (first_bundle.model, first_bundle.version) == ("my-model", 1)
    assert (second.model, second.version, len(second.labels)) == ("digits", 2, 10)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
