"""What is in an ONNX file, read without running it: every fault of the graph is named before a library trips over it.

Structure first, in plain code on the parsed file: ONNX's own checker and ONNX Runtime loop or crash on some of what is
refused here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from edge_converters.backends import onnx_files
from edge_converters.backends.onnx_kernels import has_kernel, is_known
from edge_converters.backends.onnx_source import OPSET, opset_of, take_one_sample, upgraded
from edge_converters.errors import BadInput, NotConvertible
from edge_converters.lint.facts import Facts, Node, Quantiser, Trouble, Weight, to_json
from edge_converters.lint.findings import EXPORT_AGAIN, Code
from edge_converters.lint.operators import COMPUTING

Fetch = Callable[[onnx.TensorProto], onnx_files.Array]
"""The values of a weight, which may have been left in its file."""
SCALES = {"QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "QLinearConv": (1, 2), "QLinearMatMul": (1, 2)}
"""Operators of quantised graphs, and which inputs are the first scale and zero point."""
QUANTISED = {*SCALES, "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QGemm", "QLinearAdd"}
REAL = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
MODES = ("mode", "coordinate_transformation_mode")
REACHES_NO_DATA = {"Shape", "Size"}
"""Their answers are known when shapes are."""


def survey(source: str) -> dict[str, Any]:
    """The facts of a file.

    Raises:
        BadInput: it is no ONNX model.
    """
    model, fetch = _parsed(source), partial(onnx_files.array, folder=Path(source).parent)
    troubles = list(_structure(model)) or list(_externals(model, Path(source)))
    if not troubles:
        onnx_files.take_in_constants(model, Path(source).parent)
        troubles = list(_stored(model, fetch)) or [*_parameters(model, fetch), *_modes(model, fetch)]
    readable = not troubles or troubles[0].code not in {Code.EXTERNAL_DATA, Code.WEIGHT_SHAPE, Code.DUPLICATE_NAME}
    nodes, unused = tuple(_nodes(model)), tuple(_unused(model))
    weights = tuple(_weights(model, fetch)) if readable else ()
    quantisers = tuple(_quantisers(model, fetch)) if readable else ()
    if not troubles and all(node.known and node.kernel for node in nodes):
        troubles = list(_standard(model)) or [*_ends(model), *_upgrade(model)] or list(_engine(source))
    return to_json(Facts("onnx", nodes, weights, quantisers, tuple(troubles), unused))


def _parsed(source: str) -> onnx.ModelProto:
    try:
        model = onnx_files.read(source)
    except (OSError, ValueError, DecodeError) as error:
        words = " ".join(str(error).split())[:200]
        raise BadInput(f"{source} is not a readable ONNX model: {words}", EXPORT_AGAIN) from error
    if not model.HasField("graph") or not (model.graph.node or model.graph.input or model.graph.output):
        raise BadInput(f"{source} is not a readable ONNX model: it holds no graph", EXPORT_AGAIN)
    return model


def _structure(model: onnx.ModelProto) -> Iterator[Trouble]:
    """What makes the graph no graph."""
    yield from _opset(model)
    if not model.graph.node:
        yield Trouble(Code.EMPTY, "the graph holds no operator")
    if not model.graph.output:
        yield Trouble(Code.EMPTY, "the graph has no output")
    yield from _recursion(model)
    yield from _names(model.graph)
    yield from _order(model.graph)


def _opset(model: onnx.ModelProto) -> Iterator[Trouble]:
    newest, given = onnx.defs.onnx_opset_version(), opset_of(model)
    if given > newest:
        yield Trouble(Code.OPSET, f"the model is of opset {given}; the newest that is known here is {newest}")


def _recursion(model: onnx.ModelProto) -> Iterator[Trouble]:
    bodies = {(each.domain, each.name): each.node for each in model.functions}
    calls = {
        key: {(node.domain, node.op_type) for node, _ in _walk(nodes)} & set(bodies) for key, nodes in bodies.items()
    }
    for (domain, name), path in _cycles(calls):
        where = " -> ".join(each[1] for each in path)
        yield Trouble(Code.RECURSION, f"the function {domain}.{name} calls itself ({where})")


def _names(graph: onnx.GraphProto) -> Iterator[Trouble]:
    initial = [weight.name for weight in graph.initializer]
    computed = [name for node in graph.node for name in node.output if name]
    entries = [entry.name for entry in graph.input if entry.name not in set(initial)]
    seen: set[str] = set()
    for name, what in (*((each, "weight") for each in initial), *((each, "result") for each in entries + computed)):
        if name in seen:
            yield Trouble(Code.DUPLICATE_NAME, f"the name {name!r} is given to two tensors; the second is a {what}")
        seen.add(name)
    for node, inner in _walk(graph.node):
        for name in node.input:
            if not inner and name and name not in seen:
                yield Trouble(Code.UNDEFINED_TENSOR, f"{_title(node)} reads {name!r}, which nothing gives")
    for end in graph.output:
        if end.name not in seen:
            yield Trouble(Code.UNDEFINED_TENSOR, f"the output {end.name!r} is given by nothing")


def _order(graph: onnx.GraphProto) -> Iterator[Trouble]:
    writer = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    before = {place: {writer[name] for name in node.input if name in writer} for place, node in enumerate(graph.node)}
    found = next(iter(_cycles(before)), None)
    if found is not None:
        yield Trouble(Code.CYCLE, f"the graph runs in a circle: {', '.join(_title(graph.node[i]) for i in found[1])}")
        return
    late = next((place for place, needs in before.items() if any(need > place for need in needs)), None)
    if late is not None:
        yield Trouble(Code.INVALID, f"{_title(graph.node[late])} stands before the operator that gives its input")


def _cycles(edges: dict[Any, set[Any]]) -> Iterator[tuple[Any, list[Any]]]:
    """Each circle once, by the place where it was entered and its members; without recursion of our own."""
    done: set[Any] = set()
    for start, first in edges.items():
        path: list[Any] = []
        stack = [] if start in done else [(start, iter(first))]
        while stack:
            place, rest = stack[-1]
            if len(path) < len(stack):
                path.append(place)
            follower = next(rest, None)
            if follower is None:
                done.add(path.pop())
                stack.pop()
            elif follower in path:
                yield follower, path[path.index(follower) :]
                return
            elif follower not in done:
                stack.append((follower, iter(edges[follower])))


def _externals(model: onnx.ModelProto, source: Path) -> Iterator[Trouble]:
    for weight in _tensors(model):
        if not uses_external_data(weight):
            continue
        info = ExternalDataInfo(weight)
        place = (source.parent / info.location).resolve()
        if not place.is_relative_to(source.parent.resolve()):
            yield Trouble(Code.EXTERNAL_DATA, f"the weight {weight.name!r} is kept in {info.location}, elsewhere")
        elif not place.is_file():
            yield Trouble(
                Code.EXTERNAL_DATA, f"the weight {weight.name!r} is kept in {info.location}, which is missing"
            )
        elif _number(info.offset, 0) + _number(info.length, _wanted(weight)) > place.stat().st_size:
            yield Trouble(Code.EXTERNAL_DATA, f"{info.location} ends before the weight {weight.name!r} does")


def _number(given: Any, otherwise: int) -> int:
    """The library says that an entry which may be absent is a number."""
    return int(given) if given else otherwise


def _wanted(weight: onnx.TensorProto) -> int:
    size: Any = helper.tensor_dtype_to_np_dtype(weight.data_type).itemsize
    count: int = math.prod(weight.dims)
    return count * int(size)


def _stored(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Trouble]:
    for weight in _tensors(model):
        try:
            fetch(weight)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError) as error:
            words = " ".join(str(error).split())[:120]
            shape = list(weight.dims)
            yield Trouble(Code.WEIGHT_SHAPE, f"the weight {weight.name!r} does not fill its shape {shape}: {words}")


def _parameters(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Trouble]:
    constants = {weight.name: weight for weight in model.graph.initializer}
    for node, _ in _walk(model.graph.node):
        given = {each.name: each for each in node.attribute}
        if node.op_type == "BatchNormalization" and len(node.input) == 5 and node.input[4] in constants:
            epsilon = given["epsilon"].f if "epsilon" in given else 1e-5
            least = float(fetch(constants[node.input[4]]).min(initial=np.inf))
            if least + epsilon <= 0:
                yield Trouble(Code.BAD_PARAMETER, f"{_title(node)}: the variance {node.input[4]!r} holds {least:g}")
        for name, value in given.items():
            numbers = [value.f, *value.floats]
            if not all(math.isfinite(number) for number in numbers):
                yield Trouble(Code.BAD_PARAMETER, f"{_title(node)}: {name} is not a finite number")
            if name in {"strides", "dilations", "kernel_shape"} and any(side <= 0 for side in value.ints):
                yield Trouble(Code.BAD_PARAMETER, f"{_title(node)}: {name} is {list(value.ints)}")


def _modes(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Trouble]:
    constants = _constants(model)
    for node, _ in _walk(model.graph.node):
        training = any(each.name == "training_mode" and each.i for each in node.attribute)
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            flag = constants.get(node.input[2])
            training = flag is None or bool(np.any(fetch(flag)))
        if training:
            yield Trouble(Code.TRAINING_MODE, f"{_title(node)} is in training mode")


def _standard(model: onnx.ModelProto) -> Iterator[Trouble]:
    """What ONNX's own checker and shape inference say."""
    try:
        bare = onnx_files.without_weights(model)
        onnx.checker.check_model(bare)
        onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    except onnx.checker.ValidationError as error:
        yield Trouble(Code.INVALID, _words(error))
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        yield Trouble(Code.SHAPE_MISMATCH, _words(error))


