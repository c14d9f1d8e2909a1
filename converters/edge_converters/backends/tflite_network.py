"""Between a float TFLite file and the neutral network that passes work on.

Names are the file's tensors'; a layer has the name of its first output. Channels lie along the last axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_converters.backends import tflite_files
from edge_converters.backends.tflite_editing import Editor
from edge_converters.backends.tflite_layers import Graph, find_layers, find_shapes
from edge_converters.channel_axes import find_channel_axes
from edge_converters.networks import Network, Run

Array = npt.NDArray[Any]


def read(content: tflite_files.Content) -> Network:
    """The network of a float file's first subgraph."""
    graph = Graph(content)
    layers = tuple(found.layer for found in find_layers(graph))
    shapes = find_shapes(graph, layers)
    return Network(
        layers=layers,
        inputs=tuple(graph.names[int(place)] for place in graph.main.inputs),
        outputs=tuple(graph.names[int(place)] for place in graph.main.outputs),
        shapes=shapes,
        channel_axes=find_channel_axes(layers, shapes, conv_axis=-1),
    )


def write(content: tflite_files.Content, network: Network) -> bytes:
    """The file with the network's edits; what no edit touches stays as it is, what nothing reads any more goes.

    Edits: other constants, groups and shapes; layers taken out, renamed tensors between layers; convolutions, dense
    layers and reshapes that the file did not have.

    Raises:
        NotConvertible: a layer has no form in TFLite, such as a convolution with pads of its own.
    """
    graph = Graph(content)
    editor = Editor(graph, find_layers(graph), network)
    graph.main.operators = [editor.operator(layer) for layer in network.layers]
    editor.set_ends()
    tflite_files.drop_unused(graph.model)
    return tflite_files.pack(graph.model)


def runner(content: tflite_files.Content) -> Run:
    """Runs edits of `content` in LiteRT's own kernels (no delegate), which keep every tensor for reading."""

    def run(network: Network, tensors: Sequence[str], samples: Array) -> dict[str, Array]:
        interpreter = Interpreter(
            model_content=write(content, network),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        (entry,) = interpreter.get_input_details()
        places = {detail["name"]: detail["index"] for detail in reversed(interpreter.get_tensor_details())}
        rows: dict[str, list[Array]] = {name: [] for name in tensors}
        for sample in samples:
            interpreter.set_tensor(entry["index"], sample[None])
            interpreter.invoke()
            for name, row in rows.items():
                row.append(interpreter.get_tensor(places[name]))
        return {name: np.concatenate(row) for name, row in rows.items()}

    return run
