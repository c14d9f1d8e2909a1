"""The demo's server and devices: started, trusted, enrolled, and stopped again with the demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_contracts.operations import DeviceStatus, DeviceView, NewEnrolmentToken
from edge_profiles.boards import load
from edge_sdk.client import FleetClient
from edge_sdk.demo.waiting import wait_for
from edge_sdk.emulation.agent import EmulatedAgent, Plan, Rhythm
from edge_sdk.emulation.fleet import EmulatedFleet
from edge_sdk.errors import BadInput
from edge_sdk.keys import Algorithm, KeyFolder, make_keys
from edge_sdk.local_server import FREE_PORTS, make_server, start_server
from edge_sdk.settings import Connection
from edge_sdk.tickets import make_ticket
from edge_sdk.trusting import trust_server

GPU_PROFILE: Final = "gpu-litert"
PROFILES: Final = ("x86-64-vnni", GPU_PROFILE, "hexagon-qnn", "cortex-m4-stm32l4r5")
"""One of each class: cpu, gpu, npu, mcu."""
RHYTHM: Final = Rhythm(window=4.0, heartbeat=2.0, poll=20.0)
"""A demo is short; a real device reports every quarter of an hour."""
_ONLINE_SECONDS: Final = 60.0
"""Each agent tries every engine there is in a process of its own before it names those it has."""


@dataclass(frozen=True)
class Server:
    """The running fleet server, the owner's keys for it, and a client with the admin's token."""

    addresses: dict[str, Any]
    token: str
    keys: KeyFolder
    client: FleetClient

    @property
    def dashboard(self) -> str:
        """Where a browser finds it."""
        return str(self.addresses["operator_url"])


def no_passphrase() -> str:
    """The demo's keys have none, and live as long as the demo."""
    raise BadInput("the demo's keys are not encrypted", "Run the demo in an empty folder.")


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """A fleet server on free ports with its data in `folder`, trusted by fresh keys.

    Raises:
        ChildFailed: it does not start; the message is its own.
    """
    token = make_server(folder / "server", ("127.0.0.1", "localhost"))["admin_token"]
    child, addresses = start_server(folder / "server", FREE_PORTS, folder / "server.log")
    try:
        with FleetClient(Connection(addresses["operator_url"], token)) as client:
            keys = make_keys(folder / "keys", Algorithm.ED25519, None)
            trust_server(keys, client, no_passphrase)
            yield Server(addresses, token, keys, client)
    finally:
        child.stop()


@contextmanager
def enrolled_devices(folder: Path, server: Server, python: Path) -> Iterator[list[EmulatedAgent]]:
    """One emulated device of each class, enrolled, online, its engines found.

    Raises:
        ChildFailed: an agent does not start. NotAchieved: the server does not see it.
    """
    ticket = folder / "ticket.json"
    wish = NewEnrolmentToken(uses=len(PROFILES), valid_seconds=3600)
    make_ticket(server.client, server.keys, wish, ticket)
    plans = [
        Plan(f"{board.profile_class}-{number}", board, folder / "devices" / board.name, python, ticket, rhythm=RHYTHM)
        for number, board in enumerate(map(load, PROFILES), 1)
    ]
    with ExitStack() as exits:
        fleet = exits.enter_context(EmulatedFleet(plans))
        fleet.start(lambda _agent: None)
        wait_for("every device online with its engines", _ONLINE_SECONDS, lambda: _all_online(server, len(plans)))
        yield fleet.agents


def _all_online(server: Server, count: int) -> list[DeviceView] | None:
    devices = server.client.devices()
    online = [device for device in devices if device.status is DeviceStatus.ONLINE and device.engines]
    return online if len(online) == count else None
