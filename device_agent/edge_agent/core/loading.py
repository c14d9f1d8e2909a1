"""From ciphertext on disk to an answering model: every byte is verified again, each time it is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.core.checking import Owner
from edge_agent.core.health import describe_selftest, judge_selftest
from edge_agent.core.storage import ReleaseStore
from edge_agent.ports import ModelFailed, Release, SelfTest, Serving
from edge_contracts.errors import Refused
from edge_contracts.ids import Digest
from edge_contracts.reasons import Reason
from edge_contracts.verification import Plan, verify_artifact


class Unloadable(Exception):
    """A release on disk cannot answer here. Reaction: the next slot, or the end of the deployment by `reason`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Loader:
    """Opens releases of the store for this device and puts them into serving."""

    owner: Owner
    releases: ReleaseStore
    serving: Serving

    def plan(self, digest: Digest) -> Plan:
        """What was offered under `digest`.

        Raises:
            Unloadable: it is gone from the disk or not readable any more.
        """
        plan = self.releases.plan(digest)
        if plan is None:
            raise Unloadable(Reason.ARTIFACT_DIGEST, f"{digest} is not on this device's disk, or not whole")
        return plan

    def open(self, digest: Digest) -> Release:
        """Steps 11 to 15 of the verification on the ciphertext as it is on disk.

        Raises:
            Unloadable: a step said no. StorageFailed: the disk does not give the bytes.
        """
        plan = self.plan(digest)
        try:
            payload = verify_artifact(plan, self.releases.artifact(digest), self.owner.device, self.owner.hpke)
        except Refused as error:
            raise Unloadable(error.reason, error.detail) from error
        return Release(plan.manifest, plan.variant, payload)

    def test(self, release: Release) -> str:
        """Load `release` as the candidate and judge its self-test; the figures in words.

        Raises:
            Unloadable: it does not load or does not pass.
        """
        facts = self._prepare(release)
        reason = judge_selftest(facts, release.variant)
        if reason is not None:
            raise Unloadable(reason, describe_selftest(facts))
        return describe_selftest(facts)

    def activate(self) -> None:
        """The tested candidate answers.

        Raises:
            Unloadable: it is gone.
        """
        try:
            self.serving.activate()
        except ModelFailed as error:
            raise Unloadable(error.reason, str(error)) from error

    def restore(self, digest: Digest) -> None:
        """A release that was committed before answers again. Slow is better than silent, wrong is not: of its
        self-test only the outputs count.

        Raises:
            Unloadable, StorageFailed.
        """
        release = self.open(digest)
        facts = self._prepare(release)
        if judge_selftest(facts, release.variant) is Reason.SELFTEST_OUTPUTS:
            raise Unloadable(Reason.SELFTEST_OUTPUTS, describe_selftest(facts))
        self.activate()

    def is_active(self, digest: Digest) -> bool:
        """Whether the release in `digest` answers now."""
        active = self.serving.active()
        plan = self.releases.plan(digest)
        return (
            active is not None
            and plan is not None
            and (active.manifest, active.variant) == (plan.manifest, plan.variant)
        )

    def _prepare(self, release: Release) -> SelfTest:
        try:
            return self.serving.prepare(release)
        except ModelFailed as error:
            raise Unloadable(error.reason, str(error)) from error
