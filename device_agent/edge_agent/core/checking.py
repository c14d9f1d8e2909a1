"""The check for an assignment: signed metadata, then the director's statement, then the release it names."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from edge_agent.core.slots import Slots
from edge_agent.core.storage import ReleaseStore
from edge_agent.ports import EngineCensus, Repository
from edge_contracts.assignments import Assignment, Kind, read_director_key
from edge_contracts.errors import Malformed, Refused
from edge_contracts.ids import DeviceId, ProfileName, TenantId
from edge_contracts.reasons import Reason
from edge_contracts.targets import DIRECTOR_TARGET, artifact_target, manifest_target
from edge_contracts.verification import Device, Plan, verify_assignment, verify_release


@dataclass(frozen=True)
class Owner:
    """The device as the updater knows it; `hpke` opens the keys wrapped to it."""

    tenant: TenantId
    device: DeviceId
    profile: ProfileName
    hpke: X25519PrivateKey


@dataclass(frozen=True)
class Offer:
    """A release that may be installed, with the manifest's signed bytes."""

    plan: Plan
    manifest: bytes


@dataclass(frozen=True)
class Checker:
    """Steps 1 to 10 of the verification, fed from the repository."""

    owner: Owner
    repository: Repository
    releases: ReleaseStore
    census: EngineCensus

    def envelope(self, now: datetime) -> bytes | None:
        """The assignment's envelope, fetched after a metadata refresh.

        Raises:
            Unreachable, Refused (metadata-invalid, metadata-expired).
        """
        self.repository.refresh(now)
        return self.repository.assignment()

    def assignment(self, envelope: bytes, slots: Slots, now: datetime) -> Assignment:
        """Steps 1 to 5 on `envelope`.

        Raises:
            Unreachable, Refused.
        """
        try:
            director = read_director_key(self.repository.read_target(DIRECTOR_TARGET))
        except Malformed as error:
            raise Refused(Reason.ASSIGNMENT_SIGNATURE, str(error), 1) from error
        return verify_assignment(envelope, director, self._device(slots, claim(envelope)), now)

    def offer(self, assignment: Assignment, slots: Slots) -> Offer:
        """Steps 6 to 10: the release that `assignment` (already verified) names.

        A revert means the variant that is on this device, opened by the key that came with it when it was installed.

        Raises:
            Unreachable, Refused.
        """
        if assignment.kind is Kind.REVERT and (held := self._held(slots, assignment)):
            own = {"variant": held.assignment.variant, "wrapped_key": held.assignment.wrapped_key}
            assignment = assignment.model_copy(update=own)
        manifest = manifest_target(assignment.model, assignment.version)
        signed = self.repository.target(manifest)
        data = self.repository.read_target(manifest) if signed else b""
        artifact = self.repository.target(artifact_target(assignment.model, assignment.version, assignment.variant))
        plan = verify_release(assignment, data, signed, artifact, self._device(slots, assignment))
        return Offer(plan, data)

    def _device(self, slots: Slots, asked: Assignment | None) -> Device:
        return Device(
            tenant=self.owner.tenant,
            id=self.owner.device,
            profile=self.owner.profile,
            last_counter=slots.counter,
            floors=slots.floors,
            # The release to go back to is in the previous slot, or, while a newer one is on probation, in the good one.
            previous={asked.model: asked.version} if asked and self._held(slots, asked) else {},
            quarantine=frozenset(slots.quarantine),
            runs=self.census.runs,
        )

    def _held(self, slots: Slots, asked: Assignment) -> Plan | None:
        plans = (self.releases.plan(slot) for slot in (slots.previous, slots.good) if slot)
        wanted = (asked.model, asked.version)
        return next((plan for plan in plans if plan and (plan.manifest.model, plan.manifest.version) == wanted), None)


def claim(envelope: bytes) -> Assignment | None:
    """What `envelope` says, believed by nobody: to name the deployment in the report of a refusal."""
    try:
        return Assignment.model_validate_json(base64.b64decode(json.loads(envelope)["payload"]))
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        return None
