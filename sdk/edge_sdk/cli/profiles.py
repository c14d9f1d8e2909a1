"""`edge-sdk profiles`: list, show and check hardware profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
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
    """Check profile files; ends with 3 and the place of the first fault if one is wrong."""
    from edge_profiles.boards import load_file

    found = [load_file(file) for file in files]
    if as_json:
        screen.show_json([_plain(profile) for profile in found])
        return
    for file, profile in zip(files, found, strict=True):
        print(f"{file} is a valid profile: {profile.name}")


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
