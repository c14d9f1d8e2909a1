"""The options of `edge-sdk convert` that say what is asked of recipes: passes, budget, own recipes, a search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge_sdk.cli.conversion_options import SMALLER

if TYPE_CHECKING:
    from edge_converters.ladder import Climb
    from edge_converters.recipes import Call, Recipe
    from edge_converters.search.plans import SearchPlan

RECIPE: Final = "The way to a good recipe"
SEARCH: Final = "Search, with the extra `search` installed"


@dataclass(frozen=True)
class SmallerOptions:
    """What is taken away without training."""

    prune: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Make this share of all weights zero, without training: 0.5 is half.",
            rich_help_panel=SMALLER,
        ),
    ] = None
    prune_pattern: Annotated[
        str,
        typer.Option(metavar="PATTERN", help="Of --prune: unstructured, block-4 or 2:4.", rich_help_panel=SMALLER),
    ] = "unstructured"
    prune_channels: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Take out whole channels that do this share of all multiplications.",
            rich_help_panel=SMALLER,
        ),
    ] = None
    factorise: Annotated[
        float | None,
        typer.Option(
            metavar="ENERGY",
            help="Split layers in two thinner ones that keep this share of their answers' variance: 0.995.",
            rich_help_panel=SMALLER,
        ),
    ] = None

    def passes(self) -> tuple[Call, ...]:
        """What was asked for, in the order in which it is done.

        Raises:
            BadInput: a value is not allowed.
        """
        options: tuple[tuple[str, float | None, dict[str, object]], ...] = (
            ("factorise", self.factorise, {"energy": self.factorise}),
            ("prune-channels", self.prune_channels, {"share": self.prune_channels}),
            ("prune", self.prune, {"sparsity": self.prune, "pattern": self.prune_pattern}),
        )
        asked = [(name, values) for name, amount, values in options if amount is not None]
        if not asked:
            return ()
        from edge_converters.calls import call

        return tuple(call(name, values) for name, values in asked)


@dataclass(frozen=True)
class LadderOptions:
    """Which recipes are tried, and for how long."""

    effort: Annotated[
        int,
        typer.Option(
            min=0, help="Leave out so many recipes of each scheme, the cheapest first.", rich_help_panel=RECIPE
        ),
    ] = 0
    budget: Annotated[
        float,
        typer.Option(
            "--budget", min=0, metavar="SECONDS", help="For the way to a recipe, each profile.", rich_help_panel=RECIPE
        ),
    ] = 300.0
    recipe: Annotated[
        list[Path] | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            help="A recipe of your own, .toml, in place of all others; more than once: tried in order.",
            rich_help_panel=RECIPE,
        ),
    ] = None

    def own(self) -> tuple[Recipe, ...]:
        """The user's recipes, each once.

        Raises:
            BadInput: a file is not usable.
        """
        if not self.recipe:
            return ()
        from edge_converters.recipe_files import read_recipe

        return tuple(dict.fromkeys(read_recipe(path) for path in self.recipe))


@dataclass(frozen=True)
class SearchOptions:
    """A search in place of the ladder."""

    search: Annotated[
        int | None,
        typer.Option(min=1, metavar="TRIALS", help="Search: try so many recipes.", rich_help_panel=SEARCH),
    ] = None
    search_seconds: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="Propose no further recipe after this time.", rich_help_panel=SEARCH
        ),
    ] = None
    sampler: Annotated[
        str, typer.Option(metavar="NAME", help="Who proposes: grid, random, tpe or nsga2.", rich_help_panel=SEARCH)
    ] = "tpe"
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Database of the study, as sqlite:///study.db: commands that name the same one share the trials, and "
            "a search that was broken off goes on.",
            rich_help_panel=SEARCH,
        ),
    ] = None
    study: Annotated[str, typer.Option(metavar="NAME", help="Of the search in --storage.", rich_help_panel=SEARCH)] = (
        "edge-sdk"
    )

    def plan(self) -> SearchPlan | None:
        """The search that is asked for; None if none is.

        Raises:
            BadInput: there is no such sampler.
        """
        if self.search is None:
            return None
        from edge_converters.calls import meant
        from edge_converters.errors import BadInput
        from edge_converters.search.plans import Sampler, SearchPlan

        if self.sampler not in {*Sampler}:
            raise BadInput(
                f"there is no sampler {self.sampler!r}", meant(self.sampler, [str(each) for each in Sampler])
            )
        return SearchPlan(self.search, self.search_seconds, Sampler(self.sampler), self.storage, self.study)


def climb(smaller: SmallerOptions, ladder: LadderOptions, search: SearchOptions) -> Climb:
    """What is asked of the way to a good recipe.

    Raises:
        BadInput: a value is not allowed, or a recipe's file is not usable.
    """
    from edge_converters.ladder import Budget, Climb

    return Climb(smaller.passes(), ladder.effort, Budget(seconds=ladder.budget), ladder.own(), search.plan())
