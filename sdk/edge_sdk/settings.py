"""Where the fleet server is and with which token: from flags, the environment, or the user's file (0600)."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_sdk.errors import BadInput
from edge_sdk.files import make_private_folder, write_private

SERVER_VARIABLE: Final = "EDGE_SDK_SERVER"
TOKEN_VARIABLE: Final = "EDGE_SDK_TOKEN"  # noqa: S105 - the name of a variable
CONFIG_VARIABLE: Final = "EDGE_SDK_CONFIG"
PASSPHRASE_VARIABLE: Final = "EDGE_SDK_PASSPHRASE"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Connection:
    """The operator door of a fleet server. `authority` is a PEM file that vouches for it, for HTTPS."""

    server: str
    token: str
    authority: Path | None = None


def config_file() -> Path:
    """The user's file; `EDGE_SDK_CONFIG` names another."""
    named = os.environ.get(CONFIG_VARIABLE)
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(named) if named else base / "edge-sdk" / "config.toml"


def connection(server: str | None, token: str | None, authority: Path | None = None) -> Connection:
    """The connection to use: a flag beats the environment, which beats the user's file.

    Raises:
        BadInput: no server or token is named anywhere, or the file is not readable or may be read by others.
    """
    saved = _read(config_file())
    server = server or os.environ.get(SERVER_VARIABLE) or saved.get("server")
    token = token or os.environ.get(TOKEN_VARIABLE) or saved.get("token")
    if not server:
        raise BadInput("no fleet server is named", f"Add --server URL, set {SERVER_VARIABLE}, or run `edge-sdk login`.")
    if not token:
        raise BadInput("no operator token is given", f"Add --token, set {TOKEN_VARIABLE}, or run `edge-sdk login`.")
    kept = saved.get("authority")
    return Connection(server.rstrip("/"), token, authority or (Path(kept) if kept else None))


def save(connection: Connection) -> Path:
    """Keep the connection in the user's file, readable by the user alone; the file's path."""
    path = config_file()
    make_private_folder(path.parent)
    values = {"server": connection.server, "token": connection.token}
    if connection.authority:
        values["authority"] = str(connection.authority.resolve())
    write_private(path, "".join(f"{key} = {_quoted(value)}\n" for key, value in values.items()).encode())
    return path


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise BadInput(f"{path} holds a token and may be read by others", f"Run `chmod 600 {path}`.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not readable: {error}", "Run `edge-sdk login` to write it anew.") from error
    return {key: str(value) for key, value in values.items()}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