def _ends(model: onnx.ModelProto) -> Iterator[Trouble]:
    """Outputs that are no real numbers: the place of the largest score, a label, a count."""
    for end in model.graph.output:
        kind = end.type.tensor_type.elem_type
        if kind not in REAL:
            word = onnx.TensorProto.DataType.Name(kind) if end.type.HasField("tensor_type") else "no tensor"
            yield Trouble(Code.OUTPUT, f"the output {end.name!r} is {word}, not FLOAT")


def _upgrade(model: onnx.ModelProto) -> Iterator[Trouble]:
    """What stands against the canonical form; the model is changed."""
    try:
        take_one_sample(model)
    except NotConvertible as error:
        yield Trouble(Code.INPUT, str(error))
        return
    try:
        if opset_of(model) < OPSET:
            upgraded(model)
    except NotConvertible as error:
        yield Trouble(Code.OPSET, str(error))


def _engine(source: str) -> Iterator[Trouble]:
    """What ONNX Runtime says."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        onnx_files.open_session(onnx_files.read(source), Path(source).parent, options)
    except Exception as error:  # noqa: BLE001 - its classes are made at run time and have no common base
        code = Code.NO_KERNEL if "NOT_IMPLEMENTED" in str(error) else Code.INVALID
        yield Trouble(code, f"ONNX Runtime refuses the model: {_words(error)}")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _nodes(model: onnx.ModelProto) -> Iterator[Node]:
    local = {(each.domain, each.name) for each in model.functions}
    fed = _fed(model)
    versions = {each.domain: each.version for each in model.opset_import}
    every = [*_walk(model.graph.node), *((node, True) for each in model.functions for node, _ in _walk(each.node))]
    for node, inner in every:
        domain = "" if node.domain == "ai.onnx" else node.domain
        own = (node.domain, node.op_type) in local
        known = own or is_known(node.op_type, domain, versions.get(node.domain, opset_of(model)))
        yield Node(
            _name(node),
            node.op_type,
            domain,
            known=known,
            kernel=own or not known or has_kernel(node.op_type, domain),
            constant=not inner and not any(name in fed for name in node.output),
            detail=_mode(node) if known else f"opset {opset_of(model)}",
        )


def _mode(node: onnx.NodeProto) -> str:
    return " ".join(each.s.decode(errors="replace") for each in node.attribute if each.name in MODES)


def _fed(model: onnx.ModelProto) -> set[str]:
    """Tensors that depend on the model's inputs."""
    weights = {weight.name for weight in model.graph.initializer}
    fed = {entry.name for entry in model.graph.input if entry.name not in weights}
    for node in model.graph.node:
        inner = {name for each, deep in _walk([node]) if deep for name in each.input}
        if node.op_type not in REACHES_NO_DATA and (fed & ({*node.input} | inner) or not node.input):
            fed |= set(node.output) if node.op_type != "Constant" else set()
    return fed


