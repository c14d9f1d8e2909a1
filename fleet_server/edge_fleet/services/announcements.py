"""Tells devices by MQTT that an assignment waits: an outbox, so that no hint is lost when the broker is away."""

from __future__ import annotations

import threading
from typing import Final

from sqlalchemy import select, update

from edge_contracts.ids import DeviceId
from edge_contracts.messages import Desired
from edge_contracts.topics import DESIRED
from edge_fleet.errors import Unavailable
from edge_fleet.ports import MessageLink, Transactions
from edge_fleet.records.releases import AssignmentRow

LOOK_SECONDS: Final = 0.5
BATCH: Final = 200


class Announcements:
    """A background service: publishes `Desired` for every assignment that is not announced yet."""

    name = "announcements"

    def __init__(self, database: Transactions, link: MessageLink) -> None:
        self._database = database
        self._link = link

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        while not stop.wait(LOOK_SECONDS):
            if self._link.connected:
                self.announce()

    def announce(self) -> int:
        """One round; how many were announced. What the broker does not take stays for the next round."""
        with self._database.read() as session:
            waiting = session.execute(
                select(AssignmentRow.device, AssignmentRow.counter).where(~AssignmentRow.announced).limit(BATCH)
            ).all()
        announced = [(device, counter) for device, counter in waiting if self._tell(device, counter)]
        if announced:
            with self._database.write() as session:
                for device, counter in announced:
                    same = (AssignmentRow.device == device) & (AssignmentRow.counter == counter)
                    session.execute(update(AssignmentRow).where(same).values(announced=True))
        return len(announced)

    def _tell(self, device: DeviceId, counter: int) -> bool:
        try:
            self._link.send(DESIRED, device, Desired(counter=counter))
        except Unavailable:
            return False
        return True
