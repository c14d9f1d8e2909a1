"""The composition root: makes the server's parts from its settings, runs them, and lets go of them in order."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socket import socket
from typing import Final

from edge_contracts.operations import NewOperatorToken, OperatorToken, Scope
from edge_fleet.adapters import authority, doors, online_keys, vault
from edge_fleet.adapters.blobs import FolderBlobs
from edge_fleet.adapters.broker import SERVER_USER, BrokerFiles, Mosquitto
from edge_fleet.adapters.database import Database, sqlite_url
from edge_fleet.adapters.files import PRIVATE, write_whole
from edge_fleet.adapters.folder import DataFolder
from edge_fleet.adapters.gate import BrokerGate
from edge_fleet.adapters.mqtt import PahoLink
from edge_fleet.adapters.repository_files import RepositoryFiles
from edge_fleet.adapters.server_identity import ServerIdentity, renew_server_identity
from edge_fleet.addresses import Addresses
from edge_fleet.api.device_door import device_door
from edge_fleet.api.operator_door import operator_door
from edge_fleet.api.peer import PeerCertificateProtocol
from edge_fleet.errors import CannotStart
from edge_fleet.fleet import Fleet
from edge_fleet.ports import Background
from edge_fleet.services.announcements import Announcements
from edge_fleet.services.assignments import Assignments
from edge_fleet.services.background import BackgroundServices
from edge_fleet.services.changes import Changes
from edge_fleet.services.drift import DriftWatch
from edge_fleet.services.enrolment import Enrolment
from edge_fleet.services.ingest import Ingest
from edge_fleet.services.releases import Releases
from edge_fleet.services.renewal import Renewal
from edge_fleet.services.repository import SignedRepository
from edge_fleet.services.scheduler import Scheduler
from edge_fleet.services.tokens import make_operator_token
from edge_fleet.settings import SETTINGS_FILE, Settings
from edge_fleet.web import dashboard

_log = logging.getLogger(__name__)

FIRST_ADMIN: Final = "first-admin"
FIRST_ADMIN_SECONDS: Final = 365 * 86400
ANY_HOST: Final = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound to
LEAST_FREE_BYTES: Final = 64 * 1024 * 1024


def now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


def background(fleet: Fleet) -> tuple[Background, ...]:
    """Every service that has a thread of its own."""
    database, clock, changes, link = fleet.database, fleet.clock, fleet.changes, fleet.link
    rhythm = fleet.settings.rhythm
    return (
        Announcements(database, link),
        Ingest(database, clock, changes, link, fleet.settings.tenant),
        Scheduler(database, clock, changes, link, fleet.assignments, rhythm),
        Renewal(fleet.repository, fleet.settings.trust.timestamp_seconds),
        DriftWatch(database, clock, changes, rhythm.drift_seconds),
    )


def initialise(settings: Settings) -> OperatorToken:
    """Make a data folder: keys, authority, database, settings file. Returns the first admin's token, shown only now.

    An interrupted set-up is continued; what is there is kept.

    Raises:
        CannotStart: it was set up before, or is used for something else. NoSpace: the disk is full.
    """
    folder = DataFolder(settings.data)
    if folder.initialised:
        message = f"{folder.root} is set up already"
        raise CannotStart("already-initialised", message, "Start it with `edge-sdk server up`, or name another folder.")
    if folder.foreign:
        message = f"{folder.root} holds something else"
        raise CannotStart("folder-taken", message, "Name a folder that is empty or not there yet.")
    _check_space(folder)
    folder.create()
    with folder.locked():
        online_keys.make_online_keys(folder.keys)
        vault.make_kek(folder.keys)
        authority.make_authority(folder.keys, folder.certificates, settings.tenant, now())
        _write_settings(folder, settings)
        database = _open_database(settings, folder)
        database.migrate()
        request = NewOperatorToken(name=FIRST_ADMIN, scopes=frozenset({Scope.ADMIN}), valid_seconds=FIRST_ADMIN_SECONDS)
        with database.write() as session:
            token = make_operator_token(session, request, "set-up", now())
        database.close()
        write_whole(folder.root / "initialised", b"1\n")
    return token


def run(settings: Settings, ready: Callable[[Addresses], None]) -> None:
    """Run the server until SIGTERM or SIGINT; `ready` is called once everything answers.

    Raises:
        CannotStart: the folder is not set up or in use, a port is taken, there is no broker, keys are damaged.
    """
    folder = DataFolder(settings.data)
    if not folder.initialised:
        message = f"{folder.root} is not a fleet server's data folder"
        raise CannotStart("not-initialised", message, "Make one with `edge-sdk server init --data DIR`.")
    with folder.locked():
        _check_space(folder)
        with _bound(settings) as sockets, _assembled(settings, folder, sockets) as (fleet, identity):
            fleet.repository.restore()
            with BackgroundServices(background(fleet)):
                operators = operator_door(fleet)
                dashboard.add_to(operators)
                served = [
                    doors.Door(operators, sockets.operator),
                    doors.Door(device_door(fleet), sockets.device, PeerCertificateProtocol, identity.door_context()),
                ]
                doors.serve(served, lambda: ready(fleet.addresses))


@dataclass(frozen=True)
class _Sockets:
    operator: socket
    device: socket
    broker_port: int


@contextmanager
def _bound(settings: Settings) -> Iterator[_Sockets]:
    """All three ports are taken first: if one is in use, nothing has started yet."""
    operator, device, broker = settings.operator_door, settings.device_door, settings.broker
    with (
        doors.bind("operator door", operator.host, operator.port, "--operator-port") as operator_socket,
        doors.bind("device door", device.host, device.port, "--device-port") as device_socket,
    ):
        with doors.bind("broker", broker.host, broker.port, "--broker-port") as probe:
            broker_port = probe.getsockname()[1]
        yield _Sockets(operator_socket, device_socket, broker_port)


@contextmanager
def _assembled(settings: Settings, folder: DataFolder, sockets: _Sockets) -> Iterator[tuple[Fleet, ServerIdentity]]:
    """The parts, with database and broker open inside the block."""
    database = _open_database(settings, folder)
    database.migrate()
    issuer = authority.load_authority(folder.keys, folder.certificates)
    hosts = (*settings.names, *({settings.broker.host} - set(settings.names)))
    identity = renew_server_identity(issuer, folder.keys, folder.certificates, SERVER_USER, hosts, now())
    revoked = folder.certificates / "revoked.pem"
    broker_files = BrokerFiles(folder.broker, identity.authority, identity.certificate, identity.key, revoked)
    broker = Mosquitto(
        settings.broker.program, settings.broker.host, sockets.broker_port, broker_files, settings.tenant
    )
    link = PahoLink(broker.host, broker.port, identity.broker_context(), settings.tenant, SERVER_USER)
    gate = BrokerGate(issuer, revoked, broker, now)
    fleet = _fleet(settings, folder, database, _addresses(settings, sockets), issuer, gate, link)
    fleet.enrolment.enforce()
    try:
        with broker.running(), link:
            yield fleet, identity
    finally:
        database.close()


def _fleet(
    settings: Settings,
    folder: DataFolder,
    database: Database,
    addresses: Addresses,
    issuer: authority.Authority,
    gate: BrokerGate,
    link: PahoLink,
) -> Fleet:
    signers = online_keys.load_online_keys(folder.keys)
    safe = vault.load_vault(folder.keys)
    files, blobs, changes = RepositoryFiles(folder.repository), FolderBlobs(folder.blobs), Changes()
    times = {name: timedelta(seconds=seconds) for name, seconds in settings.trust}
    repository = SignedRepository(database, files, signers, now, times["timestamp_seconds"], times["snapshot_seconds"])
    return Fleet(
        settings=settings,
        addresses=addresses,
        database=database,
        clock=now,
        changes=changes,
        link=link,
        assignments=Assignments(settings.tenant, signers.director, safe, times["assignment_seconds"]),
        enrolment=Enrolment(
            database, now, changes, issuer, gate, settings.tenant, addresses, times["certificate_seconds"]
        ),
        repository=repository,
        releases=Releases(database, repository, blobs, safe, now, changes),
        files=files,
        blobs=blobs,
    )


def _addresses(settings: Settings, sockets: _Sockets) -> Addresses:
    name = settings.names[0]
    operator = name if settings.operator_door.host in ANY_HOST else settings.operator_door.host
    return Addresses(
        operator_url=f"http://{operator}:{sockets.operator.getsockname()[1]}",
        device_url=f"https://{name}:{sockets.device.getsockname()[1]}",
        mqtt_host=name,
        mqtt_port=sockets.broker_port,
    )


def _open_database(settings: Settings, folder: DataFolder) -> Database:
    return Database(settings.database or sqlite_url(folder.database))


def _check_space(folder: DataFolder) -> None:
    there = next(place for place in (folder.root, *folder.root.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        message = f"Only {free // 1024**2} MiB are free on the disk of {folder.root}"
        raise CannotStart("disk-full", message, f"Free at least {LEAST_FREE_BYTES // 1024**2} MiB and start again.")


def _write_settings(folder: DataFolder, settings: Settings) -> None:
    path = folder.root / SETTINGS_FILE
    if not path.exists():
        write_whole(path, settings.as_toml().encode(), PRIVATE)
