"""The options of `edge-sdk convert` that say what comes out of it, under which name, and what is looked at besides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from edge_converters.cache import Cache
    from edge_converters.identity import Identity
    from edge_converters.robustness.checkup import Extent

OUTPUT: Final = "What comes out"


@dataclass(frozen=True)
class OutputOptions:
    """What is written, under which name."""

    output: Annotated[
        Path | None, typer.Option(help="Folder of the bundle. Else: <model>-<version>.bundle", rich_help_panel=OUTPUT)
    ] = None
    model: Annotated[
        str | None, typer.Option(help="The model's name. Else: made from the source's.", rich_help_panel=OUTPUT)
    ] = None
    version: Annotated[int, typer.Option(min=1, help="The release's version number.", rich_help_panel=OUTPUT)] = 1
    labels: Annotated[
        Path | None,
        typer.Option(help="Text file with one class name a line: the answers are classes.", rich_help_panel=OUTPUT),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            help="HTML file for the report, whatever the verdict. A bundle always holds one.", rich_help_panel=OUTPUT
        ),
    ] = None

    def identity(self, source: Path) -> Identity:
        """What the model is called.

        Raises:
            BadInput: the labels cannot be read.
            InvalidId: the name is none.
        """
        from edge_contracts.ids import ModelName
        from edge_converters.identity import Identity, name_of

        model = ModelName(self.model) if self.model else name_of(source)
        return Identity(model, self.version, () if self.labels is None else _lines(self.labels))

    def folder(self, identity: Identity) -> Path:
        """Of the bundle."""
        return self.output or Path(f"{identity.model}-{identity.version}.bundle")


@dataclass(frozen=True)
class RunOptions:
    """What is done beside the proof, and what is taken from before."""

    latency: Annotated[
        bool, typer.Option(help="Time variants beside the float model: some seconds each.", rich_help_panel=OUTPUT)
    ] = True
    robustness: Annotated[
        bool,
        typer.Option(
            help="Try each judged variant on worse inputs beside its float model: up to minutes each.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    input_kind: Annotated[
        str | None,
        typer.Option(
            help="For --robustness: image, spectrogram or vector. Else: told from the input's shape.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option(help="Of training, search, and the random inputs in the parity check.", rich_help_panel=OUTPUT),
    ] = 0
    cache: Annotated[
        bool,
        typer.Option(
            help="Take what was made before of the same inputs. EDGE_SDK_CACHE names the folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = True

    def extent(self) -> Extent | None:
        """Of the robustness report; None where none is asked for.

        Raises:
            BadInput: there is no such kind of input.
        """
        if not self.robustness:
            return None
        from edge_converters.errors import BadInput
        from edge_converters.robustness.checkup import Extent
        from edge_converters.robustness.corruptions import InputKind

        if self.input_kind is not None and self.input_kind not in {*InputKind}:
            raise BadInput(f"there is no kind of input {self.input_kind!r}", f"There are {', '.join(InputKind)}.")
        return Extent(None if self.input_kind is None else InputKind(self.input_kind))

    def shelf(self) -> Cache | None:
        """The cache; None where nothing is to be taken from it."""
        from edge_converters.cache import Cache, default_folder

        return Cache(default_folder()) if self.cache else None


def _lines(path: Path) -> tuple[str, ...]:
    """Of a text file, those that hold anything."""
    from edge_converters.errors import BadInput

    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a readable text file", "Write one class name a line, in UTF-8.") from error
