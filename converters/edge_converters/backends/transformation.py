"""Runs passes on a canonical float file of either format and writes the edited file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_converters.errors import NotConvertible
from edge_converters.networks import Evidence, Network, Run
from edge_converters.passes.ranges import choose_ranges
from edge_converters.passes.structured_pruning import multiplications
from edge_converters.passes.table import PASSES


@dataclass(frozen=True)
class _Dialect:
    """How a format's files become networks and back."""

    load: Callable[[str], Any]
    """A file as the others take it."""
    read: Callable[[Any], Network]
    write: Callable[[Any, Network], bytes]
    runner: Callable[[Any], Run]


def transform(
    model: str, format: str, passes: list[dict[str, Any]], calibration: str, seed: int, output: str
) -> dict[str, Any]:
    """Write the edited file to `output`; returns for each pass what it left, in weights, zeros and channels.

    `passes` are names with parameters; `calibration` is an .npy of float inputs. What a first pass finds out whatever
    its parameters is noted beside `model` and taken from there the next time.

    Raises:
        NotConvertible: a pass cannot do what its parameters ask of this model.
    """
    dialect = _DIALECTS[format]()
    content = dialect.load(model)
    network = given = dialect.read(content)
    evidence = Evidence(np.load(calibration), dialect.runner(content), seed)
    steps = [_tally("source", network)]
    for call in passes:
        parameters = {name.replace("-", "_"): value for name, value in call.items() if name != "name"}
        work = PASSES[call["name"]]
        try:
            if work.study is not None and network is given:
                parameters["study"] = _noted(Path(f"{model}.{call['name']}.json"), work.study, network, evidence)
            network = work.function(network, evidence, **parameters)
        except ValueError as error:  # how passes say that they are asked too much
            raise NotConvertible(
                f"{_named(call)} is not possible for this model: {error}", "Ask for less of it, or leave it out."
            ) from error
        steps.append(_tally(call["name"], network))
    if network is given:
        shutil.copyfile(model, output)
    else:
        Path(output).write_bytes(dialect.write(content, network))
    return {"steps": steps}


def find_ranges(model: str, format: str, calibration: str, seed: int) -> dict[str, Any]:
    """Ranges of the tensors of a float file, by name: lowest and highest value."""
    dialect = _DIALECTS[format]()
    content = dialect.load(model)
    evidence = Evidence(np.load(calibration), dialect.runner(content), seed)
    return {"ranges": {name: list(each) for name, each in choose_ranges(dialect.read(content), evidence).items()}}


def list_layers(model: str, format: str) -> dict[str, Any]:
    """The layers with weights of a float file, in order: name, the format's word, elements of the weight."""
    dialect = _DIALECTS[format]()
    layers = dialect.read(dialect.load(model)).weighted_layers
    return {"layers": [{"name": each.name, "operator": each.operator, "weights": each.weight.size} for each in layers]}


def _noted(notes: Path, study: Callable[[Network, Evidence], Any], network: Network, evidence: Evidence) -> Any:
    if not notes.exists():
        unfinished = notes.with_name(f"unfinished-{notes.name}")
        unfinished.write_text(json.dumps(study(network, evidence)))
        unfinished.rename(notes)
    return json.loads(notes.read_text())


def _tally(name: str, network: Network) -> dict[str, Any]:
    layers = network.weighted_layers
    return {
        "name": name,
        "weights": network.weight_count,
        "zeros": int(sum((layer.weight == 0).sum() for layer in layers)),
        "channels": int(sum(len(layer.weight) for layer in layers)),
        "layers": len(network.layers),
        "multiplications": multiplications(network),
    }


def _named(call: dict[str, Any]) -> str:
    given = ", ".join(f"{name} {value}" for name, value in call.items() if name != "name")
    return f"{call['name']} ({given})" if given else str(call["name"])


def _onnx() -> _Dialect:
    from edge_converters.backends import onnx_network

    return _Dialect(onnx_network.load, onnx_network.read, onnx_network.write, onnx_network.runner)


def _tflite() -> _Dialect:
    from edge_converters.backends import tflite_files, tflite_network

    return _Dialect(tflite_files.read, tflite_network.read, tflite_network.write, tflite_network.runner)


_DIALECTS: Final[dict[str, Callable[[], _Dialect]]] = {"onnx": _onnx, "tflite": _tflite}
