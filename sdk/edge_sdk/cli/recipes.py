"""`edge-sdk recipes`: what is tried for a profile, the passes there are, and recipe files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_sdk.cli import options, screen

recipes_app = typer.Typer(no_args_is_help=True, help="Recipes: the passes and the scheme that make a variant.")

Named = Annotated[str, typer.Argument(help="A shipped hardware profile's name, or the path of a .toml file.")]


@recipes_app.command("list", epilog="Example: edge-sdk recipes list rpi4-litert")
def list_recipes(profile: Named, as_json: options.Json = False) -> None:
    """What `convert` tries for a profile, in order, until one keeps the accuracy."""
    from edge_converters.recipes import Recipe, rungs
    from edge_profiles.boards import load

    plans = rungs(load(profile))
    if as_json:
        screen.show_json([plan.as_json() if isinstance(plan, Recipe) else {"mixed": str(plan)} for plan in plans])
        return
    rows = [(str(number), str(plan)) for number, plan in enumerate(plans, 1)]
    screen.show_table(f"Recipes for {profile}", ("", "recipe"), rows, "")
    screen.say(f"Next: edge-sdk recipes show {profile} 1 > mine.toml")


@recipes_app.command(epilog="Example: edge-sdk recipes show rpi4-litert 4 > mine.toml")
def show(
    profile: Named,
    number: Annotated[int, typer.Argument(min=1, help="Its place in `edge-sdk recipes list`.")] = 1,
    as_json: options.Json = False,
) -> None:
    """One of them as a file, to start one of your own from."""
    from edge_converters.errors import BadInput
    from edge_converters.recipe_files import as_toml
    from edge_converters.recipes import Recipe, rungs
    from edge_profiles.boards import load

    plans = rungs(load(profile))
    if number > len(plans):
        raise BadInput(f"{profile} has {len(plans)} recipes, not {number}", f"See `edge-sdk recipes list {profile}`.")
    plan = plans[number - 1]
    if not isinstance(plan, Recipe):
        raise BadInput(
            f"recipe {number} is found during a conversion: which layers stay float depends on the model",
            "Take another one and name layers in keep = [...]; a report names a model's layers.",
        )
    if as_json:
        screen.show_json(plan.as_json())
        return
    print(as_toml(plan), end="")
    screen.say("Next: edge-sdk convert MODEL --recipe FILE; `edge-sdk recipes passes` shows what else it may hold")


@recipes_app.command(epilog="Example: edge-sdk recipes validate mine.toml")
def validate(
    files: Annotated[list[Path], typer.Argument(help="Recipes of your own.")], as_json: options.Json = False
) -> None:
    """Check recipe files. Ends with 3 at the first that is wrong, and says what was probably meant."""
    from edge_converters.recipe_files import read_recipe

    found = {file: read_recipe(file) for file in files}
    if as_json:
        screen.show_json({str(file): recipe.as_json() for file, recipe in found.items()})
        return
    for file, recipe in found.items():
        print(f"{file} is a valid recipe: {recipe}")


@recipes_app.command(epilog="Example: edge-sdk recipes passes")
def passes(as_json: options.Json = False) -> None:
    """The passes there are, each with its parameters and the paper that describes it."""
    from edge_converters.passes.table import PASSES

    if as_json:
        screen.show_json(
            [
                {
                    "name": name,
                    "does": each.does,
                    "source": each.source,
                    "parameters": [
                        {"name": key, "meaning": value.meaning, "allowed": value.allowed, "default": value.default}
                        for key, value in each.parameters.items()
                    ],
                }
                for name, each in PASSES.items()
            ]
        )
        return
    rows = [(name, each.does, ", ".join(each.parameters), each.source) for name, each in PASSES.items()]
    screen.show_table("Passes", ("name", "what it does", "parameters", "source"), rows, "")
    screen.say("Next: edge-sdk recipes show PROFILE > mine.toml")
