"""`edge-sdk releases`: what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    from edge_contracts.manifest import Variant

app = typer.Typer(no_args_is_help=True, help="Published releases.")


@app.command("list", epilog="Example: edge-sdk releases list")
def list_releases(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Every release, of one model or of all."""
    with options.open_client(server, token) as client:
        names = [model] if model else client.models()
        found = [release for name in names for release in client.releases(name)]
    if as_json:
        screen.show_json(found)
        return
    rows = (
        (each.model, str(each.version), f"{each.published:%Y-%m-%d %H:%M}", ", ".join(sorted(each.artifacts)))
        for each in found
    )
    empty = "Nothing is published. Publish a bundle: edge-sdk publish BUNDLE"
    screen.show_table("Releases", ("model", "version", "published (UTC)", "variants"), rows, empty)


@app.command(epilog="Example: edge-sdk releases show digits 3")
def show(
    model: str,
    version: int,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """One release with its variants and what was measured."""
    from edge_sdk.errors import BadInput

    with options.open_client(server, token) as client:
        found = client.release(model, version)
    if found is None:
        raise BadInput(f"{model} version {version} is not published", "See `edge-sdk releases list`.")
    if as_json:
        screen.show_json(found)
        return
    columns = ("variant", "profile", "scheme", "runs on", "bytes", "accuracy", "float")
    screen.show_table(f"{model} {version}", columns, (_row(variant) for variant in found.manifest.variants), "")


def _row(variant: Variant) -> tuple[str, ...]:
    accuracy = variant.accuracy
    values = ("", "") if accuracy is None else (f"{accuracy.variant_value:.4f}", f"{accuracy.source_value:.4f}")
    needs = f"{variant.needs.engine}/{variant.needs.accelerator}"
    return (variant.name, variant.profile, variant.scheme, needs, f"{variant.model.length:,}", *values)
