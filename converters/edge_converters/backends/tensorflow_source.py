"""Keras and SavedModel sources: what they take and give, their float answers, and their canonical SavedModel.

Canonical: one signature, one float input of batch 1 under its own name, outputs under theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edge_converters.backends import keras_survey, saved_model_survey
from edge_converters.backends.arrays import save_arrays
from edge_converters.backends.tensorflow_inlining import inlined, keeps_calls
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.processes import map_large_blocks

Outputs = dict[str, Any]
BATCH = 64


@dataclass(frozen=True)
class _Model:
    owner: Any
    """Keeps the variables alive."""
    call: Callable[[Any], Outputs]
    input_name: str
    shape: tuple[int | None, ...]


def describe(source: str, kind: str) -> dict[str, Any]:
    """The input's name and shape (batch first, None where free)."""
    model = load(source, kind)
    return {"input": model.input_name, "shape": model.shape}


def prepare(source: str, kind: str, saved_model: str) -> dict[str, Any]:
    """Write the canonical SavedModel."""
    model = load(source, kind)
    spec = tf.TensorSpec((1, *model.shape[1:]), tf.float32, name=model.input_name)
    concrete = tf.function(model.call, input_signature=[spec]).get_concrete_function()
    module = tf.Module()
    module.kept = concrete.variables  # of Keras 3 they are not followed into the SavedModel by themselves
    # without gradients, which nothing needs: those of swish would hold tensors that are no longer there
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    signature = _frozen(concrete, spec) if keeps_calls(concrete) else concrete
    tf.saved_model.save(module, saved_model, signatures=signature, options=options)
    load.cache_clear()
    return {}


def _frozen(concrete: Any, spec: tf.TensorSpec) -> Any:
    """The function without calls or variables; on the way there TensorFlow holds the weights many times over."""
    frozen = inlined(convert_variables_to_constants_v2(concrete))
    call = tf.function(
        lambda x: tf.nest.pack_sequence_as(concrete.structured_outputs, frozen(x)), input_signature=[spec]
    )
    return call.get_concrete_function()


def run_source(source: str, kind: str, inputs: dict[str, str], answers: str) -> dict[str, Any]:
    """The source's own answers to each array of `inputs` (name -> .npy), as an .npz with `<array>/<output>`."""
    model = load(source, kind)
    arrays = {name: _run(model, np.load(path)) for name, path in inputs.items()}
    save_arrays(answers, {f"{name}/{key}": value for name, got in arrays.items() for key, value in got.items()})
    return {"outputs": list(next(iter(arrays.values())))}


def _run(model: _Model, x: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    call = tf.function(model.call)
    step = BATCH if model.shape[0] is None else 1
    parts = [call(tf.constant(x[start : start + step])) for start in range(0, len(x), step)]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


@cache
def load(source: str, kind: str) -> _Model:
    """The model as one function; loaded once."""
    map_large_blocks()
    model = _saved_model(source) if kind == "saved-model" else _keras(source)
    if any(side is None for side in model.shape[1:]):
        raise NotConvertible(
            f"the input {model.input_name!r} has the shape {model.shape}, which is free beyond the batch",
            "Fix height, width and length when you build or export the model: the targets plan memory ahead.",
        )
    return model


def _saved_model(source: str) -> _Model:
    saved_model_survey.refuse_code(source)
    try:
        owner = tf.saved_model.load(source)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, tf.errors.OpError) as error:
        raise _unreadable(source, error) from error
    if not owner.signatures:
        raise BadInput(f"{source} has no signature", "Export it with a serving signature (tf.saved_model.save).")
    chosen = owner.signatures.get("serving_default") or next(iter(owner.signatures.values()))
    specs = chosen.structured_input_signature[1]
    name, spec = _only_input({key: (value.shape, value.dtype) for key, value in specs.items()})
    return _Model(owner, lambda x: dict(chosen(**{name: x})), name, tuple(spec))


def _keras(source: str) -> _Model:
    owner = _load_keras(source)
    _compute_in_single(owner)
    names = [str(tensor.name).partition(":")[0] for tensor in owner.inputs]
    tensors = zip(names, owner.inputs, strict=True)
    name, shape = _only_input({name: (tensor.shape, tf.as_dtype(tensor.dtype)) for name, tensor in tensors})
    # a Keras 3 Sequential has no output_names; its outputs have the names of its last layer
    given = getattr(owner, "output_names", None) or [tensor.name.partition(":")[0] for tensor in owner.outputs]
    outputs = [str(output).replace("/", "_") for output in given]

    def call(x: Any) -> Outputs:
        got = owner(x, training=False)
        flat = list(got.values()) if isinstance(got, dict) else list(got) if isinstance(got, list | tuple) else [got]
        return dict(zip(outputs, flat, strict=True))

    return _Model(owner, call, name, tuple(shape))


def _compute_in_single(owner: Any) -> None:
    """A model that was trained in mixed precision keeps its weights in single precision: it computes so, too."""
    for layer in owner._flatten_layers():
        if isinstance(layer, keras.Layer) and layer.compute_dtype in {"float16", "bfloat16"}:
            layer.dtype_policy = "float32"


def _load_keras(source: str) -> Any:
    """Keras 3 first; files of Keras 2 that it cannot read by tf_keras, which would run code that a file carries."""
    keras_survey.refuse_code(source)
    try:
        return keras.models.load_model(source, compile=False)
    except Exception as error:  # Keras raises anything on a file it does not understand
        if not keras_survey.may_be_of_keras_2(source):
            raise _unreadable(source, error) from error
    import tf_keras

    try:
        return tf_keras.models.load_model(source, compile=False)
    except Exception as error:  # as above, of the older Keras
        raise _unreadable(source, error) from error


def _only_input(inputs: dict[str, tuple[Any, Any]]) -> tuple[str, tuple[int | None, ...]]:
    if len(inputs) != 1:
        raise NotConvertible(
            f"the model has {len(inputs)} inputs ({', '.join(inputs)})",
            "Models with one input are converted; concatenate them into one in front of the model.",
        )
    ((name, (shape, dtype)),) = inputs.items()
    if dtype != tf.float32:
        raise NotConvertible(
            f"the input {name!r} is {dtype.name}, not float32", "Export the model with a float32 input."
        )
    return name, tuple(shape)


def _unreadable(source: str, error: Exception) -> BadInput:
    words = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return BadInput(f"{source} is not a readable model: {words}", "Check that the file is whole; export it again.")
