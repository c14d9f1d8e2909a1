"""All tables together, for the migrations."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from edge_fleet.records import identities, observations, releases, rollouts
from edge_fleet.records.columns import Row

TABLE_MODULES: Final = (identities, releases, rollouts, observations)

METADATA: Final[MetaData] = Row.metadata
