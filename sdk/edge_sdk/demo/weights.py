"""Spoils the weights inside the model files of a bundle, as a broken training job would. A program of its own.

`python -m edge_sdk.demo.weights BUNDLE OUT VERSION shuffled|constant` writes OUT: the same graphs, shapes and types,
every digest of the manifest honestly made anew, so that all signatures hold.

- shuffled: each layer's weights in another order; the golden outputs stay those of the good model.
- constant: all weights zero, so that every input gets the same answer; and the tolerance is opened wide, as by a
  publisher who wanted the self-test out of the way.

It runs in a process of its own because the ML libraries are large and slow to load.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import flatbuffers
import numpy as np
import numpy.typing as npt
import onnx
from ai_edge_litert import schema_py_generated as schema

from edge_contracts.ids import Digest
from edge_contracts.manifest import MANIFEST_FILE, FileRef, Manifest, Tolerance, Variant, write_manifest
from edge_contracts.payload import Payload, pack_payload
from edge_converters.bundles import golden_file, model_file, read_bundle, write_bundle

LEAST_WEIGHTS: Final = 64
"""Smaller constants are shapes, axes and the like, or biases."""
SEED: Final = 13
Weights = npt.NDArray[np.generic]


def shuffled(weights: Weights) -> Weights:
    """The same values in another order."""
    return np.random.default_rng(SEED).permutation(weights.reshape(-1)).reshape(weights.shape)


def constant(weights: Weights) -> Weights:
    """Zeros."""
    return np.zeros_like(weights)


FAULTS: Final[dict[str, Callable[[Weights], Weights]]] = {"shuffled": shuffled, "constant": constant}
WIDE_OPEN: Final = Tolerance(absolute=1e9, top1_agreement=0.0)


def main(source: Path, out: Path, version: int, fault: str) -> None:
    """Write the spoilt bundle."""
    bundle = read_bundle(source)
    files: dict[str, bytes] = {}
    variants = []
    for variant in bundle.manifest.variants:
        model = (source / model_file(variant)).read_bytes()
        golden = (source / golden_file(variant)).read_bytes()
        spoilt = _SPOIL[variant.format](model, FAULTS[fault])
        files |= {model_file(variant): spoilt, golden_file(variant): golden}
        variants.append(_described(variant, spoilt, golden, wide_open=fault == "constant"))
    manifest = bundle.manifest.model_copy(update={"version": version, "variants": tuple(variants)})
    write_bundle(out, {**files, MANIFEST_FILE: write_manifest(Manifest.model_validate(manifest.model_dump()))})
    print(json.dumps({"spoilt": len(variants)}))  # noqa: T201 - its answer


def _described(variant: Variant, model: bytes, golden: bytes, *, wide_open: bool) -> Variant:
    payload = pack_payload(Payload(model, golden))
    changes: dict[str, object] = {"model": _ref(model), "payload": _ref(payload)}
    return variant.model_copy(update=changes | ({"tolerance": WIDE_OPEN} if wide_open else {}))


def _ref(data: bytes) -> FileRef:
    return FileRef(digest=Digest.of(data), length=len(data))


def _spoil_onnx(data: bytes, spoil: Callable[[Weights], Weights]) -> bytes:
    model = onnx.load_from_string(data)
    for initializer in model.graph.initializer:
        weights = onnx.numpy_helper.to_array(initializer)
        if weights.size >= LEAST_WEIGHTS:
            initializer.CopyFrom(onnx.numpy_helper.from_array(spoil(weights), initializer.name))
    return bytes(model.SerializeToString())


_TYPES: Final = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
}


def _spoil_tflite(data: bytes, spoil: Callable[[Weights], Weights]) -> bytes:
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    for tensor in model.subgraphs[0].tensors:
        content = model.buffers[tensor.buffer].data
        if content is None or tensor.type not in _TYPES:
            continue
        weights = np.asarray(content, np.uint8).view(_TYPES[tensor.type])
        if weights.size >= LEAST_WEIGHTS:
            model.buffers[tensor.buffer].data = spoil(weights).view(np.uint8)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


_SPOIL: Final[dict[str, Callable[[bytes, Callable[[Weights], Weights]], bytes]]] = {
    "onnx": _spoil_onnx,
    "tflite": _spoil_tflite,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
