"""`python -m edge_fleet init|up`: reads the command line, sets up logging, prints one line of JSON, sets the exit code.

Exit codes: 0 stopped as asked, 2 wrong command line, 3 cannot start (one sentence on stderr), 1 a defect.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

from edge_fleet import app
from edge_fleet.addresses import Addresses
from edge_fleet.errors import FleetError
from edge_fleet.settings import Settings, read_settings

_log = logging.getLogger(__name__)

CANNOT_START: Final = 3
_PORTS: Final = {"operator": "operator_door", "device": "device_door", "broker": "broker"}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings(options.data, options.config, _overrides(options))
        if options.command == "init":
            _initialise(settings)
        else:
            app.run(settings, _say_ready)
    except (FleetError, OSError) as error:
        _log.debug("the whole story", exc_info=error)
        print(f"edge-fleet: {_last_words(error)}", file=sys.stderr)  # noqa: T201 - the program's own last word
        return CANNOT_START
    return 0


def _last_words(error: FleetError | OSError) -> str:
    if isinstance(error, FleetError):
        return f"{error}. {error.hint}"
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{what}. Check that the folder exists and that this user may write to it."


def _initialise(settings: Settings) -> None:
    token = app.initialise(settings)
    _say({"event": "initialised", "data": str(settings.data), "admin_token": token.secret, "name": token.name})


def _say_ready(addresses: Addresses) -> None:
    _say(
        {
            "event": "ready",
            "operator_url": addresses.operator_url,
            "device_url": addresses.device_url,
            "mqtt_host": addresses.mqtt_host,
            "mqtt_port": addresses.mqtt_port,
            "pid": os.getpid(),
        }
    )


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201 - standard output is the interface to whoever started this


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    given = {section: getattr(options, f"{name}_port", None) for name, section in _PORTS.items()}
    overrides: dict[str, Any] = {section: {"port": port} for section, port in given.items() if port is not None}
    if getattr(options, "name", None):
        overrides["names"] = tuple(options.name)
    if getattr(options, "tenant", None):
        overrides["tenant"] = options.tenant
    return overrides


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edge_fleet", description="The fleet server.")
    commands = parser.add_subparsers(dest="command", required=True)
    init = commands.add_parser("init", help="make a data folder: keys, authority, database, the first admin's token")
    init.add_argument("--name", action="append", help="host name or address of this server, repeatable; first: public")
    init.add_argument("--tenant", help="the owner of the devices (default: default)")
    up = commands.add_parser("up", help="run the server until SIGTERM")
    for command in (init, up):
        command.add_argument("--data", type=Path, help="the data folder")
        command.add_argument("--config", type=Path, help="settings (default: server.toml in the data folder)")
        command.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
        for name in _PORTS:
            command.add_argument(f"--{name}-port", type=int, help="0 takes a free one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
