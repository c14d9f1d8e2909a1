"""What the agent's parts ask of each other. Each port says what may be retried and which errors come out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_contracts.ids import DeploymentId, ModelName
from edge_contracts.lifecycle import Outcome, State
from edge_contracts.manifest import EngineNeeds, FileRef, Manifest, Variant
from edge_contracts.payload import Payload
from edge_contracts.reasons import Reason

Tensors = dict[str, npt.NDArray[np.generic]]


class AgentError(Exception):
    """Base of the agent's errors; `hint` says what to do now."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotReady(AgentError):
    """A part is not (yet) able to answer. Reaction: 503 with Retry-After."""


class ModelFailed(AgentError):
    """The model cannot be used. Reaction: end the deployment with `reason`."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unreachable(AgentError):
    """The server or broker did not answer properly. Reaction: back off and try again."""


class InvalidRequest(AgentError):
    """An inference request does not fit the signed tensor signature. Reaction: 400 with the sentence."""


class UnknownModel(InvalidRequest):
    """The model or version asked for is not the one that answers. Reaction: 404 with the sentence."""


@dataclass(frozen=True)
class Release:
    """A release as the device holds it: manifest, chosen variant and decrypted payload."""

    manifest: Manifest
    variant: Variant
    payload: Payload


@dataclass(frozen=True)
class SelfTest:
    """What was seen when a release was loaded and its golden inputs were run in its own process.

    Errors are on real values, largest over all outputs; `coverage` is the share of nodes on the accelerator, 0..1;
    latencies in milliseconds for one golden sample; `rss_bytes` of the worker after warm-up.
    """

    worst_excess: float
    """Largest |got - expected| - (absolute + relative * |expected|); <= 0 is within tolerance."""
    max_abs_error: float
    top1_agreement: float
    finite: bool
    latency_p50_ms: float
    latency_p99_ms: float
    rss_bytes: int
    accelerator: str
    fallback: bool
    coverage: float | None
    load_ms: float
    device: str = ""
    """What the accelerator is on this machine, as far as the engine says: `software Vulkan`, `Hexagon simulator`."""


@dataclass(frozen=True)
class ServingHealth:
    """Live traffic on the active release since it was activated. `requests` counts those answered."""

    requests: int
    errors: int
    crashes: int
    hangs: int
    non_finite: int
    distinct_answers: int
    """Different top classes (or rounded outputs) seen, counted up to 2: 1 after many requests is a constant model."""
    p99_ms: float | None
    distinct_inputs: int = 2
    """Different inputs seen, counted up to 2: one input asked again and again rightly has one answer."""


class Serving(Protocol):
    """Runs releases, each in a process of its own, behind one pointer. Thread-safe.

    A native crash, hang or memory exhaustion kills a worker, never the agent; the active worker is started again by
    itself (counted in `ServingHealth.crashes`).
    """

    def prepare(self, release: Release) -> SelfTest:
        """Load `release` as the candidate beside the active one, warm it, run its golden inputs.

        Replaces an earlier candidate. Idempotent. Raises ModelFailed (engine-missing, model-unloadable,
        selftest-memory); the active release is untouched by a failure.
        """

    def activate(self) -> None:
        """The candidate answers from the next request on; requests under way finish on the old worker, which stays
        warm as `standby`. Raises ModelFailed if there is no candidate."""

    def swap_back(self) -> bool:
        """The standby answers again, at once. False if none is warm: `prepare` the previous release and activate."""

    def settle(self) -> None:
        """The active release is committed: the standby may be stopped. Idempotent."""

    def discard_candidate(self) -> None:
        """Stop the candidate's worker if there is one. Idempotent."""

    def stop_serving(self) -> None:
        """No model answers (safe mode). Idempotent."""

    def active(self) -> Release | None:
        """The release that answers now."""

    def active_selftest(self) -> SelfTest | None:
        """What its load showed (accelerator, fallback, coverage)."""

    def health(self) -> ServingHealth:
        """Live traffic since the active release was activated; cheap."""

    def infer(self, model: ModelName, version: int | None, inputs: Tensors) -> Answer:
        """Answer one request: inputs in the model's own type, or FP32 real values (see `core.tensors`).

        Raises InvalidRequest (UnknownModel for another model or version), NotReady, ModelFailed (this request only).
        """

    def close(self) -> None:
        """Stop every worker."""


@dataclass(frozen=True)
class Answer:
    """Outputs by name in the model's own type (`core.tensors.to_real` gives real values), and which model bytes made
    them. `latency_us` is the engine's own time: no queue, no transport."""

    outputs: Tensors
    release: Release
    accelerator: str
    fallback: bool
    latency_us: float


class Observer(Protocol):
    """Told of every request; must return quickly and never raise."""

    def answered(self, inputs: Tensors, answer: Answer) -> None:
        """A request was answered. `inputs` are as they came, after validation."""

    def failed(self, release: Release, error: Exception) -> None:
        """A valid request was not answered."""


class Reports(Protocol):
    """Where the transitions of a deployment go: kept until the server has confirmed them, across restarts."""

    def deployment(
        self,
        deployment: DeploymentId,
        model: ModelName,
        version: int,
        state: State,
        *,
        outcome: Outcome | None = None,
        reason: Reason | None = None,
        detail: str = "",
        progress: float | None = None,
    ) -> None:
        """Queue one report; returns once it is stored. Never raises: with a full disk it is held in memory.

        Not idempotent: each call is a report of its own. `progress` is 0..1; `detail` is cut to what fits.
        """


class EngineCensus(Protocol):
    """What this device can run, found at start."""

    def runs(self, needs: EngineNeeds) -> bool:
        """Whether an engine for `needs` is here, its allowed fallback included."""

    def found(self) -> tuple[str, ...]:
        """Engine/accelerator pairs, as `onnxruntime/cpu`."""


class Repository(Protocol):
    """The server's signed metadata and files. Network and verification by python-tuf behind it."""

    def refresh(self, now: datetime) -> None:
        """Fetch and verify root, timestamp, snapshot, targets. Raises Unreachable; Refused (metadata-invalid,
        metadata-expired)."""

    def target(self, path: str) -> FileRef | None:
        """Digest and length the publisher signed for `path`; None if not listed. After `refresh`."""

    def read_target(self, path: str) -> bytes:
        """The verified bytes of a small target (manifest, director's key). Raises Unreachable, Refused."""

    def assignment(self) -> bytes | None:
        """The signed envelope for this device; None if there is none. Raises Unreachable."""
