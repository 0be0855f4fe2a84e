"""The searches over a supernet, by name; `harness.search` hands them on to `harness.operations.search.run`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

METHODS = {
    "zero-cost-pt": "edges decided one by one by zc-pt, N proposals, the best by a proxy of its own network"
    " (Xiang et al. 2023, arXiv 2106.06799)",
    "disc-zc": "the same by disc-zc",
    "tenas": "the same by added ranks of NTK condition number and linear regions (after Chen et al. 2021, arXiv"
    " 2102.11535)",
    "freedarts": "all edges at once by the saliency of architecture parameters (FreeDARTS / ZEROS)",
    "darts": "the largest architecture parameter of each edge of a trained supernet (Liu et al., arXiv 1806.09055)",
    "darts-pt": "edges of a trained supernet decided one by one for the operation whose removal costs the most accuracy"
    " (Wang et al. 2021, arXiv 2108.04392)",
    "disc-acc": "edges of a trained supernet decided one by one for the operation that alone leaves the most accuracy",
    "ostr-darts": "edges of a trained supernet decided one by one for the operation that alone leaves the lowest loss"
    " (OStr-DARTS, arXiv 2409.14433)",
}
"""Name -> what it does and whose it is."""
TRAINED_METHODS = {"darts": "darts", "darts-pt": "darts-pt", "disc-acc": "disc-acc", "ostr-darts": "ostr"}
"""Those of a trained supernet -> the score they decide by."""
STRENGTHS = ("ostr", "ostr:taylor1", "ostr:taylor1_abs", "removal")
"""Scores by which ostr-darts may decide; the first is the default."""
SALIENCIES = tuple(
    f"zeros-{kind}{form}"
    for form in ("", "-iterative", "-global")
    for kind in ("synflow", "snip", "grasp", "fisher", "ntk")
)
"""Scores by which freedarts may choose; the first is the default, as in its published results."""


def asked(words: Sequence[str]) -> bool:
    """Return whether a command line asks for one of these methods."""
    named = {word.removeprefix("--method=") for word in words if word.startswith("--method=")}
    named |= {word for before, word in itertools.pairwise(words) if before == "--method"}
    return bool(named & METHODS.keys())
