"""The updater with its disk and network, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from edge_agent.adapters.device_http import device_client
from edge_agent.adapters.downloads import HttpDownloads
from edge_agent.adapters.identity import Identity
from edge_agent.adapters.journal import JOURNAL_FILE, SqliteJournal
from edge_agent.adapters.releases import FOLDER as RELEASES
from edge_agent.adapters.releases import ReleaseFolder
from edge_agent.adapters.repository import FOLDER as METADATA
from edge_agent.adapters.repository import TufRepository
from edge_agent.adapters.slots import SlotFiles
from edge_agent.core.checking import Owner
from edge_agent.core.slots import Slots
from edge_agent.core.updater import Ports, Updater
from edge_agent.core.updating import UpdateSettings
from edge_agent.ports import EngineCensus, Reports, Serving

HOLD_FILE: Final = "hold"
"""While this file is in the state folder, no new release is begun; its first line says why."""


@contextmanager
def open_updater(
    identity: Identity,
    state_dir: Path,
    *,
    serving: Serving,
    census: EngineCensus,
    reports: Reports,
    settings: UpdateSettings | None = None,
    on_request: Callable[[httpx.Request], None] | None = None,
) -> Iterator[Updater]:
    """An updater on the state in `state_dir` for as long as the block lasts. End its `run` before leaving the block.

    `on_request` sees each HTTP request before it is sent (see `device_client`).

    Raises:
        StorageFailed: the journal can be neither opened nor made.
    """
    releases = ReleaseFolder(state_dir / RELEASES)
    owner = Owner(identity.tenant, identity.device, identity.profile, identity.hpke)
    journal = SqliteJournal(state_dir / JOURNAL_FILE)
    try:
        with device_client(identity, on_request) as client:
            ports = Ports(
                repository=TufRepository(client, state_dir / METADATA, identity.root),
                downloads=HttpDownloads(client, releases),
                releases=releases,
                slots=SlotFiles(state_dir, Slots(time_floor=identity.record.enrolled)),
                journal=journal,
                serving=serving,
                reports=reports,
                census=census,
                held=hold_file(state_dir / HOLD_FILE),
            )
            yield Updater(owner, ports, settings)
    finally:
        journal.close()


def hold_file(path: Path) -> Callable[[], str | None]:
    """Whether the application holds updates back by the file at `path`, and why."""

    def held() -> str | None:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                return file.readline(256).strip() or "no reason given"
        except OSError:
            return None

    return held
