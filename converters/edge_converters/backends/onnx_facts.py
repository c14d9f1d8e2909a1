"""What the lint is told of a sound ONNX graph: operators, weights, quantisers, and what nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from edge_converters.backends.onnx_kernels import has_kernel, is_known
from edge_converters.backends.onnx_nodes import constants_of, name_of, title, walk
from edge_converters.backends.onnx_source import opset_of
from edge_converters.backends.onnx_values import Fetch
from edge_converters.lint.facts import Node, Quantiser, Weight
from edge_converters.lint.operators import COMPUTING

SCALES = {"QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "QLinearConv": (1, 2), "QLinearMatMul": (1, 2)}
"""Operators of quantised graphs, and which inputs are the first scale and zero point."""
QUANTISED = {*SCALES, "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QGemm", "QLinearAdd"}
MODES = ("mode", "coordinate_transformation_mode")
REACHES_NO_DATA = {"Shape", "Size"}
"""Their answers are known when shapes are."""


def nodes_of(model: onnx.ModelProto) -> Iterator[Node]:
    """Every operator, those of inner graphs and of functions among them."""
    local = {(each.domain, each.name) for each in model.functions}
    fed = _fed(model)
    versions = {each.domain: each.version for each in model.opset_import}
    every = [*walk(model.graph.node), *((node, True) for each in model.functions for node, _ in walk(each.node))]
    for node, inner in every:
        domain = "" if node.domain == "ai.onnx" else node.domain
        own = (node.domain, node.op_type) in local
        known = own or is_known(node.op_type, domain, versions.get(node.domain, opset_of(model)))
        yield Node(
            name_of(node),
            node.op_type,
            domain,
            known=known,
            kernel=own or not known or has_kernel(node.op_type, domain),
            constant=not inner and not any(name in fed for name in node.output),
            detail=_mode(node) if known else f"opset {opset_of(model)}",
        )


def weights_of(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Weight]:
    """The floating-point ones."""
    readers = {name: node for node, _ in walk(model.graph.node) for name in node.input}
    for name, stored in constants_of(model).items():
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
            reader="" if reader is None else title(reader),
            computes=reader is not None and reader.op_type in COMPUTING,
        )


def quantisers_of(model: onnx.ModelProto, fetch: Fetch) -> Iterator[Quantiser]:
    """The operators of a quantised graph, with their scales and zero points."""
    constants = constants_of(model)
    for node, _ in walk(model.graph.node):
        if node.op_type not in QUANTISED:
            continue
        names = [node.input[place] if place < len(node.input) else "" for place in SCALES.get(node.op_type, ())]
        stored = [constants.get(name) for name in (names or ("", ""))]
        scales, zeros = (np.zeros(0) if each is None else fetch(each).ravel() for each in stored)
        limits = np.iinfo(zeros.dtype if zeros.dtype.kind in "iu" else np.int64)
        yield Quantiser(
            title(node),
            names[0] if names else "",
            tuple(float(scale) for scale in scales),
            tuple(int(zero) for zero in zeros),
            int(limits.min),
            int(limits.max),
        )


def unused_weights(model: onnx.ModelProto) -> Iterator[str]:
    """Weights that nothing reads."""
    read = {name for node, _ in walk(model.graph.node) for name in node.input} | {
        each.name for each in model.graph.output
    }
    yield from (weight.name for weight in model.graph.initializer if weight.name not in read)


def _mode(node: onnx.NodeProto) -> str:
    return " ".join(each.s.decode(errors="replace") for each in node.attribute if each.name in MODES)


def _fed(model: onnx.ModelProto) -> set[str]:
    """Tensors that depend on the model's inputs."""
    weights = {weight.name for weight in model.graph.initializer}
    fed = {entry.name for entry in model.graph.input if entry.name not in weights}
    for node in model.graph.node:
        inner = {name for each, deep in walk([node]) if deep for name in each.input}
        if node.op_type not in REACHES_NO_DATA and (fed & ({*node.input} | inner) or not node.input):
            fed |= set(node.output) if node.op_type != "Constant" else set()
    return fed
