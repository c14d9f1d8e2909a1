"""A network without some of its channels, the layers that see less or other fitted anew to its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_converters.channel_groups import ChannelGroups, remove, sparing
from edge_converters.networks import Array, Evidence, Network
from edge_converters.passes.surgeon import problems
from edge_converters.passes.unfolding import ROWS, answers_of, matrix, moments, with_matrix

Removals = Sequence[tuple[Array, int]]
"""Groups of channels in the order in which they go, and how many of them do."""


@dataclass(frozen=True)
class Removal:
    """Makes one network smaller in many ways. `rows` are looked at of each layer, at most."""

    network: Network
    groups: ChannelGroups
    evidence: Evidence
    damping: float
    rows: int = ROWS
    memory: dict[str, tuple[Array, ...]] | None = None
    """What its layers answer, by name, filled on the way; None where it is not worth the room."""

    def thinned(self, removals: Removals) -> Network:
        """Without so many of these channels, nothing fitted: for counting."""
        return remove(self.network, self.groups, self._doomed(removals))

    def fitted(self, removals: Removals) -> Network:
        """Without so many of these channels; from the input on, each layer that is left answers as it did."""
        doomed = self._doomed(removals)
        now = remove(self.network, self.groups, doomed)
        changed: set[str] = set()
        for layer in now.layers:
            lost = layer.weighted and layer.groups == 1 and self.groups.members(layer.inputs[0], doomed).any()
            if not lost and changed.isdisjoint(layer.inputs):
                continue
            changed.update(layer.outputs)
            if layer.weighted:
                kept = np.flatnonzero(~self.groups.members(layer.outputs[0], doomed))
                known = self._answers(layer.name)
                seen = moments(self.network, now, layer.name, self.evidence, channels=kept, rows=self.rows, known=known)
                rows = np.stack([each.best for each in problems(seen, matrix(layer), self.damping)])
                now = now.replacing(with_matrix(layer, rows))
        return now

    def _doomed(self, removals: Removals) -> Array:
        doomed = np.zeros(self.groups.count, bool)
        for groups, count in removals:
            doomed[groups[:count]] = True
        return sparing(self.groups, doomed)

    def _answers(self, name: str) -> tuple[Array, ...] | None:
        if self.memory is None:
            return None
        if name not in self.memory:
            self.memory[name] = answers_of(self.network, name, self.evidence, rows=self.rows)
        return self.memory[name]