def _walk(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[onnx.NodeProto, bool]]:
    """Every node, and those of the graphs inside it; whether it is inside one."""
    waiting = [(node, False) for node in nodes][::-1]
    while waiting:
        node, inner = waiting.pop()
        yield node, inner
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                waiting += [(each, True) for each in graph.node][::-1]


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node, _ in _walk(model.graph.node):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from attribute.g.initializer


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    found = {weight.name: weight for weight in model.graph.initializer}
    for node in model.graph.node:
        values = [each.t for each in node.attribute if each.name == "value" and each.HasField("t")]
        if node.op_type == "Constant" and values:
            found[node.output[0]] = values[0]
    return found


def _weights(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Weight]:
    readers = {name: node for node, _ in _walk(model.graph.node) for name in node.input}
    for name, stored in _constants(model).items():
        values = fetch(stored)
        if values.dtype.kind != "f":
            continue
        reader = readers.get(name)
        finite = values[np.isfinite(values)]
        yield Weight(
            name,
            str(values.dtype),
            int(values.size),
            nan=int(np.isnan(values).sum()),
            infinite=int(np.isinf(values).sum()),
            largest=float(np.abs(finite).max(initial=0)),
            reader="" if reader is None else _title(reader),
            computes=reader is not None and reader.op_type in COMPUTING,
        )


def _quantisers(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Quantiser]:
    constants = _constants(model)
    for node, _ in _walk(model.graph.node):
        if node.op_type not in QUANTISED:
            continue
        names = [node.input[place] if place < len(node.input) else "" for place in SCALES.get(node.op_type, ())]
        stored = [constants.get(name) for name in (names or ("", ""))]
        scales, zeros = (np.zeros(0) if each is None else fetch(each).ravel() for each in stored)
        limits = np.iinfo(zeros.dtype if zeros.dtype.kind in "iu" else np.int64)
        yield Quantiser(
            _title(node),
            names[0] if names else "",
            tuple(float(scale) for scale in scales),
            tuple(int(zero) for zero in zeros),
            int(limits.min),
            int(limits.max),
        )


def _unused(model: onnx.ModelProto) -> Iterator[str]:
    read = {name for node, _ in _walk(model.graph.node) for name in node.input} | {
        each.name for each in model.graph.output
    }
    yield from (weight.name for weight in model.graph.initializer if weight.name not in read)


def _name(node: onnx.NodeProto) -> str:
    return str(node.name or next(iter(node.output), ""))


def _title(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {_name(node)!r}"
