"""`edge-sdk tokens`: access for other people and jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_sdk.cli import options, screen
from edge_sdk.cli.words import checked

app = typer.Typer(no_args_is_help=True, help="Operator tokens: who may do what.")


@app.command(epilog="Example: edge-sdk tokens create nightly-build --scope publish --days 90")
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it; the audit log shows it.")],
    scope: Annotated[list[str], typer.Option(help="read, enrol, publish, deploy or admin; may be repeated.")],
    days: Annotated[float, typer.Option(min=0.001, max=366, help="How long it is valid.")] = 30.0,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Make a token for a person or a job; it is shown this once."""
    from edge_contracts.operations import NewOperatorToken

    fields = {"name": name, "scopes": scope, "valid_seconds": int(days * 86400)}
    wish = checked(NewOperatorToken, fields, "tokens create")
    with options.open_client(server, token) as client:
        made = client.make_operator_token(wish)
    if as_json:
        screen.show_json(made)
        return
    print(made.secret)
    screen.say(f"{made.name} may {', '.join(sorted(made.scopes))} until {made.expires:%Y-%m-%d %H:%M} UTC.")
    screen.say("Next, where it is used: edge-sdk login --server URL")
