"""What is wrong with a source whatever it is converted for: one table of rules on facts, and one walk. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from edge_converters.lint.facts import Facts, Quantiser, Weight
from edge_converters.lint.findings import HINTS, Code, Finding, error, warning
from edge_converters.lint.operators import REMARKS

Rule = Callable[[Facts], Iterable[Finding]]
_ALWAYS: Final = frozenset({Code.RUNS_CODE, Code.OUTSIDE_FILES})


def examine(facts: Facts) -> tuple[Finding, ...]:
    """What the rules find, errors first, each once."""
    found = dict.fromkeys(finding for rule in RULES for finding in rule(facts))
    return tuple(sorted(found, key=lambda each: each.severity != "error"))


def _troubles(facts: Facts) -> Iterator[Finding]:
    for trouble in facts.troubles:
        yield error(Code(trouble.code), trouble.sentence)


def _operators(facts: Facts) -> Iterator[Finding]:
    for remark in REMARKS:
        names = remark.operators.get(facts.form, frozenset())
        for node in facts.nodes:
            if node.operator in names and (remark.code in _ALWAYS or not node.constant):
                sentence = f"{node.title} {remark.why}"
                yield Finding(remark.code, remark.severity, sentence, HINTS[remark.code])


def _unknown(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        if not node.known and node.domain:
            yield error(Code.CUSTOM_OPERATOR, f"{node.title} is a custom operator of {node.domain}")
        elif not node.known:
            yield error(Code.UNKNOWN_OPERATOR, f"{node.title} is no operator{node.detail and f' of {node.detail}'}")
        elif not node.kernel:
            yield error(Code.NO_KERNEL, f"{node.title} is an operator that no engine here has a kernel for")


def _not_finite(facts: Facts) -> Iterator[Finding]:
    for weight in facts.weights:
        if weight.nan or (weight.infinite and weight.computes):
            yield error(Code.NOT_FINITE, f"{_named(weight)} holds {_counted(weight)} among {weight.elements} values")


def _quantised(facts: Facts) -> Iterator[Finding]:
    for quantiser in facts.quantisers:
        yield from (error(Code.BAD_QUANTISATION, sentence) for sentence in _faults(quantiser))
    if facts.quantisers:
        first, more = facts.quantisers[0], len(facts.quantisers) - 1
        rest = f" and {more} more" if more else ""
        yield error(Code.ALREADY_QUANTISED, f"the model is quantised already: {first.title}{rest}")


def _faults(quantiser: Quantiser) -> Iterator[str]:
    where = f"{quantiser.title}: the scale {quantiser.parameter!r}"
    bad = [scale for scale in quantiser.scales if not (math.isfinite(scale) and scale > 0)]
    if bad:
        many = f" in {len(bad)} of {len(quantiser.scales)} channels" if len(quantiser.scales) > 1 else ""
        yield f"{where} is {bad[0]:g}{many}, not a positive number"
    outside = [zero for zero in quantiser.zeros if not quantiser.low <= zero <= quantiser.high]
    if outside:
        yield (
            f"{quantiser.title}: the zero point is {outside[0]}, outside of {quantiser.low} to {quantiser.high}, what"
            " its type stores"
        )
    if len(quantiser.zeros) not in {0, 1, len(quantiser.scales)}:
        yield f"{quantiser.title}: {len(quantiser.scales)} scales and {len(quantiser.zeros)} zero points"


def _double(facts: Facts) -> Iterator[Finding]:
    doubles = [weight for weight in facts.weights if weight.datatype == "float64" and weight.computes]
    if doubles:
        more = f" and {len(doubles) - 1} more" if len(doubles) > 1 else ""
        yield warning(Code.DOUBLE_PRECISION, f"{_named(doubles[0])}{more} is float64; no target computes so")


def _unused(facts: Facts) -> Iterator[Finding]:
    if facts.unused:
        names = ", ".join(repr(name) for name in facts.unused[:3]) + (", ..." if len(facts.unused) > 3 else "")
        yield warning(Code.UNUSED, f"nothing reads {len(facts.unused)} weights: {names}")


def _named(weight: Weight) -> str:
    return f"the weight {weight.name!r}" + (f" of {weight.reader}" if weight.reader else "")


def _counted(weight: Weight) -> str:
    counts = ((weight.nan, "NaN"), (weight.infinite, "infinite"))
    return " and ".join(f"{count} {word}" for count, word in counts if count)


RULES: Final[tuple[Rule, ...]] = (_troubles, _operators, _unknown, _not_finite, _quantised, _double, _unused)
