"""The settings of a search over a supernet."""

from dataclasses import dataclass

from benchmarks.errors import UserError, suggest
from benchmarks.options import listed, option, problems
from harness.operations.config import ORDERS, OperationsConfig, usable
from harness.operations.search.methods import METHODS, Method
from harness.proxies.registry import registry


@dataclass(frozen=True)
class FindConfig:
    """A search, an option of the command line each; those of `base` too."""

    base: OperationsConfig
    method: str = option(help="; ".join(f"{name}: {method.about}" for name, method in METHODS.items()))
    score: str | None = option(
        None, help="what decides: a proxy of zero-cost-pt and disc-zc (default naswot@zero-cost-pt, counted as in the"
        " released code; naswot counts every ReLU once); "
        + "; ".join(f"of {name}: {', '.join(method.scores)}" for name, method in METHODS.items() if method.scores[1:])
    )  # fmt: skip
    order: str = option("", help=f"in which edges are decided: {', '.join(ORDERS)} (default random; darts and"
                        " ostr-darts: fixed, as in their papers)", choices=ORDERS)  # fmt: skip
    proposals: int = option(10, help="N, proposals of a search", least=1)
    validations: int = option(100, help="V, minibatches that choose among the proposals", least=1)
    tuning: int = option(0, help="epochs of training after each decision in a trained supernet (default 0; DARTS-PT has"
                         " 5)", least=0)  # fmt: skip
    ranks: str = option("", help="darts, mobilenet: proxies, by commas, that rank what is found among 1,000 random"
                        " ones, each a pass over all of them (parameters and FLOPs always do)")  # fmt: skip
    ranks_folder: str | None = option(None, help="folder that keeps those scores for other searches (default: --out)")

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise suggest([self.method], METHODS, "search over a supernet")
        if not self.order:
            object.__setattr__(self, "order", self.how.order or "random")
        if wrong := problems(self):
            raise UserError("; ".join(wrong))
        valid = registry() if self.how.any_proxy else self.how.scores
        if self.by not in valid:
            raise suggest([self.by], valid, f"--score of {self.method}")
        if self.how.any_proxy:
            usable(self.by)
        if self.ranks:
            _ = self.ranked_by

    @property
    def how(self) -> Method:
        """The record of the method."""
        return METHODS[self.method]

    @property
    def ranked_by(self) -> tuple[str, ...]:
        """The proxies of `ranks`; UserError for unknown ones and for counts."""
        proxies = {name for name, entry in registry().items() if not entry.static}
        return tuple(listed(self.ranks, proxies, "proxy of --ranks")) if self.ranks else ()

    @property
    def by(self) -> str:
        """The proxy, the saliency, or the score of a trained supernet."""
        return self.score or self.how.scores[0]
