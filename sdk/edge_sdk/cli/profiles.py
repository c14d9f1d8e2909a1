"""`edge-sdk profiles`: list, show and check hardware profiles."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    from edge_profiles.faults import Fault
    from edge_profiles.profile import Profile

profiles_app = typer.Typer(
    no_args_is_help=True, help="Hardware profiles: the kinds of target that models are made for."
)

Named = Annotated[str, typer.Argument(help="A shipped profile's name, or the path of a .toml file.")]


@profiles_app.command("list", epilog="Example: edge-sdk profiles list")
def list_profiles(as_json: options.Json = False) -> None:
    """The profiles that come with the product."""
    from edge_profiles.boards import shipped

    found = shipped()
    if as_json:
        screen.show_json([_plain(profile) for profile in found])
        return
    rows = [
        (
            profile.name,
            profile.profile_class,
            f"{profile.engine} on {profile.accelerator}",
            ", ".join(profile.schemes),
            profile.architecture,
        )
        for profile in found
    ]
    screen.show_table("Hardware profiles", ("name", "class", "runs on", "schemes", "processor"), rows, "")
    screen.say("Next: edge-sdk convert MODEL --profile NAME --calibration C.npz --evaluation E.npz")


@profiles_app.command(epilog="Example: edge-sdk profiles show rpi4-litert")
def show(profile: Named, as_json: options.Json = False) -> None:
    """Every field of a profile; every figure with its source."""
    from edge_profiles.boards import load

    found = load(profile)
    if as_json:
        screen.show_json(_plain(found))
        return
    screen.show_table(found.title, ("field", "value", "source"), _rows(_plain(found)), "")


@profiles_app.command(epilog="Example: edge-sdk profiles validate ./boards/mine.toml")
def validate(
    files: Annotated[list[Path], typer.Argument(help="Profiles of your own.")], as_json: options.Json = False
) -> None:
    """Check profile files: every fault with its key, what is allowed, and an example. Ends with 3 if there is one."""
    from edge_profiles.boards import in_file, read_file
    from edge_profiles.profile import Profile
    from edge_sdk.errors import BadInput

    found = {file: read_file(file) for file in files}
    if as_json:
        screen.show_json([_checked(file, result) for file, result in found.items()])
    for file, result in found.items():
        if not isinstance(result, Profile):
            for fault in result:
                screen.say(f"edge-sdk: {in_file(file, fault)}\n  {fault.hint}")
        elif not as_json:
            print(f"{file} is a valid profile: {result.name}")
    if not all(isinstance(result, Profile) for result in found.values()):
        raise typer.Exit(BadInput.exit_code)


@profiles_app.command(epilog="Example: edge-sdk profiles template > ./boards/mine.toml")
def template(as_json: options.Json = False) -> None:
    """A commented profile to start from, valid as it stands."""
    from edge_profiles.template import template as text

    if as_json:
        screen.show_json({"template": text()})
        return
    print(text(), end="")
    screen.say("Next: edge-sdk profiles validate FILE")


def _checked(file: Path, result: Profile | tuple[Fault, ...]) -> dict[str, object]:
    faults = result if isinstance(result, tuple) else ()
    profile = None if isinstance(result, tuple) else _plain(result)
    return {"file": str(file), "valid": not faults, "profile": profile, "faults": [asdict(fault) for fault in faults]}


def _plain(profile: Profile) -> dict[str, object]:
    return profile.model_dump(mode="json", by_alias=True, exclude_none=True)


def _rows(fields: dict[str, object], prefix: str = "") -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for key, value in fields.items():
        if not isinstance(value, dict):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((prefix + key, text, ""))
        elif "unit" in value:
            rows.append((prefix + key, f"{value['value']:,.0f} {value['unit']}", str(value["source"])))
        else:
            rows += _rows(value, f"{prefix}{key}.")
    return rows
