"""`edge-agent status`: what the running agent says of itself; `edge-agent flush`: report the window under way now."""

from __future__ import annotations

import json
import time
from typing import Any

from edge_agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile


def status(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show what runs, on what, how well, and whether the server hears of it."""
    facts = _ask(config, "status")
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    for name, text in _lines(facts):
        print(f"{name:<10} {text}")


def flush(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Close the telemetry window under way, so that it is reported now."""
    done = _ask(config, "flush")["flushed"]
    print("The window is on its way." if done else "The agent is busy; the window follows in its time.")


def _ask(config: ConfigFile, word: str) -> dict[str, Any]:
    from edge_agent.adapters.control import ask
    from edge_agent.config import read_config

    facts: dict[str, Any] = ask(read_config(config).state_dir, word)
    return facts


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    health, link, spool = facts["health"], facts["link"], facts["spool"]
    p99 = "-" if health["p99_ms"] is None else f"{health['p99_ms']:.2f} ms"
    lines = [
        ("device", f"{facts['device']} ({facts['profile']}), {facts['tenant']} at {facts['server']}"),
        ("agent", f"version {facts['version']}, pid {facts['pid']}, up {time.time() - facts['since']:.0f} s"),
        ("state", facts["state"]),
        ("running", _running(facts["running"])),
        ("inference", facts["inference"]),
        (
            "traffic",
            f"{health['requests']} answered, {health['errors']} failed, p99 {p99}, {health['crashes']} crashes",
        ),
        ("engines", ", ".join(facts["engines"]) or "none: install one, e.g. pip install 'edge-sdk[agent,litert]'"),
        ("broker", "connected" if link["connected"] else f"not connected: {link['trouble'] or 'trying'}"),
        ("reports", f"{spool['events']} events and {spool['windows']} windows wait ({spool['bytes']} bytes)"),
    ]
    if spool["trouble"]:
        lines.append(("disk", f"reports are in memory only: {spool['trouble']}"))
    if facts["faults"]:
        lines.append(("faults", "trouble is made on purpose (emulation)"))
    return lines


def _running(running: dict[str, Any] | None) -> str:
    if running is None:
        return "no model"
    where = f"{running['engine']} on {running['accelerator']}{' (fallback)' if running['fallback'] else ''}"
    return f"{running['model']} version {running['version']}, variant {running['variant']}, {where}"
