"""The daemon: the one place where the agent's parts are made, joined, watched and ended."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from edge_agent.adapters.census import EnginesBeingFound
from edge_agent.adapters.control import ControlServer
from edge_agent.adapters.durable import private_folder
from edge_agent.adapters.enrolment import enrol
from edge_agent.adapters.faults import bad_network, crash_after, link_outage
from edge_agent.adapters.identity import Identity, load_identity
from edge_agent.adapters.inference_http import InferenceServer, start_inference_server
from edge_agent.adapters.link import Link, Voice
from edge_agent.adapters.mqtt import Endpoint
from edge_agent.adapters.notify import Notifier
from edge_agent.adapters.observer import WindowObserver
from edge_agent.adapters.serving import ProcessServing
from edge_agent.adapters.spool import Spool
from edge_agent.adapters.updates import open_updater
from edge_agent.adapters.vitals import Vitals, rss_bytes
from edge_agent.adapters.worker_orders import faults_from
from edge_agent.adapters.worker_process import WorkerSettings
from edge_agent.config import Config
from edge_agent.core.facts import is_for_now, running_release
from edge_agent.core.updater import Updater
from edge_agent.core.updating import UpdateSettings
from edge_agent.ports import AgentError
from edge_contracts.messages import Birth, Command, CommandName, Desired, Heartbeat, RunningRelease
from edge_contracts.window import Clock, Health

LOG: Final = logging.getLogger(__name__)

LOCK_FILE: Final = "agent.lock"
SPOOL_FILE: Final = "spool.db"
TICK_S: Final = 0.5
UPDATER_STOP_S: Final = 20.0
_MIB: Final = 1024 * 1024


class StateUnusable(AgentError):
    """The state folder cannot be used. Reaction: say the sentence and end."""


class AlreadyRunning(AgentError):
    """Another agent has this state folder. Reaction: say the sentence and end."""


class NotEnrolled(AgentError):
    """The device has no identity and no ticket to get one. Reaction: say the sentence and end."""


class WrongProfile(AgentError):
    """The settings name another profile than the enrolment. Reaction: say the sentence and end."""


class PartDied(AgentError):
    """A thread that must live for ever has ended. Reaction: end, so that the supervisor starts the agent anew."""


def run(config: Config, ticket: Path | None, announce: Callable[[dict[str, Any]], None]) -> None:
    """Serve, update and report until SIGTERM or SIGINT. `announce` is given the ready facts once, when serving.

    Raises:
        AgentError: why it cannot start, or why it had to end.
    """
    stop = _stop_on_signals()
    if config.faults.crash_after_s is not None:
        crash_after(config.faults.crash_after_s)
    with ExitStack() as stack:
        stack.enter_context(_alone_in(config.state_dir))
        identity = _identity(config, ticket)
        agent = _Agent(config, identity, stop, stack)
        announce({"ready": agent.ready_facts()})
        agent.watch_until_stopped()


class _Agent:
    """The parts of a running agent. Leaving `stack` ends them in the opposite order of their making."""

    def __init__(self, config: Config, identity: Identity, stop: threading.Event, stack: ExitStack) -> None:
        self._config = config
        self._identity = identity
        self._stop = stop
        self._since = time.time()
        self._notifier = Notifier(os.environ)

        boot = str(uuid.uuid4())
        self._spool = Spool(config.state_dir / SPOOL_FILE, boot, int(config.telemetry.spool_mib * _MIB))
        stack.callback(self._spool.close)
        self._observer = WindowObserver(self._spool, config.telemetry.window_s, self._health, self._clock)
        stack.callback(self._observer.close)
        self._serving = ProcessServing([self._observer], _worker_settings(config))
        stack.callback(self._serving.close)
        self._vitals = Vitals(self._serving)
        self._http = self._open_door(stack)
        self._census = EnginesBeingFound()
        self._updater = self._start_updater(stack)
        self._link = self._start_link(stack)
        self._control = ControlServer(config.state_dir, {"status": self._status, "flush": self._flush})
        stack.callback(self._control.close)

    def ready_facts(self) -> dict[str, Any]:
        """What whoever started us needs to know."""
        return {
            "inference": self._http.address,
            "unix_socket": str(self._config.inference.unix_socket or ""),
            "device": str(self._identity.device),
            "pid": os.getpid(),
        }

    def watch_until_stopped(self) -> None:
        """Tell systemd that we live as long as every part does, and the server when something changes."""
        self._notifier.ready()
        news, engines, next_sign = self._news(), self._census.found_so_far(), 0.0
        while not self._stop.wait(TICK_S):
            self._check_parts()
            if self._notifier.watchdog_s is not None and time.monotonic() >= next_sign:
                next_sign = time.monotonic() + self._notifier.watchdog_s
                self._notifier.alive()
            if engines != (engines := self._census.found_so_far()):
                self._link.announce()
            if news != (news := self._news()):
                self._link.beat()
        LOG.info("stopping")
        self._notifier.stopping()

    def _check_parts(self) -> None:
        if not self._updating.is_alive() or not self._link.alive():
            raise PartDied("a part of the agent has ended; see the log", "Start the agent again; report the log.")

    def _open_door(self, stack: ExitStack) -> InferenceServer:
        settings = self._config.inference
        door = start_inference_server(self._serving, settings.host, settings.port, settings.unix_socket)
        stack.callback(door.close)
        return door

    def _start_updater(self, stack: ExitStack) -> Updater:
        updater = stack.enter_context(
            open_updater(
                self._identity,
                self._config.state_dir,
                serving=self._serving,
                census=self._census,
                reports=self._spool,
                settings=UpdateSettings(poll_seconds=self._config.update.poll_s),
                on_request=bad_network(self._config.faults),
            )
        )
        self._updating = threading.Thread(target=updater.run, args=(self._stop,), name="updater", daemon=True)
        stack.callback(self._updating.join, UPDATER_STOP_S)
        stack.callback(updater.wake)
        stack.callback(self._stop.set)
        self._updating.start()
        return updater

    def _start_link(self, stack: ExitStack) -> Link:
        identity, telemetry = self._identity, self._config.telemetry
        link = Link(
            Endpoint(identity.mqtt_host, identity.mqtt_port, identity.tenant, identity.device, lambda: identity.tls),
            self._spool,
            self._config.link,
            Voice(self._birth, self._heartbeat, self._on_desired, self._on_command),
            telemetry.heartbeat_s,
            link_outage(self._config.faults),
        )
        stack.callback(link.stop)
        link.start()
        return link

    # ---- what the device says ------------------------------------------------------------------------

    def _running(self) -> RunningRelease | None:
        return running_release(self._serving.active(), self._serving.active_selftest())

    def _news(self) -> tuple[object, ...]:
        return self._updater.state, self._running()

    def _clock(self) -> tuple[float, Clock]:
        system, floor = time.time(), self._updater.now().timestamp()
        return (floor, Clock.FLOOR) if floor > system + 1 else (system, Clock.SYNCHRONISED)

    def _health(self) -> Health:
        return self._vitals.take()

    def _birth(self) -> Birth:
        return Birth(
            boot=self._spool.boot,
            at=time.time(),
            profile=self._identity.profile,
            agent_version=version("edge-sdk"),
            engines=self._census.found_so_far(),
            state=self._updater.state,
            running=self._running(),
        )

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            boot=self._spool.boot,
            at=time.time(),
            state=self._updater.state,
            running=self._running(),
            rss_bytes=rss_bytes(),
            inferences=self._observer.inferences,
            spool_bytes=self._spool.status().bytes,
        )

    def _status(self) -> dict[str, Any]:
        running = self._running()
        return {
            "device": str(self._identity.device),
            "tenant": str(self._identity.tenant),
            "profile": str(self._identity.profile),
            "server": self._identity.server,
            "version": version("edge-sdk"),
            "pid": os.getpid(),
            "boot": self._spool.boot,
            "since": self._since,
            "state": self._updater.state.value,
            "running": running.model_dump(mode="json") if running else None,
            "inference": self._http.address,
            "health": asdict(self._serving.health()),
            "engines": list(self._census.found_so_far()),
            "link": asdict(self._link.status()),
            "spool": asdict(self._spool.status()),
            "telemetry": {"inferences": self._observer.inferences, "lost": self._observer.lost},
            "rss_bytes": rss_bytes(),
            "faults": self._config.faults.active,
        }

    def _flush(self) -> dict[str, Any]:
        return {"flushed": self._observer.flush()}

    # ---- what the device hears -----------------------------------------------------------------------

    def _on_desired(self, _desired: Desired) -> None:
        self._updater.wake()

    def _on_command(self, command: Command) -> None:
        if not is_for_now(command, time.time()):
            LOG.warning("a command %s is not followed: it has expired or names no deployment", command.name.value)
        elif command.name is CommandName.ABORT and command.deployment is not None:
            self._updater.abort(command.deployment)
        else:
            self._updater.wake()


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _worker_settings(config: Config) -> WorkerSettings:
    memory = config.limits.memory_mib
    limit = None if memory is None else int(memory * _MIB)
    return WorkerSettings(memory_limit_bytes=limit, faults=faults_from(os.environ))


@contextmanager
def _alone_in(state_dir: Path) -> Iterator[None]:
    """Hold the state folder for this process."""
    try:
        private_folder(state_dir)
        lock = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateUnusable(
            f"the state folder {state_dir} cannot be used: {error.strerror}",
            "Free space, or give the agent a folder of its own with `state_dir`.",
        ) from error
    try:
        _take(lock, state_dir)
        yield
    finally:
        os.close(lock)


def _take(lock: int, state_dir: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AlreadyRunning(
            f"an agent is running already with the state folder {state_dir}", "See `edge-agent status`."
        ) from error


def _identity(config: Config, ticket: Path | None) -> Identity:
    identity = load_identity(config.state_dir)
    if identity is None and ticket is None:
        raise NotEnrolled(
            f"this device is not enrolled (nothing in {config.state_dir})",
            "Get a ticket from the server's operator (`edge-sdk devices token`) and add --ticket FILE.",
        )
    if identity is None and ticket is not None:
        identity = enrol(ticket, config.state_dir, profile=config.profile, name=config.name, labels=config.labels)
    assert identity is not None
    if identity.profile != config.profile:
        raise WrongProfile(
            f"this device is enrolled as {identity.profile}, the settings say {config.profile}",
            "Correct `profile`, or enrol anew in another state folder.",
        )
    return identity
