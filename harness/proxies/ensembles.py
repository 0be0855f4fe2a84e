"""The published ensembles as data: members, how their ranks are combined, source."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ensemble:
    """A named way to combine named proxies."""

    name: str
    members: tuple[str, ...]
    combine: str | None
    """A key of harness.analysis.ensembles.RULES; None for a vote, which gives no score."""
    paper: str
    formula: str

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"Ensemble of {', '.join(self.members)}: {self.formula}."


ENSEMBLES = {
    each.name: each
    for each in (
        Ensemble(
            "az_nas", ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity"), "log_rank",
            "Lee and Ham 2024, arXiv 2403.19232", "sum of the logarithms of relative ranks",
        ),
        Ensemble(
            "te_nas", ("ntk_cond", "linear_regions@te_nas"), "rank_sum", "Chen et al. 2021, arXiv 2102.11535",
            "sum of relative ranks",
        ),
        Ensemble(
            "te_nas@az_nas", ("ntk_cond", "linear_regions@az_nas"), "rank_sum", "Lee and Ham 2024, arXiv 2403.19232",
            "sum of relative ranks",
        ),
        Ensemble(
            "vkdnw_agg", ("az_complexity", "az_expressivity", "az_progressivity", "vkdnw", "az_trainability"),
            "log_rank", "Tybl and Neumann 2025, arXiv 2502.04975", "sum of the logarithms of relative ranks",
        ),
        Ensemble(
            "vote", ("synflow", "jacob_cov", "snip"), None, "Abdelfattah et al. 2021, arXiv 2101.08134",
            "on each pair of architectures, the order that most members give",
        ),
    )
}  # fmt: skip
"""The published ones. A vote is judged by `concordance` alone and has no place on an axis of rank correlations."""
