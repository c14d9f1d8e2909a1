"""What is in a Keras file, read as data alone: no layer is made, so that nothing a stranger put into it can run.

Keras refuses Python code in `.keras` files by itself; of `.h5` files tf_keras runs what their Lambda layers hold.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from edge_converters.errors import BadInput, NotConvertible
from edge_converters.lint.facts import Facts, Node, Trouble, Weight, to_json
from edge_converters.lint.findings import EXPORT_AGAIN, HINTS, Code

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
LARGEST_CONFIG: Final = 64 * 1024**2
FRAMEWORK: Final = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras", "builtins")
"""Where a layer's class may come from."""
FUNCTION_LAYERS: Final = {"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"}
"""Layers of Keras 2 that call a TensorFlow function by its name in the file."""
HARMLESS: Final = ("math.", "nn.", "__operators__.", "image.", "linalg.", "signal.", "keras.", "compat.v1.nn.")
_HARMLESS_NAMES: Final = """
abs add cast clip_by_value concat constant convert_to_tensor divide exp expand_dims identity matmul maximum minimum
multiply ones ones_like pad pow reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape reverse round
shape sigmoid sign slice split sqrt square squeeze stack strided_slice subtract tanh tile transpose unstack where zeros
zeros_like gather size rank compat.v1.transpose compat.v1.shape compat.v1.squeeze compat.v1.gather
"""
HARMLESS_NAMES: Final = frozenset(_HARMLESS_NAMES.split())
"""TensorFlow functions that only compute."""


def survey(source: str) -> dict[str, Any]:
    """The facts of a file.

    Raises:
        BadInput: it is damaged, or no model.
    """
    try:
        config, weights = _zipped(source) if source.endswith(".keras") else _hierarchical(source)
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        EOFError,
        TypeError,
        NotImplementedError,
        RecursionError,
    ) as error:
        raise _damaged(source, error) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(source, error) from error
    nodes, troubles = tuple(_nodes(config)), tuple(_troubles(config))
    if not nodes:
        raise BadInput(f"{source} is not a readable model: it describes no layer", EXPORT_AGAIN)
    return to_json(Facts("keras", nodes=nodes, weights=tuple(weights), troubles=troubles))


def refuse_code(source: str) -> None:
    """That nothing in the file would run code when it is loaded. Asked before every loading.

    Raises:
        BadInput: it is damaged.
        NotConvertible: it holds such a layer, which is named.
    """
    found = survey(source)
    named = [f"{node['operator']} {node['name']!r}" for node in found["nodes"] if node["operator"] in _CARRIERS]
    told = [trouble["sentence"] for trouble in found["troubles"] if trouble["code"] == Code.RUNS_CODE]
    if named or told:
        sentence = told[0] if told else f"{named[0]} carries code of its own"
        raise NotConvertible(f"{Path(source).name}: {sentence}", HINTS[Code.RUNS_CODE])


def may_be_of_keras_2(source: str) -> bool:
    """Whether the older Keras may have written the file: a .keras file says so, of others it is not known."""
    if not source.endswith(".keras"):
        return True
    try:
        with zipfile.ZipFile(source) as archive:
            return str(json.loads(archive.read(METADATA))["keras_version"]).startswith("2.")
    except (KeyError, ValueError, TypeError):
        return False


RECURRENT: Final = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
"""Layers that become a loop, unless they are built unrolled."""
_CARRIERS: Final = frozenset({"Lambda", "__lambda__"})


def _damaged(source: str, error: Exception) -> BadInput:
    words = (" ".join(str(error).split()) or type(error).__name__)[:200]
    return BadInput(f"{source} is not a readable model: {words}", EXPORT_AGAIN)


def _zipped(source: str) -> tuple[Any, list[Weight]]:
    with zipfile.ZipFile(source) as archive:
        if archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
            raise ValueError(f"{CONFIG} would unpack to {archive.getinfo(CONFIG).file_size} bytes")
        config = json.loads(archive.read(CONFIG))
        content = archive.read(WEIGHTS)
    with h5py.File(io.BytesIO(content), "r") as file:
        return config, list(_weights(file))


def _hierarchical(source: str) -> tuple[Any, list[Weight]]:
    with h5py.File(source, "r") as file:
        text = file.attrs.get("model_config")
        if text is None:
            raise ValueError("it holds weights without a model; save it with model.save()")
        return json.loads(text), list(_weights(file))


def _weights(file: Any) -> Iterator[Weight]:
    """Every array that the file itself holds; one that lies in another file is refused."""
    waiting = [("", file)]
    while waiting:
        place, group = waiting.pop()
        for key in group:
            name, link = f"{place}/{key}".strip("/"), group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{name} refers to another place")
            entry = group[key]
            if isinstance(entry, h5py.Group):
                waiting.append((name, entry))
                continue
            if entry.external or entry.is_virtual:
                raise ValueError(f"{name} is kept in another file")
            if entry.dtype.kind == "f":
                yield _weight(name, np.asarray(entry[()]))


def _weight(name: str, values: Any) -> Weight:
    finite = values[np.isfinite(values)]
    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    return Weight(
        name, str(values.dtype), int(values.size), nan, infinite, float(np.abs(finite).max(initial=0)), computes=True
    )


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Everything that the file asks to be made: layers, functions, policies."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting += list(value.values())[::-1]
        elif isinstance(value, list):
            waiting += value[::-1]


def _nodes(config: Any) -> Iterator[Node]:
    for entry in _objects(config):
        inner, kind = entry.get("config"), str(entry["class_name"])
        name = inner.get("name", "") if isinstance(inner, dict) else str(inner)
        place, registered = str(entry.get("module") or ""), str(entry.get("registered_name") or kind)
        known = ">" not in registered and (not place or place.startswith(FRAMEWORK))
        package = registered.rpartition(">")[0] or place
        yield Node(str(name), kind.rpartition(">")[2], "" if known else package, known=known)


def _troubles(config: Any) -> Iterator[Trouble]:
    for entry in _objects(config):
        inner, kind = entry.get("config"), entry["class_name"]
        name = inner.get("name", "") if isinstance(inner, dict) else ""
        function = str(inner.get("function", "")) if isinstance(inner, dict) else ""
        if kind == "TFOpLambda" and not (function in HARMLESS_NAMES or function.startswith(HARMLESS)):
            yield Trouble(Code.RUNS_CODE, f"{kind} {name!r} calls the function {function!r}")
        if kind in RECURRENT and isinstance(inner, dict) and not inner.get("unroll"):
            yield Trouble(
                Code.CONTROL_FLOW, f"{kind} {name!r} repeats while the model runs; with unroll=True it does not"
            )
        if kind == "QuantizedDTypePolicy" or str(kind).startswith("Quantize"):
            yield Trouble(Code.ALREADY_QUANTISED, f"the model is quantised already: {kind} {name!r}".rstrip(" '"))
