"""Profiles from TOML: the shipped ones by name, any other by its file. Every fault becomes one sentence."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from edge_profiles.errors import InvalidProfile
from edge_profiles.faults import Fault, faults_of
from edge_profiles.profile import Profile

FOLDER: Final = Path(__file__).parent / "boards"
MAX_PROFILE_BYTES: Final = 256 * 1024


def shipped() -> tuple[Profile, ...]:
    """The profiles that come with the product, by name."""
    return tuple(load_file(path) for path in sorted(FOLDER.glob("*.toml")))


def load(name_or_path: str) -> Profile:
    """The shipped profile of that name, or the one in that file (anything with `/` or ending in `.toml`).

    Raises:
        InvalidProfile: no such name or file, or the file is not a profile.
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        return load_file(Path(name_or_path))
    names = [path.stem for path in sorted(FOLDER.glob("*.toml"))]
    if name_or_path not in names:
        near = get_close_matches(name_or_path, names, 1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise InvalidProfile(
            f"there is no hardware profile {name_or_path!r}",
            f"{meant}Shipped are: {', '.join(names)}. For one of your own give its file, as in ./boards/mine.toml.",
        )
    return load_file(FOLDER / f"{name_or_path}.toml")


def load_file(path: Path) -> Profile:
    """The profile in `path`.

    Raises:
        InvalidProfile: not readable, not TOML, or with a field that is missing, unknown or wrong; names file, key and
            what is allowed, and how many faults there are beside the first.
    """
    found = read_file(path)
    if isinstance(found, Profile):
        return found
    first, *others = found
    more = f" (and {len(others)} more: `edge-sdk profiles validate` lists them)" if others else ""
    raise InvalidProfile(f"{in_file(path, first)}{more}", first.hint)


def read_file(path: Path) -> Profile | tuple[Fault, ...]:
    """The profile in `path`, or everything that is wrong with the file, at least one fault."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return (Fault("", f"is not readable: {error.strerror}", "Check the path."),)
    if len(data) > MAX_PROFILE_BYTES:
        return (Fault("", f"has {len(data)} bytes, at most {MAX_PROFILE_BYTES} are a profile", "Check the path."),)
    try:
        fields = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return (Fault("", f"is not TOML: {error}", "Correct that place and validate again."),)
    try:
        return Profile.model_validate(fields)
    except ValidationError as error:
        return faults_of(error)


def in_file(path: Path, fault: Fault) -> str:
    """The fault in one sentence that names the file."""
    return f"{path}: {fault.problem}" if fault.key else f"{path} {fault.problem}"
