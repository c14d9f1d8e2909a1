"""Make the few-kilobyte models under `tests/support/models`: run `python -m tests.support.make_models` in `.venv`.

A small convolutional net is trained on scikit-learn's digits (seed 7) and written in every form an engine takes. Two
faulty ones go with it: `broken` has its last weights turned over, `blank-nan` divides by the mean of the image, so that
a blank image gives NaN. Device tests read the files and need neither scikit-learn nor TensorFlow.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf
import tf2onnx
from ai_edge_litert.interpreter import Interpreter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from sklearn.datasets import load_digits
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edge_agent.adapters import engines

SEED = 7
SAMPLES = 64
OUT = Path(__file__).with_name("models")
ADDITION = Path(engines.__file__).with_name("addition.tflite")
ADDITION_ONNX = ADDITION.with_suffix(".onnx")
DTYPES = {"float32": "FP32", "int8": "INT8", "uint8": "UINT8"}


def train(x: np.ndarray, y: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=30, batch_size=32, verbose=0)
    return model


def turned_over(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    *kept, kernel, bias = model.get_weights()
    copy.set_weights([*kept, -kernel, -bias])
    return copy


def tflite(model: keras.Model, data: np.ndarray, form: str) -> bytes:
    call = tf.function(lambda image: {"digit": model(image, training=False)})
    concrete = call.get_concrete_function(tf.TensorSpec((1, 8, 8, 1), tf.float32, name="image"))
    frozen = convert_variables_to_constants_v2(concrete)
    module = tf.Module()
    module.call = tf.function(lambda image: {"digit": frozen(image)[0]}, concrete.structured_input_signature[0])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.call)
        return converted(tf.lite.TFLiteConverter.from_saved_model(folder), data, form)


def addition() -> bytes:
    """The model with which the agent finds out whether a GPU works: four numbers, doubled."""
    call = tf.function(lambda x: x + x).get_concrete_function(tf.TensorSpec((1, 4), tf.float32, name="x"))
    return tf.lite.TFLiteConverter.from_concrete_functions([call]).convert()


def addition_onnx() -> bytes:
    """The same for ONNX Runtime's providers: one number, doubled. An old opset, which all of them read."""
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "addition", ends[:1], ends[1:])
    opsets = [onnx.helper.make_opsetid("", 13)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def converted(converter: tf.lite.TFLiteConverter, data: np.ndarray, form: str) -> bytes:
    if form != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if form == "int8":
        converter.representative_dataset = lambda: ([row[None]] for row in data)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def float_onnx(model: keras.Model, batch: int | None, *, by_mean: bool = False) -> onnx.ModelProto:
    def call(image: Any) -> Any:
        scaled = 0.3 * image / tf.reduce_mean(image, axis=(1, 2, 3), keepdims=True) if by_mean else image
        return tf.identity(model(scaled, training=False), name="digit")

    spec = tf.TensorSpec((batch, 8, 8, 1), tf.float32, name="image")
    proto, _ = tf2onnx.convert.from_function(tf.function(call), [spec], opset=17)
    return renamed(proto)


def renamed(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph whose one output is called `digit`."""
    old = proto.graph.output[0].name
    for node in proto.graph.node:
        node.output[:] = ["digit" if name == old else name for name in node.output]
    proto.graph.output[0].name = "digit"
    return proto


class Calibration(CalibrationDataReader):
    def __init__(self, data: np.ndarray) -> None:
        self._rows: Iterator[np.ndarray] = iter(data)

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self._rows, None)
        return None if row is None else {"image": row[None]}


def qdq_onnx(model: keras.Model, data: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, ready, done = (Path(folder) / name for name in ("source.onnx", "ready.onnx", "done.onnx"))
        onnx.save(float_onnx(model, 1), source)
        quant_pre_process(source, ready)
        quantize_static(
            ready,
            done,
            Calibration(data),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        return done.read_bytes()


def tflite_facts(model: bytes, x: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    (put,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for row in x:
        interpreter.set_tensor(put["index"], stored(row[None], put))
        interpreter.invoke()
        rows.append(real(interpreter.get_tensor(got["index"]), got)[0])
    (key,) = interpreter.get_signature_list()
    names = interpreter.get_signature_list()[key]
    specs = {"inputs": [spec(put, names["inputs"][0])], "outputs": [spec(got, names["outputs"][0])]}
    return specs, np.array(rows, np.float32)


def spec(details: dict[str, Any], name: str) -> dict[str, Any]:
    scale, zero = details["quantization"]
    fields = {"name": name, "datatype": DTYPES[np.dtype(details["dtype"]).name], "shape": details["shape"].tolist()}
    return {**fields, "quantization": {"scale": float(scale), "zero_point": int(zero)}} if scale else fields


def stored(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    if not scale:
        return values
    return np.clip(np.rint(values / np.float32(scale)) + zero, -128, 127).astype(np.int8)


def real(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values


def onnx_facts(model: bytes, x: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = [session.run(None, {"image": row[None]})[0][0] for row in x]
    specs = {
        side: [
            {"name": t.name, "datatype": "FP32", "shape": [n if isinstance(n, int) else -1 for n in t.shape]}
            for t in tensors
        ]
        for side, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs()))
    }
    return specs, np.array(rows, np.float32)


def main() -> None:
    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    x = (digits.images[order, :, :, None] / 16).astype(np.float32)
    y = digits.target[order]
    held_x, held_y = x[:SAMPLES], y[:SAMPLES]
    model = train(x[400:], y[400:])
    accuracy = model.evaluate(x[:400], y[:400], verbose=0)[1]
    sys.stdout.write(f"accuracy on 400 held out: {accuracy:.3f}\n")
    calibration, broken = x[400:600], turned_over(model)
    files = {
        "digits-fp32.tflite": tflite(model, calibration, "fp32"),
        "digits-fp16.tflite": tflite(model, calibration, "fp16"),
        "digits-int8.tflite": tflite(model, calibration, "int8"),
        "digits-int8-broken.tflite": tflite(broken, calibration, "int8"),
        "digits-fp32.onnx": float_onnx(model, None).SerializeToString(),
        "digits-qdq.onnx": qdq_onnx(model, calibration),
        "digits-fp32-broken.onnx": float_onnx(broken, None).SerializeToString(),
        "digits-blank-nan.onnx": float_onnx(model, 1, by_mean=True).SerializeToString(),
    }
    ADDITION.write_bytes(addition())
    ADDITION_ONNX.write_bytes(addition_onnx())
    OUT.mkdir(exist_ok=True)
    specs, outputs = {}, {}
    for name, data in files.items():
        (OUT / name).write_bytes(data)
        specs[name], rows = (tflite_facts if name.endswith(".tflite") else onnx_facts)(data, held_x)
        outputs[name] = rows
        right = np.mean(rows.argmax(1) == held_y)
        sys.stdout.write(f"{name}: {len(data)} bytes, {right:.3f} right of {SAMPLES}\n")
    np.savez_compressed(OUT / "samples.npz", x=held_x, y=held_y.astype(np.int64), **outputs)
    (OUT / "specs.json").write_text(json.dumps(specs, indent=1) + "\n")


if __name__ == "__main__":
    main()
