"""A canonical ONNX graph as a SavedModel, by onnx2tf, which is kept from the network."""

from __future__ import annotations

import os
import re
import tempfile
import traceback
from itertools import chain, count
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx2tf
import onnxruntime as ort
import tensorflow as tf

from edge_converters.errors import NotConvertible

SAMPLE_FILE = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""onnx2tf downloads this for image-like inputs unless it lies in the working directory; it is not used further."""
OPERATORS = "onnx2tf.ops."
"""Where the library has a module for each operator that it knows."""
FOREIGN = re.compile(r"[^A-Za-z0-9_./-]")
"""What no name of an operator may hold in TensorFlow."""

Array = npt.NDArray[np.float32]


def to_saved_model(canonical: str, saved_model: str) -> dict[str, Any]:
    """Write a SavedModel whose input keeps its layout and whose outputs have the names of the graph.

    onnx2tf numbers the outputs anew, so they are told apart by what they answer to a random input.
    """
    model = onnx.load(canonical)
    entry = model.graph.input[0].name
    plain = Plain()
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(_with_plain_names(model, plain), f"{folder}/plain.onnx")
        _convert("plain.onnx", model.graph.input[0].name, folder)
        owner = tf.saved_model.load(f"{folder}/imported")
        signature = owner.signatures["serving_default"]
        ((name, spec),) = signature.structured_input_signature[1].items()
        x = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
        session = ort.InferenceSession(canonical, providers=["CPUExecutionProvider"])
        expected = dict(zip((each.name for each in session.get_outputs()), session.run(None, {entry: x}), strict=True))
        got = {key: value.numpy() for key, value in signature(**{name: tf.constant(x)}).items()}
        found = {output: _nearest(output, answer, got) for output, answer in expected.items()}

        def call(x: Any) -> dict[str, Any]:
            answers = signature(**{name: x})
            return {output: _turned(answers[key], order, plain(output)) for output, (key, order) in found.items()}

        module = tf.Module()
        module.owner = owner
        module.call = tf.function(call, input_signature=[tf.TensorSpec(spec.shape, tf.float32, name=plain(entry))])
        tf.saved_model.save(module, saved_model, signatures=module.call.get_concrete_function())
    return {}


def _with_plain_names(model: onnx.ModelProto, plain: Plain) -> onnx.ModelProto:
    """The model, its names in the letters that TensorFlow knows: onnx2tf mistakes a tensor named x:0 for another."""
    graph = model.graph
    for node in graph.node:
        node.name = plain(node.name)
        node.input[:], node.output[:] = map(plain, node.input), map(plain, node.output)
    for each in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        each.name = plain(each.name)
    return model


class Plain:
    """The plain form of each name, the same every time, and another for every name."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, name: str) -> str:
        if name not in self._given:
            stem = FOREIGN.sub("_", name if name[:1].isascii() and name[:1].isalnum() else f"t{name}")
            forms = chain([stem], (f"{stem}_{number}" for number in count(2)))
            self._given[name] = next(form for form in forms if form not in self._taken) if name else ""
            self._taken.add(self._given[name])
        return self._given[name]


def _convert(canonical: str, entry: str, folder: str) -> None:
    before = os.getcwd()  # noqa: PTH109 - the library reads the working directory
    os.chdir(folder)
    try:
        np.save(SAMPLE_FILE, np.zeros((20, 128, 128, 3), np.float32))
        onnx2tf.convert(
            input_onnx_file_path=canonical,
            output_folder_path="imported",
            keep_shape_absolutely_input_names=[entry],
            output_signaturedefs=True,
            non_verbose=True,
            verbosity="error",
        )
    except (Exception, SystemExit) as error:  # the library raises anything, and ends the process on some of it
        operator = _operator_of(error)
        if operator is None:
            raise
        raise NotConvertible(
            f"there is no way from ONNX to TFLite for an operator {operator} of this form: {type(error).__name__}",
            "Replace it in the model, or choose profiles that take ONNX.",
        ) from error
    finally:
        os.chdir(before)


def _operator_of(error: BaseException) -> str | None:
    """The operator that the library was at work on: it has a module for each."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(OPERATORS):
        return str(error.name).removeprefix(OPERATORS)
    causes = [error, *([error.__context__] if error.__context__ is not None else [])]
    places = [frame.f_globals["__name__"] for cause in causes for frame, _ in traceback.walk_tb(cause.__traceback__)]
    return next((str(place).removeprefix(OPERATORS) for place in places if place.startswith(OPERATORS)), None)


def _turned(value: Any, order: tuple[int, ...], name: str) -> Any:
    return tf.identity(value, name) if order == tuple(range(len(order))) else tf.transpose(value, order, name)


def _nearest(output: str, answer: Array, got: dict[str, Array]) -> tuple[str, tuple[int, ...]]:
    """The name of an output in TensorFlow's form, and the order of its axes in the graph's: onnx2tf puts channels last.

    Of the outputs that can have the shape of `answer` the one that is nearest to it.
    """
    plain = tuple(range(answer.ndim))
    orders = dict.fromkeys([plain, (*plain[:1], *plain[-1:], *plain[1:-1])])
    alike = {
        (key, order): float(np.abs(value.transpose(order) - answer).max())
        for key, value in got.items()
        for order in orders
        if value.ndim == answer.ndim and value.transpose(order).shape == answer.shape
    }
    if not alike:
        shapes = ", ".join(str(value.shape) for value in got.values())
        raise NotConvertible(
            f"no output of the TensorFlow form has the shape {answer.shape} of {output!r} (there are {shapes})",
            "Export the model with outputs that keep their layout, such as [batch, values].",
        )
    return min(alike, key=alike.__getitem__)
