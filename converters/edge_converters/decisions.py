"""A split's judgement: the metric's evidence over its samples, each slice's, and what a classifier confuses. Pure."""

from __future__ import annotations

from edge_converters.answers import count_confusions
from edge_converters.guard import Guard, Judgement, judge
from edge_converters.metrics import Metric, Outputs, Rows
from edge_converters.slices import judge_slices


def judge_split(metric: Metric, reference: Outputs, outputs: Outputs, rows: Rows, guard: Guard) -> Judgement:
    """Judge the answers `outputs` by the samples `rows`, beside the source's answers `reference`."""
    before, after = (metric.score(reference, each, rows) for each in (reference, outputs))
    members = {name: belongs[rows] for name, belongs in metric.members.items()}
    return judge(
        metric.weigh(reference, outputs, rows),
        guard,
        judge_slices(before, after, members, guard),
        count_confusions(metric, reference, outputs, rows),
    )
