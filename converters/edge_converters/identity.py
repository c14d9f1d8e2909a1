"""What a model is called wherever it is carried to: name, version and the words for its classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_contracts.ids import ModelName


@dataclass(frozen=True)
class Identity:
    """As in the manifest. `labels` are empty where the model does not classify, or nobody named the classes."""

    model: ModelName
    version: int = 1
    labels: tuple[str, ...] = ()


def name_of(source: Path) -> ModelName:
    """The model's name where nobody gives one: its file's, in the letters that a name may have."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in source.stem.lower())
    return ModelName(kept.strip("-")[: ModelName.max_length].rstrip("-") or "model")
