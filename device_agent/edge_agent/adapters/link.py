"""Keeps the device in touch: sends what the spool holds until the server confirms it, and passes on what it wants.

Two threads. The network thread runs one connection after another; what it hears goes into the inbox. The sender
thread empties the inbox and is the only one that publishes.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge_agent.adapters.mqtt import CONNECT_TIMEOUT_S, Callbacks, Connection, Endpoint
from edge_agent.adapters.records import Record, RecordKind
from edge_agent.adapters.spool import Spool
from edge_agent.config import Link as LinkSettings
from edge_agent.ports import Unreachable
from edge_contracts import codec
from edge_contracts.errors import Malformed
from edge_contracts.messages import Ack, Birth, Command, Death, Desired, Heartbeat
from edge_contracts.topics import ACK, BIRTH, COMMAND, DESIRED, EVENT, HEARTBEAT, WINDOW, parse_topic

LOG: Final = logging.getLogger(__name__)

UNCONFIRMED: Final = 32
"""Reports of a kind that may wait for the server's confirmation at once; the others stay mergeable."""
FIRST_PAUSE_S: Final = 1.0
IDLE_S: Final = 60.0
OUTAGE_CHECK_S: Final = 0.1
INBOX: Final = 1024
"""Messages waiting to be handled; beyond it they are thrown away, and the server repeats what matters."""
MAX_RESEND_FACTOR: Final = 16
_TOPIC_OF: Final = {RecordKind.EVENT: EVENT, RecordKind.WINDOW: WINDOW}
_RANDOM: Final = secrets.SystemRandom()


@dataclass(frozen=True)
class Voice:
    """What the link tells, and whom it tells what it hears. All are called from the sender thread and are quick."""

    birth: Callable[[], Birth]
    heartbeat: Callable[[], Heartbeat]
    on_desired: Callable[[Desired], None]
    on_command: Callable[[Command], None]


@dataclass(frozen=True)
class LinkStatus:
    """What a person wants to know: `attempts` to connect, messages thrown away as `malformed` or for want of room."""

    connected: bool
    attempts: int
    malformed: int
    unheard: int
    trouble: str | None


@dataclass(frozen=True)
class _Heard:
    topic: str
    payload: bytes


@dataclass(frozen=True)
class _Sent:
    """A report on its way: `due` is when to send it again (monotonic seconds)."""

    tries: int
    due: float


