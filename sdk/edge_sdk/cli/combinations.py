"""Options of `edge-sdk convert` that would be ignored without another, or beside another: refused, from two tables."""

from __future__ import annotations

from typing import Final

import typer

NEEDS: Final = {
    "prune_pattern": "prune",
    "train": "training",
    "training": "train",
    "search_seconds": "search",
    "sampler": "search",
    "storage": "search",
    "study": "storage",
    "input_kind": "robustness",
}
"""What an option is about."""

TAKES_THE_PLACE: Final = {
    "recipe": (
        ("prune", "prune_channels", "factorise", "effort", "search"),
        "A recipe of your own takes the place of all others, passes included: write them into its file.",
    ),
    "search": (("effort", "budget"), "A search tries recipes in no order: --search-seconds is its budget."),
}
"""Of what an option takes the place, and what to do then."""


def refuse_idle(context: typer.Context) -> None:
    """Every option that was given is one that matters.

    Raises:
        BadInput: one would be ignored.
    """
    from edge_sdk.errors import BadInput

    words = {str(each.name): max(each.opts, key=len) for each in context.command.params}
    given = {name for name in words if _given(context, name)}
    for option, needed in NEEDS.items():
        if option in given and needed not in given:
            raise BadInput(
                f"{words[option]} does nothing without {words[needed]}",
                f"Add {words[needed]}, or leave {words[option]} out.",
            )
    for option, (others, hint) in TAKES_THE_PLACE.items():
        for name in others:
            if option in given and name in given:
                raise BadInput(f"{words[name]} does nothing beside {words[option]}", hint)


def _given(context: typer.Context, name: str) -> bool:
    """By the user, and not to say no."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT" and context.params[name] is not False
