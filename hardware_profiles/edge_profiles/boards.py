"""Profiles from TOML: the shipped ones by name, any other by its file. Every fault becomes one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_profiles.errors import InvalidProfile
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
        raise InvalidProfile(
            f"there is no hardware profile {name_or_path!r}",
            f"Shipped are: {', '.join(names)}. For one of your own give its file, as in ./boards/mine.toml.",
        )
    return load_file(FOLDER / f"{name_or_path}.toml")


def load_file(path: Path) -> Profile:
    """The profile in `path`.

    Raises:
        InvalidProfile: not readable, not TOML, or with a field that is missing, unknown or wrong; names file, key and
            what is allowed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidProfile(f"{path} is not readable: {error.strerror}", "Check the path.") from error
    if len(data) > MAX_PROFILE_BYTES:
        raise InvalidProfile(
            f"{path} has {len(data)} bytes, at most {MAX_PROFILE_BYTES} are a profile", "Check the path."
        )
    try:
        fields = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidProfile(f"{path} is not TOML: {error}", "Correct that place and validate again.") from error
    try:
        return Profile.model_validate(fields)
    except ValidationError as error:
        raise _sentence(path, _clearest(error)) from error


def _clearest(error: ValidationError) -> ErrorDetails:
    """A key that is not one explains the one that is missing: it comes first."""
    faults = error.errors(include_url=False)
    return next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])


def _sentence(path: Path, fault: ErrorDetails) -> InvalidProfile:
    key = ".".join(str(part) for part in fault["loc"])
    kind = fault["type"]
    if kind == "missing" and key.endswith(".source"):
        return InvalidProfile(
            f"{path}: `{key}` is missing", "Every figure names its datasheet, or says it is a choice or assumed."
        )
    if kind == "missing":
        return InvalidProfile(f"{path}: `{key}` is missing", "Add it; `edge-sdk profiles show` prints a whole profile.")
    if kind == "extra_forbidden":
        allowed = ", ".join(_keys(fault["loc"][:-1]))
        return InvalidProfile(f"{path}: `{key}` is not a key of the format", f"Allowed here: {allowed}.")
    given = "" if isinstance(fault["input"], dict) else f" is {fault['input']!r}"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    place = f"`{key}`{given}: " if key else ""
    return InvalidProfile(f"{path}: {place}{message}", "Correct it and run `edge-sdk profiles validate` again.")


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at `place`, as they are written in TOML."""
    table: type[BaseModel] = Profile
    for part in place:
        field = next((field for name, field in table.model_fields.items() if part in (name, field.alias)), None)
        table = _table_in(field.annotation if field else None) or table
    return [field.alias or name for name, field in table.model_fields.items()]


def _table_in(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *get_args(annotation))
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)
