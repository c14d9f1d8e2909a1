"""`edge-sdk convert`: a model becomes a bundle with one proven variant for each hardware profile."""

from __future__ import annotations

from typing import Final

import typer

from edge_sdk.cli import conversion_options as given
from edge_sdk.cli import conversion_shown, options, outcome_options, recipe_options, screen
from edge_sdk.cli.combinations import refuse_idle
from edge_sdk.cli.option_groups import grouped

EXIT_CODES: Final = {"pass": 0, "fail": 1, "undecidable": 8, "unreachable": 9}
"""By verdict; an unusable model, file or argument ends with 3."""


@grouped
def convert(
    context: typer.Context,
    source: given.Source,
    profile: given.Profiles,
    samples: given.DataOptions,
    guard: given.GuardOptions,
    smaller: recipe_options.SmallerOptions,
    taught: given.TrainingOptions,
    ladder: recipe_options.LadderOptions,
    search: recipe_options.SearchOptions,
    made: outcome_options.OutputOptions,
    run: outcome_options.RunOptions,
    as_json: options.Json = False,
) -> None:
    """Convert a model for hardware profiles and prove each variant on labelled data.

    Of a profile's recipes the first that does well on three tenths of the evaluation data is judged on the rest, once:
    each scheme as it is, then with more effort; `edge-sdk recipes list` shows them all.

    Ends with 0 if every profile passed, 1 if one failed a check or its scheme was not confirmed, 8 if there are too few
    samples to decide, 9 if no scheme keeps the accuracy, 3 if an input is not usable.

    Example: edge-sdk convert model.keras --profile x86-64-vnni --profile rpi4-litert --calibration c.npz
    --evaluation e.npz
    """
    refuse_idle(context)
    from edge_converters import Method
    from edge_converters import convert as run_conversion
    from edge_profiles.boards import load

    profiles = [load(each) for each in profile]
    data, identity = samples.read(), made.identity(source)
    climb, proof = recipe_options.climb(smaller, ladder, search), guard.proof()
    method = Method(climb, taught.read(data), run.latency, run.extent(), run.seed)
    with screen.progress(shown=not as_json) as bar:
        outcome = run_conversion(
            source,
            profiles,
            data,
            output=made.folder(identity),
            identity=identity,
            proof=proof,
            method=method,
            page=made.report,
            cache=run.shelf(),
            on_step=bar,
        )
    if as_json:
        from edge_converters.reports import as_json as plain

        screen.show_json(plain(outcome))
    else:
        conversion_shown.show(outcome, made.report)
    raise typer.Exit(EXIT_CODES[outcome.verdict])
