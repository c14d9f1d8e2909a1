"""ONNX models, each with one thing wrong: a small net that works, and a change to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Change = Callable[[onnx.ModelProto], None]
SHAPE = (1, 6, 6)
"""Of a sample."""


def good(opset: int = 13) -> onnx.ModelProto:
    """Convolution, relu and a dense layer: [batch, 1, 6, 6] to [batch, 3]."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "conv.bias": rng.normal(size=4).astype(np.float32),
        "dense.weight": rng.normal(size=(64, 3)).astype(np.float32),
        "dense.bias": rng.normal(size=3).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "conv.weight", "conv.bias"], ["features"], "conv"),
        helper.make_node("Relu", ["features"], ["active"], "relu"),
        helper.make_node("Flatten", ["active"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "dense.weight", "dense.bias"], ["scores"], "dense"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, *SHAPE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def changed(change: Change) -> onnx.ModelProto:
    """The good net with one thing wrong."""
    model = good()
    change(model)
    return model


def _weight(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(each for each in model.graph.initializer if each.name == name)


def _set(name: str, edit: Callable[[Any], Any]) -> Change:
    def change(model: onnx.ModelProto) -> None:
        weight = _weight(model, name)
        weight.CopyFrom(numpy_helper.from_array(edit(numpy_helper.to_array(weight).copy()), name))

    return change


def _with(value: float) -> Callable[[Any], Any]:
    def edit(values: Any) -> Any:
        values.flat[5 % values.size] = value
        return values

    return edit


def _replace_relu(
    operator: str, outputs: int = 1, extra: tuple[str, ...] = (), domain: str = "", **given: Any
) -> Change:
    def change(model: onnx.ModelProto) -> None:
        others = [f"other{number}" for number in range(outputs - 1)]
        node = helper.make_node(operator, ["features", *extra], ["active", *others], "middle", domain=domain, **given)
        model.graph.node[1].CopyFrom(node)

    return change


def _add(model: onnx.ModelProto, name: str, values: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))


def _custom(model: onnx.ModelProto) -> None:
    _replace_relu("SecretSauce", domain="com.acme")(model)
    model.opset_import.append(helper.make_opsetid("com.acme", 1))


def _loop(model: onnx.ModelProto) -> None:
    """The sum of the image decides how often relu is done."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"], "go"),
            helper.make_node("Relu", ["state"], ["next"], "again"),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    _add(model, "true", np.array(True))
    count = [
        helper.make_node("ReduceMax", ["features"], ["most"], "most", keepdims=0),
        helper.make_node("Cast", ["most"], ["count"], "count", to=TensorProto.INT64),
    ]
    loop = helper.make_node("Loop", ["count", "true", "features"], ["active"], "repeat", body=body)
    nodes = [model.graph.node[0], *count, loop, *model.graph.node[2:]]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "active"


def _recursive(model: onnx.ModelProto) -> None:
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    for name, other in (("Ping", "Pong"), ("Pong", "Ping")):
        call = helper.make_node(other, ["x"], ["y"], name.lower(), domain="own")
        model.functions.append(helper.make_function("own", name, ["x"], ["y"], [call], imports))
    _replace_relu("Ping", domain="own")(model)
    model.opset_import.append(helper.make_opsetid("own", 1))


def _quantise(scale: Any, zero: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        _add(model, "act.scale", np.asarray(scale, np.float32))
        _add(model, "act.zero", zero)
        pair = [
            helper.make_node("QuantizeLinear", ["features", "act.scale", "act.zero"], ["stored"], "quantise"),
            helper.make_node("DequantizeLinear", ["stored", "act.scale", "act.zero"], ["active"], "dequantise"),
        ]
        nodes = [model.graph.node[0], *pair, *model.graph.node[2:]]
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del model.graph.node[:]
        model.graph.node.extend(kept)

    return change


def _dropout(model: onnx.ModelProto) -> None:
    _add(model, "ratio", np.float32(0.5))
    _add(model, "training", np.array(True))
    _replace_relu("Dropout", extra=("ratio", "training"))(model)


def _variance(model: onnx.ModelProto) -> None:
    for name, value in (("bn.scale", 1.0), ("bn.offset", 0.0), ("bn.mean", 0.0), ("bn.variance", -0.5)):
        _add(model, name, np.full(4, value, np.float32))
    _replace_relu("BatchNormalization", extra=("bn.scale", "bn.offset", "bn.mean", "bn.variance"))(model)


def _second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [None, 4, 4, 4]))
    _replace_relu("Mul", extra=("mask",))(model)


def _integer_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    cast = helper.make_node("Cast", ["image"], ["real"], "cast", to=TensorProto.FLOAT)
    model.graph.node[0].input[0] = "real"
    nodes = [cast, *(onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _choice(model: onnx.ModelProto) -> None:
    """The model gives the place of its largest score."""
    model.graph.node.append(helper.make_node("ArgMax", ["scores"], ["best"], "argmax", axis=1))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("best", TensorProto.INT64, [None, 1]))


def _free_side(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def _twice(model: onnx.ModelProto) -> None:
    model.graph.node[1].output[0] = "features"


def _dangling(model: onnx.ModelProto) -> None:
    model.graph.node[3].input[0] = "nowhere"


def _wrong_shape(model: onnx.ModelProto) -> None:
    _weight(model, "dense.weight").dims[0] = 65


def _no_match(model: onnx.ModelProto) -> None:
    _weight(model, "dense.weight").CopyFrom(numpy_helper.from_array(np.zeros((63, 3), np.float32), "dense.weight"))


def _future(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 999


def _double(model: onnx.ModelProto) -> None:
    """Computes in float64, for which ONNX Runtime has no convolution."""
    for name in ("conv.weight", "conv.bias"):
        _set(name, lambda values: values.astype(np.float64))(model)
    there = helper.make_node("Cast", ["image"], ["wide"], "widen", to=TensorProto.DOUBLE)
    back = helper.make_node("Cast", ["wider"], ["features"], "narrow", to=TensorProto.FLOAT)
    model.graph.node[0].input[0], model.graph.node[0].output[0] = "wide", "wider"
    conv, *rest = (onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([there, conv, back, *rest])


def _old(model: onnx.ModelProto) -> None:
    """Upsample had its scales as attributes then; ONNX's own upgrade does not take them over."""
    model.opset_import[0].version = 6
    model.graph.node[3].attribute.append(helper.make_attribute("broadcast", 1))
    model.graph.node[1].CopyFrom(
        helper.make_node(
            "Upsample", ["features"], ["active"], "grow", mode="nearest", height_scale=1.0, width_scale=1.0
        )
    )


BAD: Final[dict[str, tuple[Change, str, str]]] = {
    "unknown-operator": (_replace_relu("Rellu"), "unknown-operator", "Rellu 'middle' is no operator of opset 13"),
    "custom-operator": (_custom, "custom-operator", "SecretSauce 'middle' is a custom operator of com.acme"),
    "no-kernel": (_double, "no-kernel", "Could not find an implementation for Conv"),
    "control-flow": (_loop, "control-flow", "Loop 'repeat' repeats or chooses while the model runs"),
    "cycle": (_cycle, "cycle", "the graph runs in a circle: Conv 'conv', Relu 'relu'"),
    "recursion": (_recursive, "recursion", "calls itself"),
    "zero-scale": (_quantise(0.0, np.uint8(3)), "bad-quantisation", "'quantise': the scale 'act.scale' is 0, not a"),
    "negative-scale": (_quantise(-0.1, np.uint8(3)), "bad-quantisation", "the scale 'act.scale' is -0.1"),
    "nan-scale": (_quantise(np.nan, np.uint8(3)), "bad-quantisation", "the scale 'act.scale' is nan"),
    "already-quantised": (_quantise(0.1, np.uint8(3)), "already-quantised", "QuantizeLinear 'quantise' and 1 more"),
    "nan-weight": (
        _set("conv.weight", _with(np.nan)),
        "not-finite",
        "the weight 'conv.weight' of Conv 'conv' holds 1 NaN",
    ),
    "infinite-weight": (
        _set("dense.bias", _with(np.inf)),
        "not-finite",
        "'dense.bias' of Gemm 'dense' holds 1 infinite",
    ),
    "training-mode": (_dropout, "training-mode", "Dropout 'middle' is in training mode"),
    "random": (_replace_relu("Bernoulli"), "unknown-operator", "Bernoulli 'middle' is no operator of opset 13"),
    "random-like": (_replace_relu("RandomUniformLike"), "random", "RandomUniformLike 'middle' draws random numbers"),
    "negative-variance": (
        _variance,
        "bad-parameter",
        "BatchNormalization 'middle': the variance 'bn.variance' holds -0.5",
    ),
    "two-inputs": (_second_input, "input", "the model has 2 inputs (image, mask)"),
    "integer-output": (_choice, "output", "the output 'best' is INT64, not FLOAT"),
    "integer-input": (_integer_input, "input", "the input 'image' is INT32, not FLOAT"),
    "free-height": (_free_side, "input", "the input 'image' has the shape [None, 1, None, 6], which is free"),
    "duplicate-name": (_twice, "duplicate-name", "the name 'features' is given to two tensors"),
    "undefined-tensor": (_dangling, "undefined-tensor", "Gemm 'dense' reads 'nowhere', which nothing gives"),
    "weight-shape": (_wrong_shape, "weight-shape", "the weight 'dense.weight' does not fill its shape [65, 3]"),
    "shape-mismatch": (_no_match, "shape-mismatch", "dense"),
    "future-opset": (_future, "opset", "the model is of opset 999"),
    "old-opset": (_old, "opset", "opset 6 cannot be brought to 17 because of Upsample"),
}
"""By name: the change, the code it must be told under, and words that must be in the sentence."""


def write_all(folder: Path) -> dict[str, Path]:
    """Every bad model as a file."""
    paths = {name: folder / f"{name}.onnx" for name in BAD}
    for name, path in paths.items():
        path.write_bytes(changed(BAD[name][0]).SerializeToString())
    return paths
