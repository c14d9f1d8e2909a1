"""The non-persistent part of TFLite Micro's arena, planned from the file alone: activations and scratch. Pure.

What is not planned here is the persistent part (at the arena's other end: tensor and operator structures, per-channel
factors, variables), whose sizes are those of C structures of one build, and the memory that planning itself takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_converters.mcu.arena import Plan, plan
from edge_converters.mcu.graphs import Graph, activations, scratch_buffers
from edge_converters.mcu.scratch import Kernels, scratch_of


@dataclass(frozen=True)
class Planned:
    """A plan with the kernels it is for. `unknown` names the operators whose scratch is not in it."""

    plan: Plan
    kernels: Kernels
    unknown: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """How the plan was made, in words."""
        left_out = f", without the scratch of {', '.join(self.unknown)}" if self.unknown else ""
        return f"a greedy plan by size of activations and scratch of {self.kernels}{left_out}"


def plan_activations(graph: Graph, kernels: Kernels) -> Planned | None:
    """The plan that TFLite Micro makes when it loads the file with these kernels.

    None where it makes another: control flow shares one plan among subgraphs, and a file may bring its own offsets.
    """
    if graph.subgraphs != 1 or graph.planned_offline:
        return None
    found = [scratch_of(operator, graph, kernels) for operator in graph.operators]
    pairs = zip(graph.operators, found, strict=True)
    unknown = sorted({operator.name for operator, sizes in pairs if sizes is None})
    scratch = scratch_buffers(graph.operators, [sizes or () for sizes in found])
    return Planned(plan((*activations(graph), *scratch)), kernels, tuple(unknown))