class Link:
    """Connects, and connects again for ever with a random pause; nothing is lost while it cannot."""

    def __init__(
        self,
        endpoint: Endpoint,
        spool: Spool,
        settings: LinkSettings,
        voice: Voice,
        heartbeat_s: float,
        outage: Callable[[], bool] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._spool = spool
        self._settings = settings
        self._voice = voice
        self._heartbeat_s = heartbeat_s
        self._outage = outage
        self._inbox: queue.SimpleQueue[_Heard | Connection | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._current: Connection | None = None
        self._greeted: Connection | None = None
        self._announced: Connection | None = None
        self._woken = False
        self._sent: dict[tuple[str, int], _Sent] = {}
        self._next_beat = 0.0
        self._attempts = self._malformed = self._unheard = 0
        self._trouble: str | None = None
        self._threads = [
            threading.Thread(target=self._stay_connected, name="link", daemon=True),
            threading.Thread(target=self._send_and_listen, name="link-sender", daemon=True),
        ]

    def start(self) -> None:
        """Begin; returns at once, whether the broker is there or not."""
        self._spool.when_changed(self.wake)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Leave the broker in good order (it tells the others that we are gone) and end. Idempotent."""
        self._stopping.set()
        self.wake()
        connection = self._current
        if connection is not None:
            connection.leave()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(CONNECT_TIMEOUT_S + 5)

    def alive(self) -> bool:
        """Whether both threads live; connected or not."""
        return all(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """There may be something to send."""
        if not self._woken:
            self._woken = True
            self._inbox.put(None)

    def beat(self) -> None:
        """Send a heartbeat now: something worth knowing has changed."""
        self._next_beat = 0.0
        self.wake()

    def announce(self) -> None:
        """Say anew who we are: what the announcement holds has changed."""
        self._announced = None
        self.beat()

    def status(self) -> LinkStatus:
        """The state of the connection."""
        return LinkStatus(
            connected=self._connection() is not None,
            attempts=self._attempts,
            malformed=self._malformed,
            unheard=self._unheard,
            trouble=self._trouble,
        )

    # ---- network thread ------------------------------------------------------------------------------

    def _stay_connected(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            if self._outage is not None and self._outage():
                self._stopping.wait(OUTAGE_CHECK_S)
                continue
            self._attempts += 1
            failures = 0 if self._run_one() else failures + 1
            self._stopping.wait(pause(failures, self._settings.reconnect_cap_s))

    def _run_one(self) -> bool:
        """Run a connection to its end; whether the broker had accepted it."""
        connection = None
        try:
            connection = self._current = self._new_connection()
            connection.run()
        except (Unreachable, OSError) as error:  # OSError: the certificate's files
            self._complain(str(error))
        except Exception:  # the link must outlive whatever the library does
            LOG.exception("link: the connection failed")
        finally:
            self._current = None
        return connection is not None and connection.accepted

    def _new_connection(self) -> Connection:
        settings = self._settings
        return Connection(
            self._endpoint,
            codec.encode(Death(boot=self._spool.boot)),
            settings.keepalive_s,
            settings.will_delay_s,
            Callbacks(self._inbox.put, self._hear),
        )

    def _hear(self, topic: str, payload: bytes) -> None:
        if self._inbox.qsize() < INBOX:
            self._inbox.put(_Heard(topic, payload))
        else:
            self._unheard += 1

    def _complain(self, trouble: str) -> None:
        """Log a trouble once, not at every attempt."""
        if trouble != self._trouble and not self._stopping.is_set():
            LOG.warning("%s; serving goes on, trying again", trouble)
        self._trouble = trouble

    # ---- sender thread -------------------------------------------------------------------------------

    def _send_and_listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._take(self._inbox.get(timeout=self._idle_s()))
            except queue.Empty:
                self._send_what_is_due()
            except Exception:  # one bad message or a failing callback must not silence the device
                LOG.exception("link: a message could not be handled")

    def _take(self, item: _Heard | Connection | None) -> None:
        match item:
            case Connection():
                self._greet(item)
            case _Heard():
                self._listen(item)
            case None:
                self._woken = False
        if self._inbox.empty():
            self._send_what_is_due()

    def _connection(self) -> Connection | None:
        """The connection that is open and greeted."""
        current = self._current
        return current if current is not None and current is self._greeted else None

    def _idle_s(self) -> float:
        if self._connection() is None:
            return IDLE_S
        due = min([self._next_beat, *(sent.due for sent in self._sent.values())])
        return min(max(due - time.monotonic(), 0.0), OUTAGE_CHECK_S if self._outage else IDLE_S)

    def _greet(self, connection: Connection) -> None:
        """A fresh connection: hear everything; who we are, and what was not confirmed, is then sent again."""
        connection.subscribe((DESIRED, COMMAND, ACK))
        self._sent.clear()
        self._announced = None
        self._next_beat = 0.0
        self._trouble = None
        self._greeted = connection
        LOG.info("connected to the broker at %s:%d", self._endpoint.host, self._endpoint.port)

    def _listen(self, heard: _Heard) -> None:
        try:
            topic, _, _ = parse_topic(heard.topic)
            message = codec.decode(topic.message, heard.payload)
        except Malformed as error:
            self._malformed += 1
            if self._malformed == 1:
                LOG.warning("a message on %s is thrown away, the next ones silently: %s", heard.topic[:120], error)
            return
        match message:
            case Ack():
                self._spool.acknowledge(message)
                for sequence in message.sequences:
                    self._sent.pop((message.boot, sequence), None)
            case Desired():
                self._voice.on_desired(message)
            case Command():
                self._voice.on_command(message)

    def _send_what_is_due(self) -> None:
        connection, now = self._connection(), time.monotonic()
        if connection is None:
            return
        if self._outage is not None and self._outage():
            connection.cut()
            return
        if self._announced is not connection:
            self._announced = connection
            connection.publish(BIRTH, codec.encode(self._voice.birth()))
        self._send_records(connection, now)
        if now >= self._next_beat:
            self._next_beat = now + self._heartbeat_s
            connection.publish(HEARTBEAT, codec.encode(self._voice.heartbeat()))

    def _send_records(self, connection: Connection, now: float) -> None:
        held = [record for kind in RecordKind for record in self._spool.outstanding(kind, UNCONFIRMED)]
        self._sent = {record.key: self._sent[record.key] for record in held if record.key in self._sent}
        due = [record for record in held if self._is_due(record, now)]
        self._spool.mark_sent(due)
        for record in due:
            tries = self._sent[record.key].tries + 1 if record.key in self._sent else 1
            wait = self._settings.ack_timeout_s * min(2 ** (tries - 1), MAX_RESEND_FACTOR)
            self._sent[record.key] = _Sent(tries, now + wait)
            connection.publish(_TOPIC_OF[record.kind], record.body)

    def _is_due(self, record: Record, now: float) -> bool:
        sent = self._sent.get(record.key)
        return sent is None or now >= sent.due


def pause(failures: int, cap_s: float) -> float:
    """Seconds to wait before the next attempt: uniform up to a bound that doubles with each failure.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return _RANDOM.uniform(0, min(cap_s, FIRST_PAUSE_S * 2 ** min(failures, 32)))
