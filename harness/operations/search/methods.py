"""The searches over a supernet, a record each. A new one is a file that carries it out and a record here."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

HERE = "harness.operations.search"


@dataclass(frozen=True)
class Method:
    """A search over a supernet, and what a reader must know of it."""

    name: str
    meaning: str
    paper: str
    """Authors, year, arXiv; empty where there is none."""
    function: str
    """`module:name` of what carries it out: (candidates, config, seed) -> `candidates.Outcome`."""
    scores: tuple[str, ...]
    """The scores that it may decide by; the first is the default."""
    any_proxy: bool = False
    """Whether it may decide by any proxy that can be read from a supernet."""
    order: str = "random"
    """The order of edges by default; empty where all edges are decided at once."""
    proposals: bool = False
    """Whether it makes N proposals and validates them on V minibatches."""
    trained: bool = False
    """Whether its supernet is trained, and can be trained further after each decision (--tuning)."""

    @property
    def about(self) -> str:
        """The meaning, with the paper."""
        return f"{self.meaning} ({self.paper})" if self.paper else self.meaning


_XIANG = "Xiang et al. 2023, arXiv 2106.06799"
_SALIENCIES = tuple(
    f"zeros-{kind}{form}"
    for form in ("", "-iterative", "-global")
    for kind in ("synflow", "snip", "grasp", "fisher", "ntk")
)
METHODS = {
    each.name: each
    for each in (
        Method("zero-cost-pt", "edges discretised one by one by zc-pt, N proposals, the best by a proxy of its network",
               _XIANG, f"{HERE}.untrained:zero_cost_pt", ("naswot@zero-cost-pt",), any_proxy=True, proposals=True),
        Method("disc-zc", "the same by disc-zc", "", f"{HERE}.untrained:disc_zc", ("naswot@zero-cost-pt",),
               any_proxy=True, proposals=True),
        Method("tenas", "the same by added ranks of NTK condition number and linear regions",
               "after Chen et al. 2021, arXiv 2102.11535", f"{HERE}.untrained:tenas", ("tenas",), proposals=True),
        Method("freedarts", "all edges at once by the saliency of architecture parameters", "FreeDARTS / ZEROS",
               f"{HERE}.untrained:freedarts", _SALIENCIES, order=""),
        Method("darts", "edges of a trained supernet discretised to the largest architecture parameter",
               "Liu et al. 2019, arXiv 1806.09055", f"{HERE}.trained:discretise", ("darts",), order="fixed",
               trained=True),
        Method("darts-pt", "edges of a trained supernet discretised one by one to the operation whose removal costs the"
               " most accuracy", "Wang et al. 2021, arXiv 2108.04392", f"{HERE}.trained:discretise", ("darts-pt",),
               trained=True),
        Method("disc-acc", "edges of a trained supernet discretised one by one to the operation that alone leaves the"
               " most accuracy", _XIANG, f"{HERE}.trained:discretise", ("disc-acc",), trained=True),
        Method("ostr-darts", "edges of a trained supernet discretised one by one to the operation that alone leaves the"
               " lowest loss", "OStr-DARTS, arXiv 2409.14433", f"{HERE}.trained:discretise",
               ("ostr", "ostr:taylor1", "ostr:taylor1_abs", "removal"), order="fixed", trained=True),
    )
}  # fmt: skip


def asked(words: Sequence[str]) -> bool:
    """Return whether a command line names one of these methods."""
    named = {word.removeprefix("--method=") for word in words if word.startswith("--method=")}
    named |= {word for before, word in itertools.pairwise(words) if before == "--method"}
    return bool(named & METHODS.keys())
