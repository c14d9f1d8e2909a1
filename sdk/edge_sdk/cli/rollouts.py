"""`edge-sdk rollouts`: plan, follow and steer the way of a release to the devices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge_sdk.cli import options, screen
from edge_sdk.cli.words import ago, checked, labels_from, shares_from

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edge_contracts.operations import DeploymentView, RolloutView
    from edge_sdk.client import FleetClient

app = typer.Typer(no_args_is_help=True, help="Rollouts: the way of a release to the devices.")
WATCH_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 120.0


@app.command(epilog="Example: edge-sdk rollouts create digits 3 --waves 10,50,100 --bake 600 --watch")
def create(
    model: str,
    version: int,
    waves: Annotated[str, typer.Option(help="Cumulative percentages of the devices.")] = "1,5,25,50,100",
    bake: Annotated[float, typer.Option(min=0, help="Seconds a wave must stay healthy.")] = 3600.0,
    probation: Annotated[float, typer.Option(min=0.1, help="Seconds a device watches the new model.")] = 600.0,
    inferences: Annotated[int, typer.Option(min=0, help="Inferences a device watches it for, at least.")] = 0,
    profile: Annotated[list[str] | None, typer.Option(help="Only this profile; may be repeated.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Only this device; may be repeated.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only devices with NAME=VALUE; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    on_breach: Annotated[str, typer.Option(help="pause, abort or roll-back.")] = "roll-back",
    draft: Annotated[bool, typer.Option("--draft", help="Do not start it yet.")] = False,
    follow: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Roll a release out in waves; stops by itself when a gate is breached."""
    from edge_contracts.operations import NewRollout

    fields = {
        "name": name,
        "model": model,
        "version": version,
        "selector": {"profiles": profile or [], "devices": device or [], "labels": labels_from(label or [])},
        "waves": shares_from(waves),
        "bake_seconds": bake,
        "probation_seconds": probation,
        "probation_inferences": inferences,
        "on_breach": on_breach,
        "start": not draft,
    }
    plan = checked(NewRollout, fields, "rollouts create")
    with options.open_client(server, token) as client:
        made = client.create_rollout(plan)
        if follow:
            _follow(client, made.id, as_json)
            return
    _show_one(made, [], as_json)
    if not as_json:
        screen.say(f"Next: edge-sdk rollouts {'start' if draft else 'watch'} {made.id}")


@app.command("list", epilog="Example: edge-sdk rollouts list")
def list_rollouts(server: options.Server = None, token: options.Token = None, as_json: options.Json = False) -> None:
    """Every rollout and where it stands."""
    with options.open_client(server, token) as client:
        found = client.rollouts()
    if as_json:
        screen.show_json(found)
        return
    rows = (
        (each.id, f"{each.plan.model} {each.plan.version}", each.state, _wave(each), ago(each.updated), each.reason)
        for each in found
    )
    columns = ("rollout", "release", "state", "wave", "updated", "reason")
    screen.show_table("Rollouts", columns, rows, "No rollout yet: edge-sdk rollouts create MODEL VERSION")


@app.command(epilog="Example: edge-sdk rollouts show r-1")
def show(
    rollout: str, server: options.Server = None, token: options.Token = None, as_json: options.Json = False
) -> None:
    """One rollout, wave by wave and device by device."""
    with options.open_client(server, token) as client:
        _show_one(client.rollout(rollout), client.deployments(rollout), as_json)


@app.command(epilog="Example: edge-sdk rollouts watch r-1")
def watch(
    rollout: str, server: options.Server = None, token: options.Token = None, as_json: options.Json = False
) -> None:
    """Follow a rollout until it ends; exit code 1 if it did not succeed."""
    with options.open_client(server, token) as client:
        _follow(client, rollout, as_json)


def _steer(verb: str, told: str) -> None:
    def command(
        rollout: str, server: options.Server = None, token: options.Token = None, as_json: options.Json = False
    ) -> None:
        with options.open_client(server, token) as client:
            found = client.steer(rollout, verb)
        if as_json:
            screen.show_json(found)
            return
        print(f"{rollout} is {found.state}. {found.reason}".strip())

    command.__doc__ = told
    app.command(verb, epilog=f"Example: edge-sdk rollouts {verb} r-1")(command)


