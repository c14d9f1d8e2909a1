"""How much arena a model takes: what TFLite Micro was seen to use, beside what was planned from the file. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_contracts.manifest import Figure
from edge_converters.mcu.arena import aligned
from edge_converters.mcu.cores import Core
from edge_converters.mcu.graphs import Graph
from edge_converters.mcu.planning import Planned, plan_activations
from edge_converters.mcu.scratch import Kernels
from edge_converters.workers import Answer

PLAN_FILE: Final = "arena-plan.csv"
"""Each buffer with its bytes, its offset and the steps it is needed from and to."""
MARGIN: Final = 1024
"""Bytes of an arena beyond what was seen: other versions of TFLite Micro and of the kernels keep a little more."""


@dataclass(frozen=True)
class ArenaUse:
    """Bytes. `measured` is the smallest arena that the model loads in, `head` its activations, `tail` what persists.

    They were measured with the reference kernels in a 64-bit process: a microcontroller's pointers take half the room
    in the tail. `reference` and `target` are plans of the head, the second with the kernels that suit the core; None
    where TFLite Micro makes another plan, or the core is not known.
    """

    measured: int
    head: int
    tail: int
    reference: Planned | None
    target: Planned | None

    def sentence(self, granted: int) -> str:
        """What was measured, beside what was planned."""
        planned = f", planned {self.reference.plan.peak}" if self.reference else ", not planned"
        return (
            f"runs in TFLite Micro with {self.measured} of {granted} bytes of arena (activations {self.head}{planned};"
            f" {self.tail} persistent)"
        )

    def figures(self, where: str, samples: int) -> dict[str, Figure]:
        """As the manifest has them; `where` names the machine."""
        source = f"TFLite Micro's allocator with its reference kernels on {where}"
        measured = {"arena": self.measured, "arena_head": self.head, "arena_tail": self.tail}
        planned = {"arena_planned": self.reference, "arena_planned_core": self.target}
        return {
            **{name: _figure(size, "measured", source, samples) for name, size in measured.items()},
            **{name: _figure(each.plan.peak, "estimated", each.method) for name, each in planned.items() if each},
        }

    def tables(self) -> dict[str, bytes]:
        """The plan as CSV, for the core's kernels if they are known; nothing if there is none."""
        planned = self.target or self.reference
        return {} if planned is None else {PLAN_FILE: _table(planned)}


def usage_of(graph: Graph, core: Core | None, answer: Answer) -> ArenaUse:
    """What TFLite Micro's `answer` says, and the plans for `graph`."""
    return ArenaUse(
        measured=answer["arena_bytes"],
        head=answer["head_bytes"],
        tail=answer["tail_bytes"],
        reference=plan_activations(graph, Kernels.REFERENCE),
        target=plan_activations(graph, core.kernels) if core else None,
    )


def for_firmware(figures: Mapping[str, Figure], granted: int) -> tuple[int, str]:
    """The arena a firmware sets aside, at most the `granted` bytes, and why it is that large. `figures` as above.

    What the core's own kernels ask for beyond the reference kernels is planned, not seen.
    """
    measured = int(figures["arena"].value)
    planned, core = figures.get("arena_planned"), figures.get("arena_planned_core")
    extra = max(0, int(core.value - planned.value)) if planned and core else 0
    more = f"{extra} more by {core.source}" if core else "nothing known of the core's own kernels"
    size = min(aligned(measured + extra + MARGIN), granted)
    spare = size - measured - extra
    rest = f"{spare} to spare" if spare >= 0 else f"{-spare} short, for the profile grants {granted}"
    return size, f"{measured} measured with {Kernels.REFERENCE} in a 64-bit process, {more}, {rest}"


def _figure(value: int, kind: str, source: str, samples: int | None = None) -> Figure:
    return Figure.model_validate({"value": value, "unit": "byte", "kind": kind, "source": source, "n": samples})


def _table(planned: Planned) -> bytes:
    lines = io.StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    rows.writerow(("buffer", "bytes", "offset", "first_step", "last_step"))
    for each in planned.plan.placed:
        rows.writerow((each.buffer.name, each.buffer.size, each.offset, each.buffer.first, each.buffer.last))
    return lines.getvalue().encode()
