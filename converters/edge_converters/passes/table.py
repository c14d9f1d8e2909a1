"""The passes there are, by the names that recipes give them. Adding a pass is adding a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge_converters.networks import Evidence, Network
from edge_converters.passes.batch_normalisation import fold_batch_normalisation
from edge_converters.passes.bias_correction import correct_biases
from edge_converters.passes.channel_ranking import as_plain, from_plain, rank_channels
from edge_converters.passes.dead_channels import remove_dead_channels
from edge_converters.passes.equalisation import equalise
from edge_converters.passes.low_rank import ENERGY, factorise
from edge_converters.passes.pruning import prune
from edge_converters.passes.rounding import round_to_nearest, round_weights
from edge_converters.passes.structured_pruning import prune_channels
from edge_converters.passes.surgeon import BLOCK_OF_4, TWO_OF_FOUR, UNSTRUCTURED, Pattern

PATTERNS: Final[Mapping[str, Pattern]] = {"unstructured": UNSTRUCTURED, "block-4": BLOCK_OF_4, "2:4": TWO_OF_FOUR}


@dataclass(frozen=True)
class Share:
    """A parameter between 0 and 1, both excluded. Without `default` it must be given."""

    meaning: str
    default: float | None = None

    @property
    def allowed(self) -> str:
        """In words."""
        return "a number between 0 and 1"

    def takes(self, value: object) -> bool:
        """Whether `value` is one."""
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


@dataclass(frozen=True)
class Choice:
    """A parameter that is one of some words."""

    meaning: str
    words: tuple[str, ...]
    default: str | None = None

    @property
    def allowed(self) -> str:
        """In words."""
        return ", ".join(self.words)

    def takes(self, value: object) -> bool:
        """Whether `value` is one."""
        return value in self.words


@dataclass(frozen=True)
class Pass:
    """A function on networks: takes the network, the evidence, and its parameters by name."""

    function: Callable[..., Network]
    does: str
    source: str
    """The paper that describes the method."""
    parameters: Mapping[str, Share | Choice]
    study: Callable[[Network, Evidence], Any] | None = None
    """What takes long and is the same whatever the parameters: as JSON takes it, then given to the function."""


def _study_channels(network: Network, evidence: Evidence) -> list[dict[str, Any]]:
    return as_plain(rank_channels(network, evidence))


def _prune_channels(
    network: Network, evidence: Evidence, *, share: float, study: list[dict[str, Any]] | None = None
) -> Network:
    return prune_channels(network, evidence, share=share, ranking=None if study is None else from_plain(study))


def _prune(network: Network, evidence: Evidence, *, sparsity: float = 0.5, pattern: str = "unstructured") -> Network:
    form = PATTERNS[pattern]
    if not any(form.fits(layer.weight.shape[1]) for layer in network.weighted_layers):
        raise ValueError(f"no layer has input channels in groups of {form.of or form.block}")
    return prune(network, evidence, sparsity=sparsity, pattern=form)


def _correct_for_rounding(network: Network, evidence: Evidence) -> Network:
    """Weights on the 8-bit grid, and biases that take back the mean error which that brings."""
    return correct_biases(round_to_nearest(network), evidence, original=network)


PASSES: Final[Mapping[str, Pass]] = {
    "fold-batch-normalisation": Pass(
        fold_batch_normalisation,
        "Batch normalisation becomes part of the convolution before it. Done for every model.",
        "Jacob et al., CVPR 2018, section 3.2",
        {},
    ),
    "remove-dead-channels": Pass(
        remove_dead_channels,
        "Channels that are proven to be constant go. Done for every model.",
        "Moore, Interval Analysis, 1966",
        {},
    ),
    "factorise": Pass(
        factorise,
        "Layers become two thinner ones where that takes fewer weights.",
        "Zhang et al., TPAMI 38, 2016",
        {"energy": Share("of the variance of each layer's answers that is kept", ENERGY)},
    ),
    "prune-channels": Pass(
        _prune_channels,
        "Whole channels go where the answers suffer least; what reads them is fitted anew.",
        "Luo, Wu & Lin, ICCV 2017",
        {"share": Share("of all multiplications that are saved")},
        _study_channels,
    ),
    "prune": Pass(
        _prune,
        "Weights become zero where the answers suffer least; the others are fitted anew.",
        "Frantar, Singh & Alistarh, NeurIPS 2022; Frantar & Alistarh, ICML 2023",
        {
            "sparsity": Share("of all weights that become zero; of 2:4, half of each layer that it fits", 0.5),
            "pattern": Choice("which weights go together", tuple(PATTERNS), "unstructured"),
        },
    ),
    "equalise": Pass(
        equalise,
        "Channels of neighbouring layers get like ranges, which one scale then fits.",
        "Nagel et al., ICCV 2019, section 4.1",
        {},
    ),
    "correct-biases": Pass(
        _correct_for_rounding,
        "Biases take back the mean error of weights rounded to 8 bits.",
        "Nagel et al., ICCV 2019, section 4.2",
        {},
    ),
    "round-weights": Pass(
        round_weights,
        "Each weight is rounded so that those rounded after it make up for the error.",
        "Frantar et al., GPTQ, ICLR 2023",
        {},
    ),
}
"""In the order in which they are usually done."""
