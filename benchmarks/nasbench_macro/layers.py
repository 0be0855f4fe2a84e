"""Layers of NAS-Bench-Macro: the digits of a string, widths, equal strings, and counts."""

import itertools

OPERATIONS = "012"
STAGES = (2, 3, 3)
"""Layers in each stage."""
LAYERS = sum(STAGES)
FIRST = tuple(itertools.accumulate((0, *STAGES[:-1])))
"""Positions of the layers that begin a stage."""
BLOCK = {"1": (3, 3), "2": (5, 6)}
"""Digit of a mobile block -> (kernel, expansion)."""


def widths(channels: int) -> list[tuple[int, int, int]]:
    """Return (channels in, channels out, stride) of each layer, for a stem of `channels`: twice as many a stage."""
    rows, inside = [], channels
    for position in range(LAYERS):
        first = position in FIRST
        rows.append((inside, 2 * inside if first else inside, 2 if first else 1))
        inside = rows[-1][1]
    return rows


def canonical(arch: str) -> str:
    """Return the string that names the network: in each stage the identities after the first layer moved to its end."""
    stages = []
    for start, length in zip(FIRST, STAGES, strict=True):
        rest = arch[start + 1 : start + length].replace("0", "")
        stages.append(arch[start] + rest + "0" * (length - 1 - len(rest)))
    return "".join(stages)


def layer_size(operation: str, inside: int, outside: int, stride: int, side: int) -> tuple[int, int, int]:
    """Return (parameters, FLOPs, parameter tensors) of one layer; `side` is the resolution before it in pixels.

    FLOPs are multiply-accumulates of the convolutions for one image, as the benchmark states them.
    """
    after = side // stride
    if operation == "0":
        if stride == 1:
            return 0, 0, 0
        return inside * outside + 2 * outside, inside * outside * after**2, 3
    kernel, expansion = BLOCK[operation]
    hidden = inside * expansion
    expand, depthwise, project = inside * hidden, kernel**2 * hidden, hidden * outside
    params = expand + depthwise + project + 4 * hidden + 2 * outside
    return params, expand * side**2 + (depthwise + project) * after**2, 9
