"""What the updater asks of its disk and of the artifact store. Adapters act; errors are these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from edge_agent.core.budgets import Attempt
from edge_agent.core.slots import Slots
from edge_agent.core.updating import Ended, Standing, Transition
from edge_agent.ports import AgentError
from edge_contracts.ids import DeploymentId, Digest
from edge_contracts.manifest import FileRef
from edge_contracts.reasons import Reason
from edge_contracts.verification import Plan


class StorageFailed(AgentError):
    """The disk is full or failing. Nothing was half-written. Reaction: give up space, go on serving, try again."""


class Journal(Protocol):
    """The durable memory of deployments. Every method may raise StorageFailed; what returned has outlasted a crash."""

    def standing(self) -> Standing:
        """The deployment under way."""

    def record(self, standing: Standing, rows: Sequence[Transition], ended: Ended | None = None) -> None:
        """Replace the standing and add `rows` (and the end of the deployment) in one transaction."""

    def note(self, standing: Standing) -> None:
        """Replace the standing without a transition: counters within a state."""

    def ended(self, deployment: DeploymentId) -> Ended | None:
        """How `deployment` ended on this device, if it did."""

    def first_refusal(self, envelope: Digest, reason: Reason, at: datetime) -> bool:
        """Remember a refusal; whether it is the first of these bytes for this reason."""

    def history(self, limit: int) -> tuple[Transition, ...]:
        """The latest transitions, oldest first."""


class SlotStore(Protocol):
    """The slots on disk."""

    def read(self) -> Slots:
        """The slots as last written; empty ones on a new device. Raises StorageFailed."""

    def write(self, slots: Slots) -> None:
        """Replace them in one step. Raises StorageFailed: then the old ones stand."""


class ReleaseStore(Protocol):
    """Releases on disk by the digest of their artifact: ciphertext, manifest, wrapped key. No plaintext."""

    def offer(self, plan: Plan, manifest: bytes) -> None:
        """Keep what is needed to fetch and verify the artifact. Idempotent. Raises StorageFailed."""

    def plan(self, release: Digest) -> Plan | None:
        """What was offered; None if it is not here or not readable any more."""

    def has_artifact(self, release: Digest) -> bool:
        """Whether the whole ciphertext is here with the right digest; a damaged one is removed."""

    def fetched(self, release: Digest) -> int:
        """Bytes of the ciphertext here so far."""

    def artifact(self, release: Digest) -> bytes:
        """The ciphertext as it is on disk, to be verified. Raises StorageFailed if it cannot be read."""

    def complete(self, release: Digest) -> None:
        """The fetched ciphertext is verified: make it durable under its name. Idempotent. Raises StorageFailed."""

    def discard(self, release: Digest) -> None:
        """Remove the ciphertext, whole or in part. Idempotent."""

    def keep(self, releases: Collection[Digest]) -> None:
        """Remove every other release. Idempotent; what cannot be removed is left for the next time."""

    def free_bytes(self) -> int:
        """Free space where releases are kept."""


class Downloads(Protocol):
    """Fetches ciphertext into the release store, from where an earlier attempt ended."""

    def attempt(self, artifact: FileRef, stop: Callable[[], bool], progress: Callable[[int], None]) -> Attempt:
        """One request. `stop` is asked between chunks; `progress` is told the bytes on disk.

        Network trouble comes back as the attempt's `problem`. Raises Refused (artifact-length) when the server's file
        is not of the signed length; StorageFailed.
        """
