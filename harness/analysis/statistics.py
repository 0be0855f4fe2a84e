"""MISSING DOC"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import stats
from harness.analysis.populations import Array, Population, Strata

if TYPE_CHECKING:
    pass


COLUMNS = (
    *("population", "proxy", "n", "failed", "ties", "tau_b", "tau_b_low", "tau_b_high", "tau_a", "tau_weighted"),
    *("rho", "rho_low", "rho_high", "pearson", "rho_partial_params", "rho_top10pct", "rho_strata"),
    *("rho_worst", "rho_best"),
    *("regret_1", "regret_10", "regret_10_low", "regret_10_high", "regret_100", "regret_1pct"),
    *("precision_10pct", "best_rank_10", "ndcg_10pct", "seconds", "rho_seed_sd", "rho_mean_score"),
    *("fitted", "cohort"),
)


def _statistics(score: Array, part: Population, strata: Strata) -> dict[str, float]:
    """The statistics of one score (archs,) that need no resampling."""
    accuracy, count = part.accuracy, len(part.accuracy)
    tau_b = stats.kendall_tau_b(score, accuracy)
    worst, best = stats.worst_case_spearman(score, accuracy)
    top = stats.share(count, 10)
    return {
        "ties": stats.tied(score),
        "tau_b": tau_b,
        "tau_a": stats.kendall_tau_a(score, accuracy),
        "tau_weighted": stats.weighted_tau(score, accuracy),
        "rho": stats.spearman(score, accuracy),
        "pearson": stats.pearson(score, accuracy),
        "rho_partial_params": stats.partial_spearman(score, accuracy, part.params),
        "rho_top10pct": stats.top_spearman(score, accuracy, 10),
        "rho_strata": stats.strata_mean(strata),
        "rho_worst": worst,
        "rho_best": best,
        **{f"regret_{k}": stats.top_k_regret(score, accuracy, k) for k in (1, 10, 100)},
        "regret_1pct": stats.top_k_regret(score, accuracy, stats.share(count, 1)),
        "precision_10pct": stats.precision_at_k(score, accuracy, top),
        "best_rank_10": stats.best_rank_at_k(score, accuracy, 10),
        "ndcg_10pct": stats.ndcg_at_k(score, accuracy, top),
    }
