"""The server's parts as one frozen value: made by the composition root, handed to doors and background services."""

from __future__ import annotations

from dataclasses import dataclass

from edge_fleet.addresses import Addresses
from edge_fleet.ports import ArtifactStore, Clock, MessageLink, PublishedFiles, Transactions
from edge_fleet.services.assignments import Assignments
from edge_fleet.services.changes import Changes
from edge_fleet.services.enrolment import Enrolment
from edge_fleet.services.releases import Releases
from edge_fleet.services.repository import SignedRepository
from edge_fleet.settings import Settings


@dataclass(frozen=True)
class Fleet:
    """What a request or a background service may use."""

    settings: Settings
    addresses: Addresses
    database: Transactions
    clock: Clock
    changes: Changes
    link: MessageLink
    assignments: Assignments
    enrolment: Enrolment
    repository: SignedRepository
    releases: Releases
    files: PublishedFiles
    blobs: ArtifactStore
