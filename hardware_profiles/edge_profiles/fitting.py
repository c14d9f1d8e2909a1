"""Whether a profile's fields, each right by itself, fit together: every misfit with what would fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from edge_contracts.manifest import Accelerator, Engine
from edge_profiles.operators import TFLITE_OPERATORS
from edge_profiles.schemes import CLASSES, FORMATS, SCHEMES

if TYPE_CHECKING:
    from edge_profiles.profile import Figure, Profile


@dataclass(frozen=True)
class Misfit:
    """Two fields that cannot both be so: where to look first, one sentence, and what to do."""

    key: str
    problem: str
    hint: str


def misfits(profile: Profile) -> tuple[Misfit, ...]:
    """All there are, in the order of the file."""
    return (
        *_accelerator(profile),
        *_fallback(profile),
        *_schemes(profile),
        *_memory(profile),
        *_operators(profile),
        *_compiler(profile),
    )


def _accelerator(profile: Profile) -> Iterator[Misfit]:
    engine, accelerator = profile.engine, profile.accelerator
    if (engine, accelerator) not in SCHEMES:
        yield Misfit(
            "accelerator",
            f"engine {engine} has no accelerator {accelerator}",
            f"It has {', '.join(_accelerators(engine))}; {accelerator} belongs to {_engine_of(accelerator)}.",
        )
    elif profile.profile_class is not CLASSES[accelerator]:
        yield Misfit(
            "class",
            f"`class` is {profile.profile_class}, but accelerator {accelerator} is of the class {CLASSES[accelerator]}",
            f'Write class = "{CLASSES[accelerator]}", or choose another accelerator.',
        )


def _fallback(profile: Profile) -> Iterator[Misfit]:
    engine, fallback = profile.engine, profile.fallback
    if fallback is None:
        return
    if (engine, fallback) not in SCHEMES:
        allowed = ", ".join(_accelerators(engine))
        yield Misfit("fallback", f"fallback {fallback} is not an accelerator of {engine}", f"Allowed are: {allowed}.")
    elif fallback is profile.accelerator:
        yield Misfit("fallback", f"fallback {fallback} is the accelerator itself", "Leave fallback out.")
    else:
        left = [scheme for scheme in profile.schemes if scheme not in SCHEMES[engine, fallback]]
        if left:
            hint = f"There run {', '.join(SCHEMES[engine, fallback])}: leave fallback out, or that scheme."
            yield Misfit("fallback", f"fallback {fallback} does not run scheme {left[0]}", hint)


def _schemes(profile: Profile) -> Iterator[Misfit]:
    runs = SCHEMES.get((profile.engine, profile.accelerator))
    for scheme in dict.fromkeys(profile.schemes):
        if runs is not None and scheme not in runs:
            where = f"{profile.engine} on {profile.accelerator}"
            yield Misfit(
                "schemes",
                f"scheme {scheme} does not run here; allowed: {', '.join(runs)}",
                f"Those are what {where} runs; name them best first.",
            )
    yield from _repeated("schemes", profile.schemes)


def _memory(profile: Profile) -> Iterator[Misfit]:
    memory, budgets = profile.memory, profile.budgets
    if profile.engine is Engine.TFLITE_MICRO and memory.arena is None:
        yield Misfit(
            "memory.arena",
            "memory.arena is missing: TFLite Micro needs the bytes it may plan with",
            'As in: arena = { value = 262144, unit = "byte", source = "a choice: half of the RAM" }.',
        )
    if profile.engine is not Engine.TFLITE_MICRO and memory.arena is not None:
        problem = f"memory.arena is for TFLite Micro; engine {profile.engine} plans its memory itself"
        yield Misfit("memory.arena", problem, "Leave it out; budgets.memory limits the process.")
    yield from _at_most("memory.arena", memory.arena, "memory.ram", memory.ram)
    yield from _at_most("budgets.memory", budgets.memory, "memory.ram", memory.ram)
    yield from _at_most("budgets.size", budgets.size, "memory.flash", memory.flash)


def _at_most(key: str, part: Figure[Any] | None, whole_key: str, whole: Figure[Any] | None) -> Iterator[Misfit]:
    if part is not None and whole is not None and part.value > whole.value:
        problem = f"{key} is {part.value:.0f} bytes, more than {whole_key} with {whole.value:.0f}"
        yield Misfit(key, problem, "Check both figures: 1 KiB is 1024 bytes, 1 MiB 1048576.")


def _operators(profile: Profile) -> Iterator[Misfit]:
    if profile.operators is None:
        return
    if FORMATS[profile.engine] != "tflite":
        problem = f"[operators] names operators of TFLite, but engine {profile.engine} reads ONNX"
        yield Misfit("operators", problem, "Leave the table out; coverage_floor guards an ONNX accelerator.")
        return
    for name in profile.operators.allow:
        near = [] if name in TFLITE_OPERATORS else get_close_matches(name.upper(), TFLITE_OPERATORS, 1, 0.75)
        if near:
            problem = f"`operators.allow` has {name!r}, which is not an operator of TFLite"
            yield Misfit("operators.allow", problem, f"Did you mean {near[0]!r}?")
    yield from _repeated("operators.allow", profile.operators.allow)


def _compiler(profile: Profile) -> Iterator[Misfit]:
    vela = profile.vela
    if profile.engine is Engine.VELA and vela is None:
        yield Misfit(
            "vela",
            "the table [vela] is missing: Vela's estimates need an explicit system configuration",
            "`edge-sdk profiles show ethos-u55-128` prints one.",
        )
    if profile.engine is not Engine.VELA and vela is not None:
        yield Misfit("vela", f"[vela] is for engine vela, not {profile.engine}", "Leave the table out.")
    if vela is not None and not vela.accelerator_config.startswith(f"{vela.system_config.family}-"):
        yield Misfit(
            "vela.system_config",
            f"vela.system_config {vela.system_config} does not describe {vela.accelerator_config}",
            f"Choose a system for {vela.accelerator_config.rpartition('-')[0]}.",
        )


def _repeated(key: str, names: Sequence[str]) -> Iterator[Misfit]:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        yield Misfit(key, f"`{key}` names {', '.join(twice)} more than once", "Name each once.")


def _accelerators(engine: Engine) -> list[str]:
    return [accelerator for each, accelerator in SCHEMES if each is engine]


def _engine_of(accelerator: Accelerator) -> str:
    return " and ".join(engine for engine, each in SCHEMES if each is accelerator)
