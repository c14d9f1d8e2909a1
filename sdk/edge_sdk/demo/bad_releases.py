"""Step 6: two bad releases, each correctly signed. One is refused by the self-test, one is undone on live traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge_contracts.lifecycle import Outcome
from edge_contracts.operations import OnBreach, RolloutState
from edge_contracts.reasons import Reason
from edge_sdk.demo.conversion import MODEL
from edge_sdk.demo.fleet import PROFILES, Server
from edge_sdk.demo.narration import Narrator, expect
from edge_sdk.demo.releases import Place, publish_bundle, spoilt_bundle
from edge_sdk.demo.rollout import roll_out
from edge_sdk.demo.traffic import Traffic
from edge_sdk.demo.waiting import wait_for

_BACK_SECONDS: Final = 20.0
"""Some heartbeats: devices that went back say what they run now."""


def roll_out_bad(place: Place, narrator: Narrator, server: Server, bundle: Path, traffic: Traffic) -> None:
    """Step 6."""
    why = "Correctly signed, same shapes, broken weights. No person steps in: the devices and the gates decide."
    with narrator.step(6, why) as step:
        refused = _roll_out_shuffled(place, narrator, server, bundle)
        undone = _roll_out_constant(place, narrator, server, bundle)
        wait_for("release 1 on every device", _BACK_SECONDS, lambda: _all_run(server, 1) or None)
        expect(traffic.failed == 0, f"{traffic.failed} requests failed meanwhile: {_errors(traffic)}")
        narrator.tell(f"all devices answer with release 1; {traffic.answered:,} requests so far, none failed")
        step.seen = f"{refused} devices refused release 2, {undone} undid release 3; both rollouts halted"


def _roll_out_shuffled(place: Place, narrator: Narrator, server: Server, bundle: Path) -> int:
    """Release 2 is caught by the self-test: its answers differ from the golden ones. How many devices refused it."""
    version = publish_bundle(narrator, server, spoilt_bundle(place, bundle, 2, "shuffled"))
    ended = roll_out(server.client, narrator, MODEL, version, "broken weights", OnBreach.PAUSE)
    refused = [each for each in ended.deployments if each.outcome is Outcome.FAILED]
    reasons = {each.reason for each in refused}
    expect(ended.view.state is RolloutState.PAUSED, f"the rollout is {ended.view.state}: {ended.view.reason}")
    expect(reasons == {Reason.SELFTEST_OUTPUTS}, f"{len(refused)} devices refused the release, with {reasons}")
    expect(Outcome.SUCCEEDED not in ended.outcomes().values(), f"a device took the release: {ended.outcomes()}")
    narrator.tell(f"[green]the server halted the rollout[/]: {ended.view.reason}")
    server.client.steer(ended.view.id, "abort")
    return len(refused)


def _roll_out_constant(place: Place, narrator: Narrator, server: Server, bundle: Path) -> int:
    """Release 3 comes with a self-test that lets everything pass: live traffic shows it. How many devices went back."""
    version = publish_bundle(narrator, server, spoilt_bundle(place, bundle, 3, "constant"))
    ended = roll_out(server.client, narrator, MODEL, version, "always the same answer", OnBreach.ROLL_BACK)
    undone = [each for each in ended.deployments if each.reason is Reason.PROBATION_OUTPUTS]
    expect(bool(undone), "no device saw that release 3 always answers the same")
    expect(
        ended.view.state in {RolloutState.ROLLED_BACK, RolloutState.ABORTED},
        f"the rollout is {ended.view.state}: {ended.view.reason}",
    )
    narrator.tell(f"[green]the server took the rollout back[/]: {ended.view.reason}")
    return len({each.device for each in undone})


def _all_run(server: Server, version: int) -> bool:
    running = [device.running.version for device in server.client.devices() if device.running]
    return running == [version] * len(PROFILES)


def _errors(traffic: Traffic) -> str:
    return "; ".join(f"{name}: {tally.last_error}" for name, tally in traffic.tallies.items() if tally.failed)
