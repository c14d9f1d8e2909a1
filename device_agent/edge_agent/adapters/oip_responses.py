"""Writes answers of the Open Inference Protocol V2 (REST): metadata, and outputs as JSON or as binary tensor data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge_agent.adapters.oip_requests import InferRequest, OutputWish
from edge_agent.core.tensors import DATATYPES, DTYPES, Array, classes_of, to_real
from edge_agent.ports import Answer, InvalidRequest, ModelFailed, Release, SelfTest
from edge_contracts.manifest import DataType, TensorSpec
from edge_contracts.reasons import Reason

HEADER_LENGTH: Final = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Body:
    """Bytes to send; `header_length` is that of the JSON part where binary data follows it."""

    content: bytes
    header_length: int | None = None


def model_metadata(release: Release, selftest: SelfTest | None) -> dict[str, Any]:
    """What the protocol says of a model, with the release's own facts as parameters."""
    manifest, variant = release.manifest, release.variant
    parameters: dict[str, Any] = {"variant": variant.name, "model_digest": variant.model.digest}
    if selftest is not None:
        parameters |= {"accelerator": selftest.accelerator, "fallback": selftest.fallback, "device": selftest.device}
        parameters |= {} if selftest.coverage is None else {"coverage": selftest.coverage}
    return {
        "name": manifest.model,
        "versions": [str(manifest.version)],
        "platform": f"{variant.needs.engine}_{variant.format}",
        "inputs": [_tensor_metadata(spec) for spec in variant.inputs],
        "outputs": [_tensor_metadata(spec) for spec in variant.outputs],
        "parameters": parameters,
    }


def check_wishes(request: InferRequest, release: Release) -> None:
    """Refuse what cannot be answered before anything is run.

    Raises:
        InvalidRequest: an output the model does not have, or in a datatype it cannot be given in.
    """
    specs = {spec.name: spec for spec in release.variant.outputs}
    for wish in _wishes(request, release):
        spec = specs.get(wish.name)
        if spec is None:
            raise InvalidRequest(f"the model has no output {wish.name[:64]!r}; it has {', '.join(specs)}")
        wanted = wish.datatype or request.datatype
        if wanted not in {None, spec.datatype, DataType.FP32}:
            raise InvalidRequest(f"output {wish.name!r} can be given as {spec.datatype} or FP32, not as {wanted}")


def write_answer(request: InferRequest, answer: Answer) -> Body:
    """The answer's outputs as the request wants them.

    A request with real values for a quantised input gets real outputs, any other the model's own, unless it says
    otherwise by the parameter `datatype` of the request or of an output.

    Raises:
        ModelFailed: NaN or infinity, which JSON cannot hold.
    """
    release = answer.release
    specs = {spec.name: spec for spec in release.variant.outputs}
    listed, blocks = [], []
    for wish in _wishes(request, release):
        array = _wanted(answer.outputs[wish.name], specs[wish.name], wish.datatype or _default_type(request, release))
        about: dict[str, Any] = {
            "name": wish.name,
            "datatype": DATATYPES[array.dtype],
            "shape": list(array.shape),
        }
        if request.binary if wish.binary is None else wish.binary:
            blocks.append(np.ascontiguousarray(array).tobytes())
            about["parameters"] = {"binary_data_size": array.nbytes}
        else:
            about["data"] = _json_values(array, wish.name)
        listed.append(about)
    text = json.dumps(_head(request, answer) | {"outputs": listed}, separators=(",", ":")).encode()
    return Body(text + b"".join(blocks), len(text)) if blocks else Body(text)


def _head(request: InferRequest, answer: Answer) -> dict[str, Any]:
    manifest, variant = answer.release.manifest, answer.release.variant
    parameters = {
        "release_version": manifest.version,
        "variant": variant.name,
        "model_digest": variant.model.digest,
        "accelerator": answer.accelerator,
        "fallback": answer.fallback,
        "engine_us": round(answer.latency_us, 1),
        **_label(answer),
    }
    identity = {} if request.id is None else {"id": request.id}
    return {"model_name": manifest.model, "model_version": str(manifest.version), **identity, "parameters": parameters}


def _label(answer: Answer) -> dict[str, str]:
    """The name of the top class, where one sample was asked about and the release names its classes."""
    labels = answer.release.manifest.labels
    classes = classes_of(answer.release, answer.outputs) if labels else None
    if classes is None or len(classes) != 1 or classes[0] >= len(labels):
        return {}
    return {"label": labels[classes[0]]}


def _wishes(request: InferRequest, release: Release) -> tuple[OutputWish, ...]:
    return request.wishes or tuple(OutputWish(spec.name, None, None) for spec in release.variant.outputs)


def _default_type(request: InferRequest, release: Release) -> DataType | None:
    if request.datatype is not None:
        return request.datatype
    stored = all(request.inputs[spec.name].dtype == DTYPES[spec.datatype] for spec in release.variant.inputs)
    return None if stored else DataType.FP32


def _wanted(array: Array, spec: TensorSpec, datatype: DataType | None) -> Array:
    real = datatype is DataType.FP32 and spec.datatype is not DataType.FP32
    return to_real(spec, array) if real else array


def _json_values(array: Array, name: str) -> list[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        sentence = f"output {name!r} is NaN or infinite, which JSON cannot hold; ask for binary data to see it"
        raise ModelFailed(Reason.PROBATION_OUTPUTS, sentence)
    values: list[Any] = array.reshape(-1).tolist()
    return values


def _tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
    if spec.quantization is not None:
        metadata["parameters"] = spec.quantization.model_dump()
    return metadata
