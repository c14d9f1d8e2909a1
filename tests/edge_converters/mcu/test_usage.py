"""The arena that a firmware sets aside, and what is said of it."""

from __future__ import annotations

from edge_contracts.manifest import Figure
from edge_converters.mcu.usage import MARGIN, for_firmware


def figures(arena: int, planned: int, core: int | None) -> dict[str, Figure]:
    sizes = {"arena": arena, "arena_planned": planned, "arena_planned_core": core}
    kept = {name: size for name, size in sizes.items() if size is not None}
    return {name: Figure(value=size, unit="byte", kind="estimated", source=f"a {name}") for name, size in kept.items()}


def test_a_firmware_sets_aside_what_was_measured_what_the_cores_kernels_add_and_a_margin():
    size, reason = for_firmware(figures(24_224, 16_000, 20_464), granted=393_216)

    assert size == 24_224 + 4_464 + MARGIN
    assert "24224 measured" in reason
    assert "4464 more by a arena_planned_core" in reason
    assert "1024 to spare" in reason


def test_kernels_that_ask_for_less_than_the_reference_take_nothing_off():
    size, reason = for_firmware(figures(24_224, 16_000, 12_000), granted=393_216)

    assert size == 24_224 + MARGIN
    assert "0 more by" in reason


def test_of_a_core_that_is_not_known_it_says_so():
    size, reason = for_firmware(figures(24_224, 16_000, None), granted=393_216)

    assert size == 24_224 + MARGIN
    assert "nothing known of the core's own kernels" in reason


def test_it_is_never_more_than_the_board_grants_and_a_lack_is_told():
    size, reason = for_firmware(figures(24_224, 16_000, 20_464), granted=26_000)

    assert size == 26_000
    assert "2688 short, for the profile grants 26000" in reason
