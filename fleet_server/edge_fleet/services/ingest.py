"""Takes what devices report off the broker, in batches: one transaction, then the acknowledgements, never the reverse.

Every message is hostile until decoded. What cannot be used is counted by reason and dropped; it never stops the rest.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from edge_contracts.codec import decode
from edge_contracts.errors import Malformed
from edge_contracts.ids import DeviceId, TenantId
from edge_contracts.messages import Ack, Birth, Death, DeploymentReport, Heartbeat
from edge_contracts.topics import ACK, Direction, parse_topic
from edge_contracts.window import TelemetryWindow
from edge_contracts.wire import Wire
from edge_fleet.errors import Unavailable
from edge_fleet.ports import Clock, Incoming, MessageLink, Transactions
from edge_fleet.records.identities import DeviceRow
from edge_fleet.services import presence, reports, windows
from edge_fleet.services.changes import Changes, Kind
from edge_fleet.services.dropped import Dropped

_log = logging.getLogger(__name__)

BATCH: Final = 500
WAIT_SECONDS: Final = 0.5
ACK_BATCH: Final = 1024
"""Sequences in one Ack, as the message allows."""

Handler = Callable[[Session, DeviceRow, Any, datetime], Kind | None]
HANDLERS: Final[dict[type[Wire], Handler]] = {
    Birth: presence.birth,
    Death: presence.death,
    Heartbeat: presence.heartbeat,
    DeploymentReport: reports.take,
    TelemetryWindow: windows.take,
}
"""What is done with each kind of message. A handler says what has changed, and raises Dropped for what it refuses."""


@dataclass
class _Batch:
    """What one transaction leads to, once it is committed."""

    changed: set[Kind] = field(default_factory=set)
    acks: dict[tuple[DeviceId, str], set[int]] = field(default_factory=lambda: defaultdict(set))


class Ingest:
    """A background service: the one reader of the broker's messages.

    `dropped` counts what was not taken, by reason.
    """

    name = "ingest"

    def __init__(
        self, database: Transactions, clock: Clock, changes: Changes, link: MessageLink, tenant: TenantId
    ) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._link = link
        self._tenant = tenant
        self.dropped: Counter[str] = Counter()
        self._at_hand: Sequence[Incoming] = ()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`. Called again after a failure, it goes on with the messages at hand: the broker sends them
        again only on a new connection, and until then counts them against what it may send ahead."""
        while not stop.is_set():
            self._at_hand = self._at_hand or self._link.receive(BATCH, WAIT_SECONDS)
            if self._at_hand:
                self.take(self._at_hand)
                self._at_hand = ()

    def take(self, messages: Sequence[Incoming]) -> None:
        """Commit these messages, then acknowledge them: to the broker, and to the devices that may now free them.

        A failure of the database escapes before anything is acknowledged: they are to be taken again.
        """
        batch = _Batch()
        with self._database.write() as session:
            for message in messages:
                self._take_one(session, message, batch)
        self._link.acknowledge(messages)
        self._changes.notify(*sorted(batch.changed))
        for (device, boot), sequences in batch.acks.items():
            self._acknowledge(device, boot, sorted(sequences))

    def _take_one(self, session: Session, message: Incoming, batch: _Batch) -> None:
        try:
            device, body = self._read(message)
            if isinstance(body, DeploymentReport | TelemetryWindow):
                # Readable, so it can be acknowledged: a device must not offer for ever what will never be taken.
                batch.acks[device, body.boot].add(body.sequence)
            with session.begin_nested():
                changed = self._handle(session, device, body, message.retained)
        except Malformed as error:
            self._drop("malformed", message, str(error))
        except Dropped as error:
            self._drop(error.why, message, str(error))
        except (OperationalError, InterfaceError):
            raise  # the trouble of the database, not of the message
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one message, the others are taken
            self._drop("not-storable", message, f"{type(error).__name__}: {error}")
        else:
            if changed is not None:
                batch.changed.add(changed)

    def _read(self, message: Incoming) -> tuple[DeviceId, Wire]:
        topic, tenant, device = parse_topic(message.topic)
        if topic.direction is not Direction.UP or tenant != self._tenant:
            raise Malformed("not a message from a device of this tenant")
        return device, decode(topic.message, message.payload)

    def _handle(self, session: Session, device: DeviceId, body: Wire, retained: bool) -> Kind | None:
        row = session.get(DeviceRow, device)
        if row is None:
            raise Dropped("unknown-device", f"{device} is not enrolled here")
        if row.revoked is not None:
            raise Dropped("revoked-device", f"{device} is revoked")
        if retained and isinstance(body, Birth):
            # The broker's memory of an earlier connection: what it says holds, but it is no sign of life.
            return presence.remembered_birth(row, body)
        return HANDLERS[type(body)](session, row, body, self._clock())

    def _drop(self, why: str, message: Incoming, detail: str) -> None:
        """Count it, and log it ever more rarely: a device must not fill the server's disk with complaints."""
        self.dropped[why] += 1
        count = self.dropped[why]
        if count.bit_count() == 1:
            _log.warning("dropped (%s, %d so far) from %.160s: %.500r", why, count, message.topic, detail)

    def _acknowledge(self, device: DeviceId, boot: str, sequences: list[int]) -> None:
        for start in range(0, len(sequences), ACK_BATCH):
            try:
                self._link.send(ACK, device, Ack(boot=boot, sequences=tuple(sequences[start : start + ACK_BATCH])))
            except Unavailable as error:
                # The device offers them again, they are recognised, and then acknowledged.
                _log.info("acknowledgement to %s waits: %s", device, error)
                return
