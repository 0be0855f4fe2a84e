"""All observers by the name that a proxy declares in `reads`; `probe.observed(name)` gives what one collected."""

from harness.probe.map_observers import BlockMaps, ChannelCorrelations, Conditioning, SquareBlocks
from harness.probe.observer import Observer
from harness.probe.relu_observers import (
    CodeHashes,
    LastInputDistances,
    ReluCorrelations,
    ReluDistances,
    ReluGradientCorrelations,
    ReluGram,
    ReluLayerWords,
    ReluWords,
)

OBSERVERS: dict[str, type[Observer]] = {
    "relu_gram": ReluGram,
    "relu_words": ReluWords,
    "relu_layer_words": ReluLayerWords,
    "channel_correlations": ChannelCorrelations,
    "square_blocks": SquareBlocks,
    "block_maps": BlockMaps,
    "relu_correlations": ReluCorrelations,
    "relu_gradient_correlations": ReluGradientCorrelations,
    "relu_distances": ReluDistances,
    "last_input_distances": LastInputDistances,
    "conditioning": Conditioning,
    "code_hashes": CodeHashes,
}
"""Name -> observer; what each gives stands in its docstring."""
