"""ONNX variants from a canonical graph, one function per numeric scheme."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config
from onnxruntime.quantization.quantize import StaticQuantConfig
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from edge_converters.backends import onnx_files, onnx_network
from edge_converters.backends.hexagon_rounding import align
from edge_converters.backends.onnx_calibration import quantise
from edge_converters.backends.onnx_compaction import compact
from edge_converters.errors import NotConvertible
from edge_converters.networks import Evidence
from edge_converters.passes.equalisation import equalise


@dataclass(frozen=True)
class _Wishes:
    """What a scheme may look at beside the graph."""

    calibration: str
    """An .npy of float inputs."""
    for_qnn: bool
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    keep: Collection[str] = ()


def make(
    canonical: str,
    scheme: str,
    calibration: str,
    output: str,
    accelerator: str,
    ranges: dict[str, list[float]] | None = None,
    keep: list[str] | None = None,
) -> dict[str, Any]:
    """Write the variant to `output`. `calibration` is an .npy of float inputs, used where ranges are needed.

    For the QNN provider the quantised model also takes and gives stored values, so that no node is left to the CPU.
    Of QDQ schemes alone: `ranges` are the lowest and highest value of tensors, in place of what calibration sees;
    `keep` are layers that stay float (names of `onnx_network`).

    Raises:
        NotConvertible: the scheme takes no ranges or keeps no layers.
    """
    if (ranges or keep) and scheme not in TAKES_WISHES:
        raise NotConvertible(
            f"{scheme} has no ranges to set and keeps no layers in float", "Ask for that with a QDQ scheme of 8 bits."
        )
    _SCHEMES[scheme](canonical, output, _Wishes(calibration, accelerator == "qnn-htp", ranges or {}, keep or ()))
    return {}


class _Samples(CalibrationDataReader):  # type: ignore[misc] # the library has no types
    def __init__(self, entry: str, samples: npt.NDArray[np.float32]) -> None:
        self._entry = entry
        self._rows: Iterator[npt.NDArray[np.float32]] = iter(samples)

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        row = next(self._rows, None)
        return None if row is None else {self._entry: row[None]}


def _fp32(canonical: str, output: str, wishes: _Wishes) -> None:
    del wishes
    shutil.copyfile(canonical, output)


def _fp16(canonical: str, output: str, wishes: _Wishes) -> None:
    del wishes
    model = convert_float_to_float16(onnx.load(canonical), keep_io_types=True)
    OnnxModel.graph_topological_sort(model.graph)  # it appends what it puts before the first operators
    onnx.save(model, output)


def _qdq(activations: QuantType) -> Callable[[str, str, _Wishes], None]:
    def quantised(canonical: str, output: str, wishes: _Wishes) -> None:
        model = onnx_files.read(canonical)
        reader = _Samples(model.graph.input[0].name, np.load(wishes.calibration))
        config = _for_qnn(canonical, reader, activations) if wishes.for_qnn else _for_cpu(reader, activations)
        config.nodes_to_exclude = [node.name for node in model.graph.node if set(node.output) & set(wishes.keep)]
        config.extra_options.update(_overrides(model, wishes.ranges))
        quantise(canonical, output, config)
        model = onnx.load(output)
        if wishes.for_qnn:
            _strip_borders(model)
        else:
            compact(model)
        onnx.save(model, output)

    return quantised


def _overrides(model: onnx.ModelProto, ranges: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """ONNX Runtime's own form of the ranges, for tensors that the graph computes or takes."""
    computed = {name for node in model.graph.node for name in node.output} | {each.name for each in model.graph.input}
    known = {name: limits for name, limits in ranges.items() if name in computed}
    if not known:
        return {}
    as_arrays = {name: [np.array(limit, np.float32) for limit in limits] for name, limits in known.items()}
    return {"TensorQuantOverrides": {name: [{"rmin": low, "rmax": high}] for name, (low, high) in as_arrays.items()}}


def _u16_on_hexagon(canonical: str, output: str, wishes: _Wishes) -> None:
    """Equalised channels and round scales: see `hexagon_rounding` for why."""
    samples = np.load(wishes.calibration)
    content = onnx_network.load(canonical)
    evidence = Evidence(samples, onnx_network.runner(content))
    level = onnx_network.write(content, equalise(onnx_network.read(content), evidence))
    equalised = Path(output).with_suffix(".equalised.onnx")
    equalised.write_bytes(level)
    floats = onnx.load_from_string(level)
    reader = _Samples(floats.graph.input[0].name, samples)
    quantise(str(equalised), output, _for_qnn(str(equalised), reader, QuantType.QUInt16))
    model = align(onnx.load(output), floats)
    _strip_borders(model)
    onnx.save(model, output)


def _for_cpu(reader: _Samples, activations: QuantType) -> StaticQuantConfig:
    return StaticQuantConfig(
        reader,
        quant_format=QuantFormat.QDQ,
        activation_type=activations,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


def _for_qnn(canonical: str, reader: _Samples, activations: QuantType) -> StaticQuantConfig:
    """Qualcomm's rules (no per-channel MatMul, fixed scales of sigmoid and tanh), every operator quantised."""
    config = get_qnn_qdq_config(
        canonical, reader, activation_type=activations, weight_type=QuantType.QInt8, per_channel=True
    )
    config.extra_options["ForceQuantizeNoInputCheck"] = True
    return config


_SCHEMES: Final[dict[str, Callable[[str, str, _Wishes], None]]] = {
    "fp32": _fp32,
    "fp16": _fp16,
    "qdq-u8s8": _qdq(QuantType.QUInt8),
    "qdq-s8s8": _qdq(QuantType.QInt8),
    "qdq-u16s8": _u16_on_hexagon,
}
TAKES_WISHES: Final = frozenset({"qdq-u8s8", "qdq-s8s8"})


def _strip_borders(model: onnx.ModelProto) -> None:
    """Take the first QuantizeLinear and the last DequantizeLinear away: the graph's ends become stored values."""
    graph = model.graph
    for entry in graph.input:
        readers = [node for node in graph.node if entry.name in node.input]
        if len(readers) == 1 and readers[0].op_type == "QuantizeLinear":
            _retype(graph, entry, readers[0])
            _rename(graph, readers[0].output[0], entry.name)
            graph.node.remove(readers[0])
    for end in graph.output:
        (writer,) = (node for node in graph.node if end.name in node.output)
        if writer.op_type == "DequantizeLinear":
            _retype(graph, end, writer)
            graph.node.remove(writer)
            _rename(graph, writer.input[0], end.name)


def _retype(graph: onnx.GraphProto, end: onnx.ValueInfoProto, node: onnx.NodeProto) -> None:
    zero = next(weight for weight in graph.initializer if weight.name == node.input[2])
    end.type.tensor_type.elem_type = zero.data_type


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for info in [info for info in graph.value_info if info.name in {old, new}]:
        graph.value_info.remove(info)
