"""Templates to answers: the Jinja environment, the words it knows, and the headers every page has."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edge_contracts.operations import Scope
from edge_contracts.reasons import REASONS
from edge_fleet.web.parts import fleet
from edge_fleet.web.sessions import Visitor

FOLDER: Final = Path(__file__).parent

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def bytes_word(number: int) -> str:
    """A size as people read it."""
    if number < 1024:
        return f"{number} B"
    return f"{number / 1024:.0f} KiB" if number < 1024**2 else f"{number / 1024**2:.0f} MiB"


def duration_word(seconds: float) -> str:
    """A length of time as people read it."""
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {word}"
    return f"{seconds:g} s"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in one figure."""
    if moment is None:
        return "never"
    seconds = max((now - moment).total_seconds(), 0)
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word} ago"
    return f"{seconds:.0f} s ago"


def evidence_word(evidence: float | None) -> str:
    """An e-value as people read it: the odds against chance."""
    if evidence is None:
        return ""
    return f"{evidence:,.0f} : 1" if evidence < 1e6 else "over a million : 1"


_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["size"] = bytes_word
_environment.filters["duration"] = duration_word
_environment.filters["evidence"] = evidence_word
_environment.globals.update(ago=ago, REASONS=REASONS, Scope=Scope)


def render(
    request: Request, template: str, visitor: Visitor | None, live: str = "", code: int = 200, **values: Any
) -> HTMLResponse:
    """A page. `live` names the kinds of change (space between) upon which it shall be asked for again."""
    parts = fleet(request)
    text = _environment.get_template(template).render(
        visitor=visitor, live=live, path=request.url.path, now=parts.clock(), **values
    )
    return HTMLResponse(text, code, HEADERS)
