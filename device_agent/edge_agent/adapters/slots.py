"""The slots on disk: two files written in turn, each with its generation and digest.

A write is a temporary file, fsync, rename, fsync of the folder. The second file is for disks that lie about it: a torn
write loses one step, and the journal takes it again.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final

from edge_agent.adapters.durable import write_durably
from edge_agent.adapters.storage import storage
from edge_agent.core.slots import Slots
from edge_contracts.ids import Digest

log = logging.getLogger(__name__)

SLOT_FILES: Final = ("slots-0.json", "slots-1.json")
MAX_SLOTS_BYTES: Final = 1024 * 1024


class SlotFiles:
    """The updater's `SlotStore` in a folder. `initial` is what a new device begins with."""

    def __init__(self, folder: Path, initial: Slots | None = None) -> None:
        self._folder = folder
        self._initial = initial or Slots()
        self._generation = 0

    def read(self) -> Slots:
        """See `SlotStore`."""
        found = [entry for entry in map(self._read_one, SLOT_FILES) if entry is not None]
        if not found:
            return self._initial
        self._generation, slots = max(found, key=lambda entry: entry[0])
        return slots

    def write(self, slots: Slots) -> None:
        """See `SlotStore`."""
        generation = self._generation + 1
        path = self._folder / SLOT_FILES[generation % 2]
        body = slots.model_dump_json()
        sealed = {"generation": generation, "digest": _seal(generation, body), "slots": body}
        with storage(path, "written"):
            write_durably(path, json.dumps(sealed).encode())
        self._generation = generation

    def _read_one(self, name: str) -> tuple[int, Slots] | None:
        path = self._folder / name
        with storage(path, "read"):
            try:
                with path.open("rb") as file:
                    data = file.read(MAX_SLOTS_BYTES)
            except FileNotFoundError:
                return None
        try:
            sealed = json.loads(data)
            generation, body = int(sealed["generation"]), str(sealed["slots"])
            if sealed["digest"] != _seal(generation, body):
                raise ValueError("its digest does not match")
            return generation, Slots.model_validate_json(body)
        except (ValueError, KeyError, TypeError) as error:
            log.error("%s is damaged, the other generation counts: %s", path, error)
            return None


def _seal(generation: int, body: str) -> Digest:
    return Digest.of(f"{generation}\n{body}".encode())
