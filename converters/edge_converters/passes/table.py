"""The passes there are, by the names that recipes give them. Adding a pass is adding a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from edge_converters.networks import Evidence, Network
from edge_converters.passes.batch_normalisation import fold_batch_normalisation
from edge_converters.passes.bias_correction import correct_biases
from edge_converters.passes.dead_channels import remove_dead_channels
from edge_converters.passes.equalisation import equalise
from edge_converters.passes.low_rank import factorise
from edge_converters.passes.pruning import prune
from edge_converters.passes.rounding import round_to_nearest, round_weights
from edge_converters.passes.structured_pruning import prune_channels
from edge_converters.passes.surgeon import BLOCK_OF_4, TWO_OF_FOUR, UNSTRUCTURED, Pattern

PATTERNS: Final[Mapping[str, Pattern]] = {"unstructured": UNSTRUCTURED, "block-4": BLOCK_OF_4, "2:4": TWO_OF_FOUR}


@dataclass(frozen=True)
class Pass:
    """A function on networks: takes the network, the evidence, and its parameters by name."""

    function: Callable[..., Network]
    source: str
    """The paper that describes the method."""


def _prune(network: Network, evidence: Evidence, *, sparsity: float, pattern: str = "unstructured") -> Network:
    return prune(network, evidence, sparsity=sparsity, pattern=PATTERNS[pattern])


def _correct_for_rounding(network: Network, evidence: Evidence) -> Network:
    """Weights on the 8-bit grid, and biases that take back the mean error which that brings."""
    return correct_biases(round_to_nearest(network), evidence, original=network)


PASSES: Final[Mapping[str, Pass]] = {
    "fold-batch-normalisation": Pass(fold_batch_normalisation, "Jacob et al., CVPR 2018, section 3.2"),
    "remove-dead-channels": Pass(remove_dead_channels, "Moore, Interval Analysis, 1966"),
    "factorise": Pass(factorise, "Zhang et al., TPAMI 38, 2016"),
    "prune": Pass(_prune, "Frantar, Singh & Alistarh, NeurIPS 2022; Frantar & Alistarh, ICML 2023"),
    "prune-channels": Pass(prune_channels, "Luo, Wu & Lin, ICCV 2017"),
    "equalise": Pass(equalise, "Nagel et al., ICCV 2019, section 4.1"),
    "correct-biases": Pass(_correct_for_rounding, "Nagel et al., ICCV 2019, section 4.2"),
    "round-weights": Pass(round_weights, "Frantar et al., GPTQ, ICLR 2023"),
}