for _verb, _told in {
    "start": "Start a draft.",
    "pause": "Hold a rollout: no further device begins.",
    "resume": "Go on with a paused rollout.",
    "abort": "End a rollout: devices under way stop or go back.",
    "rollback": "Send every device of the rollout back to its last good release.",
}.items():
    _steer(_verb, _told)


def _follow(client: FleetClient, rollout: str, as_json: bool) -> None:
    from rich.live import Live

    from edge_contracts.operations import RolloutState
    from edge_sdk.errors import NotAchieved
    from edge_sdk.plans import ENDED

    console, last, told = screen.console(errors=True), "", ""
    with Live(console=console, auto_refresh=False, transient=True) as live, _goes_on_without(rollout):
        while True:
            view, deployments = _looked_up(client, rollout)
            now = view.model_dump_json() + "".join(each.model_dump_json() for each in deployments)
            if now != last and as_json:
                screen.show_json_line({"rollout": view, "deployments": deployments})
            elif not as_json and not console.is_terminal:
                if told != (told := _line(view)):
                    screen.say(told)
            elif not as_json:
                live.update(_picture(view, deployments), refresh=True)
            last = now
            if view.state in ENDED:
                break
            time.sleep(WATCH_SECONDS)
    if not as_json:
        _show_one(view, deployments, as_json=False)
    if view.state is not RolloutState.SUCCEEDED:
        raise NotAchieved(f"{rollout} ended as {view.state}: {view.reason}", "See the reasons of the devices above.")


def _looked_up(client: FleetClient, rollout: str) -> tuple[RolloutView, list[DeploymentView]]:
    """How the rollout stands. A server that is started again is waited for: a rollout takes days, a start seconds."""
    from edge_sdk.errors import Unreachable

    deadline: float | None = None
    while True:
        try:
            return client.rollout(rollout), client.deployments(rollout)
        except Unreachable as error:
            if deadline is None:
                screen.say(f"{error}. Still watching {rollout} for {AWAY_SECONDS:.0f} s.")
                deadline = time.monotonic() + AWAY_SECONDS
            if time.monotonic() > deadline:
                raise
        time.sleep(WATCH_SECONDS)


@contextmanager
def _goes_on_without(rollout: str) -> Iterator[None]:
    """Whoever stops watching is told that nothing else has stopped."""
    try:
        yield
    except KeyboardInterrupt:
        screen.say(f"{rollout} goes on. Next: edge-sdk rollouts watch {rollout}, or pause or abort in place of watch")
        raise


def _show_one(view: RolloutView, deployments: list[DeploymentView], as_json: bool) -> None:
    if as_json:
        screen.show_json({"rollout": view, "deployments": deployments})
    else:
        screen.console().print(_picture(view, deployments))


def _picture(view: RolloutView, deployments: list[DeploymentView]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    counts = (
        (wave.number, wave.devices, wave.pending, wave.updating, wave.succeeded, wave.failed, wave.rolled_back)
        for wave in view.waves
    )
    waves = screen.table(
        ("wave", "devices", "pending", "updating", "succeeded", "failed", "rolled back"),
        ([str(count) for count in row] for row in counts),
    )
    devices = screen.table(
        ("device", "wave", "state", "outcome", "reason", ""),
        (
            (each.device, str(each.wave), each.state or "", each.outcome or "", each.reason or "", each.detail)
            for each in deployments
        ),
    )
    head = Text(_line(view), "bold")
    return Group(head, waves, devices) if deployments else Group(head, waves)


def _line(view: RolloutView) -> str:
    told = f"{view.id} {view.plan.model} {view.plan.version}: {view.state}, wave {_wave(view)}"
    return f"{told}: {view.reason}" if view.reason else told


def _wave(view: RolloutView) -> str:
    return f"{view.wave} of {len(view.waves)}"
