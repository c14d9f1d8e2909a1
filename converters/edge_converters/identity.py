"""What a model is called wherever it is carried to: name, version and the words for its classes."""

from __future__ import annotations

from dataclasses import dataclass

from edge_contracts.ids import ModelName


@dataclass(frozen=True)
class Identity:
    """As in the manifest. `labels` are empty where the model does not classify, or nobody named the classes."""

    model: ModelName
    version: int = 1
    labels: tuple[str, ...] = ()
