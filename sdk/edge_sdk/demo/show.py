"""The demo from beginning to end: a folder, the steps, the summary; everything it started is stopped."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge_sdk.demo.line import Running, play
from edge_sdk.demo.narration import Narrator
from edge_sdk.demo.releases import Place
from edge_sdk.errors import BadInput


def show(
    narrator: Narrator, folder: Path | None, cache: Path, agent_python: Path, keep: Callable[[Running], None] | None
) -> None:
    """Play the demo; what happened is in the narrator's steps.

    `keep` is called with everything still running when all steps have happened. Without `folder` a temporary one is
    used and removed. The first step that does not happen ends the demo by its error, after the summary.
    """
    with _workplace(folder) as place, ExitStack() as exits:
        try:
            running = play(Place(place, cache, agent_python), narrator, exits)
        finally:
            narrator.summarise()
        if keep is not None:
            keep(running)


@contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        temporary = Path(tempfile.mkdtemp(prefix="edge-sdk-demo-"))
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty", "Name a new folder with --dir.")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder.resolve()
