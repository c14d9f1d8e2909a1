"""What a source will cost or lose on one target: a table of rules on facts and a profile. Pure; it only warns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from edge_contracts.manifest import ProfileClass
from edge_converters.lint.facts import Facts, Node
from edge_converters.lint.findings import Code, Finding, warning
from edge_converters.lint.operators import HARD_FOR_ACCELERATORS, REMARKS
from edge_profiles.profile import Profile
from edge_profiles.schemes import Scheme

TargetRule = Callable[[Facts, Profile], Iterable[Finding]]
MOST_HALF: Final = 65504.0
"""The largest finite number of IEEE 754 binary16."""
PLANS_AHEAD: Final = frozenset({ProfileClass.NPU, ProfileClass.MCU, ProfileClass.GPU})


def examine_for(facts: Facts, profile: Profile) -> tuple[Finding, ...]:
    """What the rules find for `profile`, each once."""
    return tuple(dict.fromkeys(finding for rule in TARGET_RULES for finding in rule(facts, profile)))


def _dynamic(facts: Facts, profile: Profile) -> Iterator[Finding]:
    if profile.profile_class not in PLANS_AHEAD:
        return
    sized = next(each for each in REMARKS if each.code is Code.DYNAMIC_SHAPE).operators.get(facts.form, frozenset())
    for node in facts.nodes:
        if node.operator in sized and not node.constant:
            why = "needs sizes that are known ahead: it is left to the CPU or refused"
            yield warning(Code.DYNAMIC_SHAPE, f"{node.title}: {profile.accelerator} {why}", profile.name)


def _resize(facts: Facts, profile: Profile) -> Iterator[Finding]:
    if profile.profile_class is not ProfileClass.NPU:
        return
    for node in facts.nodes:
        words = sorted(HARD_FOR_ACCELERATORS.get(node.operator, frozenset()) & set(node.detail.split()))
        if words:
            why = f"uses {' and '.join(words)}, which NPUs leave to the CPU"
            yield warning(Code.SLOW_ON_TARGET, f"{node.title} {why}", profile.name)


def _half(facts: Facts, profile: Profile) -> Iterator[Finding]:
    if Scheme.FP16 not in profile.schemes:
        return
    for weight in facts.weights:
        if weight.computes and weight.largest > MOST_HALF:
            sentence = f"the weight {weight.name!r} holds {weight.largest:.3g}; half precision ends at {MOST_HALF:g}"
            yield warning(Code.OVERFLOWS_HALF, sentence, profile.name)


def _unfolded(facts: Facts, profile: Profile) -> Iterator[Finding]:
    if profile.profile_class is not ProfileClass.NPU:
        return
    norms = [node for node in facts.nodes if _normalises(node)]
    if norms:
        count = f"{len(norms)} batch normalisations are not folded (first: {norms[0].name!r})"
        yield warning(Code.UNFOLDED, f"{count}; an NPU leaves those that stay to the CPU", profile.name)


def _normalises(node: Node) -> bool:
    return node.operator in {"BatchNormalization", "FusedBatchNormV3"}


TARGET_RULES: Final[tuple[TargetRule, ...]] = (_dynamic, _resize, _half, _unfolded)
