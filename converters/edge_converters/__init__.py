"""A trained model in, one measured variant per hardware profile out. Knows no server and no device.

`convert` and what it is called with are offered here, each imported when it is first asked for: a worker process and
whoever only reads bundles import this package too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge_converters.cache import Cache as Cache
    from edge_converters.conversion import convert as convert
    from edge_converters.datasets import Samples as Samples
    from edge_converters.datasets import make_data as make_data
    from edge_converters.datasets import read_data as read_data
    from edge_converters.guard import Guard as Guard
    from edge_converters.guard import Verdict as Verdict
    from edge_converters.identity import Identity as Identity
    from edge_converters.job import Method as Method
    from edge_converters.job import Proof as Proof

MODULES: Final = {
    "Cache": "cache",
    "Guard": "guard",
    "Identity": "identity",
    "Method": "job",
    "Proof": "job",
    "Samples": "datasets",
    "Verdict": "guard",
    "convert": "conversion",
    "make_data": "datasets",
    "read_data": "datasets",
}
"""Where what is offered here is defined."""


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *MODULES]
