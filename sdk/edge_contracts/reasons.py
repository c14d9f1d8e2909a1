"""Reason codes: why a deployment, a request or an enrolment was refused, what to do, and whether to retry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Retry(StrEnum):
    """Whether the same assignment may be tried again on the same device."""

    NEVER = "never"
    BACKOFF = "backoff"
    """Exponential backoff with full jitter, at most five times."""


class Reason(StrEnum):
    """The code a user sees, stable across releases."""

    ASSIGNMENT_MALFORMED = "assignment-malformed"
    ASSIGNMENT_SIGNATURE = "assignment-signature"
    ASSIGNMENT_OTHER_DEVICE = "assignment-other-device"
    ASSIGNMENT_EXPIRED = "assignment-expired"
    ASSIGNMENT_REPLAYED = "assignment-replayed"
    METADATA_INVALID = "metadata-invalid"
    METADATA_EXPIRED = "metadata-expired"
    RELEASE_UNKNOWN = "release-unknown"
    RELEASE_TOO_OLD = "release-too-old"
    RELEASE_INCOMPATIBLE = "release-incompatible"
    MANIFEST_MALFORMED = "manifest-malformed"
    MANIFEST_DIGEST = "manifest-digest"
    ARTIFACT_LENGTH = "artifact-length"
    ARTIFACT_DIGEST = "artifact-digest"
    ARTIFACT_KEY = "artifact-key"
    ARTIFACT_TAMPERED = "artifact-tampered"
    PAYLOAD_DIGEST = "payload-digest"
    PAYLOAD_MALFORMED = "payload-malformed"
    QUARANTINED = "quarantined"
    TRANSPORT = "transport"
    DOWNLOAD_BUDGET = "download-budget"
    NO_SPACE = "no-space"
    BUSY = "busy"
    ENGINE_MISSING = "engine-missing"
    MODEL_UNLOADABLE = "model-unloadable"
    SELFTEST_OUTPUTS = "selftest-outputs"
    SELFTEST_LATENCY = "selftest-latency"
    SELFTEST_MEMORY = "selftest-memory"
    SELFTEST_COVERAGE = "selftest-coverage"
    PROBATION_CRASHES = "probation-crashes"
    PROBATION_HANG = "probation-hang"
    PROBATION_OUTPUTS = "probation-outputs"
    PROBATION_ERRORS = "probation-errors"
    PROBATION_LATENCY = "probation-latency"
    NO_LOADABLE_MODEL = "no-loadable-model"
    ABORTED_BY_SERVER = "aborted-by-server"
    SUPERSEDED = "superseded"
    TOO_MANY_TRANSITIONS = "too-many-transitions"


@dataclass(frozen=True)
class ReasonInfo:
    """One row of the table of reasons: the sentence a person reads and the next step."""

    sentence: str
    hint: str
    retry: Retry = Retry.NEVER


REASONS: Final[dict[Reason, ReasonInfo]] = {
    Reason.ASSIGNMENT_MALFORMED: ReasonInfo(
        "The assignment is not readable", "Compare the versions of server and agent; update the older one."
    ),
    Reason.ASSIGNMENT_SIGNATURE: ReasonInfo(
        "The assignment is not signed by the director that the owner named",
        "If the director key was rotated, publish the new public key with `edge-sdk keys director`.",
    ),
    Reason.ASSIGNMENT_OTHER_DEVICE: ReasonInfo(
        "The assignment names another device", "Look for a cloned identity; enrol this device anew."
    ),
    Reason.ASSIGNMENT_EXPIRED: ReasonInfo(
        "The assignment has expired", "The server issues a fresh one at the next poll; check both clocks."
    ),
    Reason.ASSIGNMENT_REPLAYED: ReasonInfo(
        "The assignment is older than one already followed", "Nothing to do; if it recurs, look who replays messages."
    ),
    Reason.METADATA_INVALID: ReasonInfo(
        "The signed metadata of the repository does not verify",
        "Run `edge-sdk keys show` and compare the root with the one the device was enrolled with.",
    ),
    Reason.METADATA_EXPIRED: ReasonInfo(
        "The signed metadata of the repository has expired",
        "Check that the server's scheduler runs (it renews the timestamp) and that the device's clock is right.",
    ),
    Reason.RELEASE_UNKNOWN: ReasonInfo(
        "The publisher's signed list does not hold this release", "Publish the release before rolling it out."
    ),
    Reason.RELEASE_TOO_OLD: ReasonInfo(
        "The release is older than one this device has committed",
        "Publish the old content again under a higher version number.",
    ),
    Reason.RELEASE_INCOMPATIBLE: ReasonInfo(
        "The release has no variant for this device's profile or engines",
        "Convert with `--profile` for this profile, or install the engine the variant needs.",
    ),
    Reason.MANIFEST_MALFORMED: ReasonInfo("The manifest is not readable", "Build the bundle again and publish it."),
    Reason.MANIFEST_DIGEST: ReasonInfo(
        "The manifest differs from the one the publisher signed", "Check the server's storage; publish again."
    ),
    Reason.ARTIFACT_LENGTH: ReasonInfo(
        "The artifact's length differs from the signed one", "Check proxies between device and server; publish again."
    ),
    Reason.ARTIFACT_DIGEST: ReasonInfo(
        "The artifact's bytes differ from those the publisher signed", "Check the server's storage; publish again."
    ),
    Reason.ARTIFACT_KEY: ReasonInfo(
        "The artifact's key was not wrapped to this device", "Enrol the device anew, then roll out again."
    ),
    Reason.ARTIFACT_TAMPERED: ReasonInfo(
        "The artifact does not decrypt: a segment was changed, dropped or reordered",
        "Check the server's storage; publish again.",
    ),
    Reason.PAYLOAD_DIGEST: ReasonInfo(
        "The decrypted content differs from the manifest", "Build the bundle again and publish it."
    ),
    Reason.PAYLOAD_MALFORMED: ReasonInfo(
        "The decrypted content is not a model with its golden data", "Build the bundle again and publish it."
    ),
    Reason.QUARANTINED: ReasonInfo(
        "This content failed on this device before", "Publish a repaired release; a failed one is not tried again."
    ),
    Reason.TRANSPORT: ReasonInfo(
        "The server could not be reached", "Nothing to do: the device tries again.", Retry.BACKOFF
    ),
    Reason.DOWNLOAD_BUDGET: ReasonInfo(
        "The download used up its bytes or tries", "Check the link; raise `download.max_attempts`.", Retry.BACKOFF
    ),
    Reason.NO_SPACE: ReasonInfo(
        "The device has too little free space", "Free space in the agent's state folder.", Retry.BACKOFF
    ),
    Reason.BUSY: ReasonInfo("The application holds updates back", "Wait, or release the hold.", Retry.BACKOFF),
    Reason.ENGINE_MISSING: ReasonInfo(
        "The engine or accelerator the variant needs is not on this device",
        "Install the engine's extra, or let the profile allow the CPU as fallback.",
    ),
    Reason.MODEL_UNLOADABLE: ReasonInfo(
        "The engine does not load the model", "Convert for this profile again; see the engine's message."
    ),
    Reason.SELFTEST_OUTPUTS: ReasonInfo(
        "The model's answers differ from the golden outputs",
        "The weights or the engine are wrong: compare with the bundle's report.",
    ),
    Reason.SELFTEST_LATENCY: ReasonInfo(
        "The model is slower here than its signed contract allows", "Relax the contract or choose a smaller variant."
    ),
    Reason.SELFTEST_MEMORY: ReasonInfo(
        "The model needs more memory than the device has", "Choose a smaller variant for this profile."
    ),
    Reason.SELFTEST_COVERAGE: ReasonInfo(
        "Too few operators run on the accelerator", "See the report for the operators that fell back."
    ),
    Reason.PROBATION_CRASHES: ReasonInfo("The model's worker crashed repeatedly", "See the worker's last messages."),
    Reason.PROBATION_HANG: ReasonInfo("The model's worker stopped answering", "See the worker's last messages."),
    Reason.PROBATION_OUTPUTS: ReasonInfo(
        "The model answers NaN, infinity or always the same", "Check the weights; see the telemetry windows."
    ),
    Reason.PROBATION_ERRORS: ReasonInfo("Too many requests failed on the new model", "See the agent's log."),
    Reason.PROBATION_LATENCY: ReasonInfo(
        "The new model was too slow on live traffic", "Choose a smaller variant for this profile."
    ),
    Reason.NO_LOADABLE_MODEL: ReasonInfo(
        "Neither the new nor the old model loads", "The device stays in safe mode until a new release comes."
    ),
    Reason.ABORTED_BY_SERVER: ReasonInfo("The rollout was aborted", "See the rollout's page for the reason."),
    Reason.SUPERSEDED: ReasonInfo("A newer assignment took its place", "Nothing to do."),
    Reason.TOO_MANY_TRANSITIONS: ReasonInfo(
        "The deployment went round in circles", "See the device's journal with `edge-agent journal`."
    ),
}
