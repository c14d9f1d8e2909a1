"""The C library of a microcontroller's variant, put beside its model: written, linked for its core, and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edge_contracts.manifest import Engine, Figure, Variant
from edge_converters.bundles import VARIANTS_FOLDER, model_file
from edge_converters.identity import Identity
from edge_converters.mcu import toolchain
from edge_converters.mcu.cores import CORES
from edge_converters.mcu.library import FOLDER, OPERATOR_LIST, Contents, probe, write_library
from edge_converters.mcu.usage import for_firmware
from edge_converters.outcomes import Made
from edge_profiles.profile import Profile


def with_library(made: Made, profile: Profile, identity: Identity) -> Made:
    """`made` with its C library and the flash it takes, if it is a variant for TFLite Micro; else `made` itself.

    The flash figure is left out where no compiler for the core is installed; the report says so.

    Raises:
        CheckFailed: an operator cannot be registered, or the compiler refuses the sources.
    """
    variant, files = made.variant, made.files
    if variant is None or files is None or variant.needs.engine is not Engine.TFLITE_MICRO:
        return made
    contents = contents_of(variant, files, profile, identity)
    library = write_library(contents)
    measured, remark = _flash(profile, {**library, **probe(contents)})
    figures = {**variant.figures, **measured}
    places = {f"{_folder(variant)}/{name}": content for name, content in library.items()}
    return replace(
        made,
        report=replace(made.report, figures=figures, target=f"{made.report.target}; {remark}"),
        variant=variant.model_copy(update={"figures": figures}),
        files={**files, **places},
    )


def contents_of(variant: Variant, files: Mapping[str, bytes], profile: Profile, identity: Identity) -> Contents:
    """What the library says of the variant, whose trial left the list of its operators in the library's folder."""
    assert profile.memory.arena is not None
    arena, reason = for_firmware(variant.figures, int(profile.memory.arena.value))
    return Contents(
        name=identity.model,
        version=identity.version,
        model=files[model_file(variant)],
        inputs=variant.inputs,
        outputs=variant.outputs,
        labels=identity.labels,
        operators=tuple(files[f"{_folder(variant)}/{OPERATOR_LIST}"].decode().split()),
        arena=arena,
        arena_reason=reason,
    )


def _folder(variant: Variant) -> str:
    return f"{VARIANTS_FOLDER}/{variant.name}/{FOLDER}"


def _flash(profile: Profile, sources: dict[str, bytes]) -> tuple[dict[str, Figure], str]:
    core = CORES.get(profile.architecture)
    if core is None:
        return {}, f"flash not measured: {profile.architecture} has a compiler of its own"
    if not toolchain.present():
        return {}, f"flash not measured: {toolchain.PREFIX}gcc is not installed (Debian: {toolchain.PACKAGE})"
    linked = toolchain.link(sources, core)
    source = f"{linked.compiler}, the model's C library without TFLite Micro itself"
    figure = Figure(value=linked.flash, unit="byte", kind="measured", source=source)
    return {"flash": figure}, f"its C library takes {linked.flash} bytes of flash"
