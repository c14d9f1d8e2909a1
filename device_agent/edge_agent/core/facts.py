"""What the device says of itself to server and people: made from values, in one place, so that all say the same."""

from __future__ import annotations

from edge_agent.ports import Release, SelfTest
from edge_contracts.messages import Command, CommandName, RunningRelease


def running_release(release: Release | None, selftest: SelfTest | None) -> RunningRelease | None:
    """The release that answers, and on what it truly runs; None if none does."""
    if release is None or selftest is None:
        return None
    return RunningRelease(
        model=release.manifest.model,
        version=release.manifest.version,
        variant=release.variant.name,
        engine=release.variant.needs.engine.value,
        accelerator=selftest.accelerator,
        fallback=selftest.fallback,
        coverage=selftest.coverage,
    )


def is_for_now(command: Command, now: float) -> bool:
    """Whether a command is still to be followed at `now` (Unix seconds): old ones may be replays."""
    return now < command.expires and (command.name is not CommandName.ABORT or command.deployment is not None)
