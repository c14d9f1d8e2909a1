"""A small client of a device's inference API (Open Inference Protocol V2, REST with JSON tensors).

https://github.com/kserve/open-inference-protocol. Meant for trying and for tests; a program that needs speed takes
tritonclient or the binary tensor extension.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import Rejected, Unreachable


@dataclass(frozen=True)
class Inference:
    """The answer to one request. `scores` are the first output's values as the model stores them, samples first."""

    scores: npt.NDArray[np.float64]
    version: int
    milliseconds: float
    """From sending to receiving, as the application sees it."""


class InferenceClient:
    """One connection to a device's inference API; not for several threads at once."""

    def __init__(self, address: str, timeout: float = 30.0) -> None:
        self.address = address.rstrip("/")
        self._http = httpx.Client(base_url=self.address, timeout=timeout, trust_env=False)
        self._inputs: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def infer(self, model: str, sample: npt.NDArray[np.generic]) -> Inference:
        """Ask about real-valued samples (samples first); the device quantises them as the model wants.

        Raises:
            Rejected: no such model, a wrong shape, overload (status 503).
            Unreachable: nothing answers.
        """
        name = self._inputs.get(model) or self._first_input(model)
        values = np.asarray(sample, np.float32)
        tensor = {"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}
        start = time.perf_counter()
        answer = self._send("POST", f"/v2/models/{model}/infer", {"inputs": [tensor]})
        elapsed = (time.perf_counter() - start) * 1e3
        output = answer["outputs"][0]
        scores = np.asarray(output["data"], np.float64).reshape(output["shape"])
        return Inference(scores, int(answer["model_version"]), elapsed)

    def metadata(self, model: str) -> dict[str, Any]:
        """The model's tensors and versions as the device tells them."""
        return self._send("GET", f"/v2/models/{model}")

    def _first_input(self, model: str) -> str:
        name = str(self.metadata(model)["inputs"][0]["name"])
        self._inputs[model] = name
        return name

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body)
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"the device at {self.address} does not answer: {reason}", "Look at its log.") from error
        if not response.is_success:
            said = str(answer.get("detail") or answer.get("error") or response.reason_phrase)
            code, hint = str(answer.get("code", "inference")), str(answer.get("hint", ""))
            raise Rejected(said, hint, code=code, status=response.status_code)
        return answer
