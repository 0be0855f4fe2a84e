"""All observers by the name that a proxy declares in `reads`; `probe.observed(name)` gives what one collected."""

from harness.probe import map_observers as maps
from harness.probe import relu_observers as relus
from harness.probe.observer import Observer

OBSERVERS: dict[str, type[Observer]] = {
    "relu_gram": relus.ReluGram,
    "relu_blocks": relus.ReluBlocks,
    "relu_words": relus.ReluWords,
    "relu_layer_words": relus.ReluLayerWords,
    "channel_correlations": maps.ChannelCorrelations,
    "square_blocks": maps.SquareBlocks,
    "block_maps": maps.BlockMaps,
    "relu_correlations": relus.ReluCorrelations,
    "relu_gradient_correlations": relus.ReluGradientCorrelations,
    "relu_distances": relus.ReluDistances,
    "last_input_distances": relus.LastInputDistances,
    "conditioning": maps.Conditioning,
    "code_hashes": relus.CodeHashes,
}
"""Name -> observer; what each gives stands in its docstring."""
