"""Between a canonical ONNX graph and the neutral network that passes work on. Needs inferred shapes and batch 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper

from edge_converters.backends import onnx_files
from edge_converters.backends.onnx_editing import added, edited
from edge_converters.backends.onnx_layers import Source, read_shapes, read_sources
from edge_converters.backends.onnx_names import name_nodes
from edge_converters.channel_axes import find_channel_axes
from edge_converters.networks import Network, Run

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Graph:
    """A canonical graph, its large weights left in a file of `folder`. Nothing in it is changed."""

    model: onnx.ModelProto
    folder: Path = Path()

    @cached_property
    def sources(self) -> list[Source]:
        """Its layers, in its order."""
        return read_sources(self.model, self.folder)


Content = bytes | Graph


def load(path: str) -> Graph:
    """The graph of a file, which must stay as it is meanwhile."""
    return Graph(onnx_files.read(path), Path(path).parent)


def read(content: Content) -> Network:
    """The network of a canonical graph."""
    graph = _graph(content)
    model = graph.model
    layers, known = tuple(source.layer for source in graph.sources), read_shapes(model)
    names = {name for layer in layers for name in (*layer.inputs, *layer.outputs)}
    kept = {name: shape for name, shape in known.items() if name in names}
    return Network(
        layers=layers,
        inputs=tuple(each.name for each in model.graph.input),
        outputs=tuple(each.name for each in model.graph.output),
        shapes=kept,
        channel_axes=find_channel_axes(layers, kept),
    )


def write(content: Content, network: Network) -> bytes:
    """The graph with the network's edits: constants, removed and new layers, shapes. Nodes and names stay otherwise."""
    graph = _graph(content)
    written: bytes = onnx_files.whole(_written(graph, network), graph.folder).SerializeToString()
    return written


def _graph(content: Content) -> Graph:
    return content if isinstance(content, Graph) else Graph(onnx.ModelProto.FromString(content))


def _written(content: Graph, network: Network) -> onnx.ModelProto:
    model = content.model
    known = {source.layer.name: source for source in content.sources}
    constants = {weight.name: weight for weight in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    fresh: list[onnx.TensorProto] = []
    for layer in network.layers:
        made, weights = edited(known[layer.name], layer, network, constants) if layer.name in known else added(layer)
        nodes += made
        fresh += weights
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    used = {name for node in nodes for name in node.input}
    anew = {weight.name for weight in fresh}  # a pass before may have given a constant the same name
    kept = [weight for weight in model.graph.initializer if weight.name in used - anew]
    for old, new in ((graph.node, nodes), (graph.initializer, [*kept, *fresh]), (graph.value_info, [])):
        del old[:]
        old.extend(new)
    name_nodes(graph)
    onnx_files.infer_shapes(result)
    return result


def runner(content: Content) -> Run:
    """Runs edits of a graph in ONNX Runtime."""
    graph = _graph(content)

    def run(network: Network, names: Sequence[str], samples: Array) -> dict[str, Array]:
        probed = _written(graph, network)
        ends = {end.name for end in probed.graph.output}
        extra = [name for name in names if name not in ends and name not in network.inputs]
        probed.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in extra)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = onnx_files.open_session(probed, graph.folder, options)
        (entry,) = (each.name for each in session.get_inputs())
        asked = [name for name in names if name != entry]
        rows = [session.run(asked, {entry: sample[None]}) for sample in samples] if asked else []
        got = {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(asked)}
        return got | ({entry: samples} if entry in names else {})

    return run
