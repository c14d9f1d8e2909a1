"""Integer TFLite files from a float one, by the calibrator and the quantisers that TensorFlow's converter uses.

They have no public call that starts from a TFLite file. Made by the same calls, the files equal the converter's own.
They are given constants behind the flatbuffer: those within are copied five times.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize import (  # left to its first use, its import keeps that caller's model
    _pywrap_tensorflow_lite_calibration_wrapper,  # noqa: F401
)
from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors

from edge_converters.backends import tflite_files
from edge_converters.errors import NotConvertible

Ranges = Mapping[str, Sequence[float]]
"""Lowest and highest value of activation tensors, by name: they take the place of what calibration saw."""
Samples = npt.NDArray[np.float32]
WITH_INNER_TENSORS: Final = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM"})
"""Operators that the calibrator looks into: AddIntermediateTensorsToFusedOp, lite/tools/optimize/calibration."""
UNSUPPORTED: Final = re.compile(r"not yet supported for op: '(\w+)'")


def to_int8(model: str, samples: Samples, ranges: Ranges, keep: Collection[str]) -> bytes:
    """int8 everywhere, inputs and outputs too, weights by channel. The layers of `keep` stay float.

    A layer is named by its first output; int8 tensors are widened before it and narrowed behind it.

    Raises:
        NotConvertible: the file has no tensor of a given name.
    """
    calibrated = tflite_files.pack_apart(_calibrated(model, samples, ranges, keep))
    result: bytes = mlir_quantize(
        calibrated, input_data_type=tf.int8, output_data_type=tf.int8, denylisted_nodes=set(keep) or None
    )
    return result


def to_int16x8(model: str, samples: Samples, ranges: Ranges) -> bytes:
    """Symmetric int16 activations, inputs and outputs too; int8 weights by channel, int64 biases.

    Raises:
        NotConvertible: the file has no tensor of a given name.
    """
    # this quantiser knows no constants behind the flatbuffer
    calibrated = Calibrator(tflite_files.pack(_calibrated(model, samples, ranges)))
    try:
        result: bytes = calibrated.calibrate_and_quantize(
            lambda: (),  # the ranges lie in the file
            input_type=tf.int16,
            output_type=tf.int16,
            allow_float=False,
            activations_type=tf.int16,
            bias_type=tf.int64,
        )
    except RuntimeError as error:
        missing = sorted(set(UNSUPPORTED.findall(str(error))))
        if not missing:
            raise
        raise NotConvertible(
            f"int16x8 has no form of {', '.join(missing)}", "Replace these operators, or choose another scheme."
        ) from error
    return result


def _calibrated(file: str, samples: Samples, ranges: Ranges, keep: Collection[str] = ()) -> Any:
    """The float model with each activation's lowest and highest value: the given one, or what the samples show."""
    model = tflite_files.unpack(Calibrator(_observable(file)).calibrate(lambda: ([row[None]] for row in samples)))
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is not None and tensor.quantization is not None:
            tensor.quantization.min = tensor.quantization.max = (
                None  # the calibrator takes all that lies behind as seen
            )
    tensors = {(tensor.name or b"").decode(): tensor for tensor in model.subgraphs[0].tensors}
    _check_known({*ranges, *keep}, tensors)
    for name, (low, high) in ranges.items():
        tensors[name].quantization.min = np.array([low], np.float32)
        tensors[name].quantization.max = np.array([high], np.float32)
    return model


def _observable(file: str) -> bytes:
    """The file with a tensor for everything that an operator computes within."""
    model = tflite_files.unpack(tflite_files.read(file))
    words = {tflite_files.word(model, operator) for graph in model.subgraphs for operator in graph.operators}
    if words & WITH_INNER_TENSORS:
        result: bytes = add_intermediate_tensors(tflite_files.pack(model))
        return result
    return tflite_files.pack_apart(model)


def _check_known(names: Collection[str], known: Collection[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise NotConvertible(
            f"the float file has no tensor {', '.join(unknown)}", "Take names from the file that is quantised."
        )
