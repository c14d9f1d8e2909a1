"""`edge-sdk publish`: a bundle becomes a signed, encrypted release on the fleet server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_sdk.cli import options, screen

if TYPE_CHECKING:
    from rich.progress import Progress


def publish(
    bundle: Annotated[Path, typer.Argument(help="Folder that `edge-sdk convert` wrote.")],
    keys: options.Keys = options.KEYS_FOLDER,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Encrypt, upload and sign a bundle. Safe to repeat: an interrupted publishing goes on where it was.

    Example: edge-sdk publish ./digits-bundle --keys ~/edge-keys
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from edge_converters.bundles import read_bundle
    from edge_sdk.keys import open_keys
    from edge_sdk.publishing import publish as publish_bundle

    content = read_bundle(bundle)
    folder = open_keys(keys)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = screen.console(errors=True)
    with (
        options.open_client(server, token) as client,
        Progress(*columns, console=console, disable=as_json or not console.is_terminal) as bars,
    ):
        done = publish_bundle(content, folder, client, options.unlock(), _OnScreen(bars))
    release = done.release
    if as_json:
        screen.show_json({"repeated": done.repeated, "release": release.model_dump(mode="json")})
        return
    did = "was published before, byte for byte" if done.repeated else "is published"
    print(f"{release.model} version {release.version} {did}: {', '.join(sorted(release.artifacts))}.")
    screen.say(f"Next: edge-sdk rollouts create {release.model} {release.version}")


class _OnScreen:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def step(self, sentence: str) -> None:
        self._bars.console.print(sentence)

    def uploading(self, name: str, total: int) -> Callable[[int], None]:
        task = self._bars.add_task(f"uploading {name}", total=total)
        return lambda sent: self._bars.advance(task, sent)
