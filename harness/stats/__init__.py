"""Statistics of scores against accuracies: arrays in, numbers out. Knows no networks, no files, no proxies."""

from harness.stats.correlation import (
    both_finite,
    kendall_tau_a,
    kendall_tau_b,
    midranks,
    partial_spearman,
    pearson,
    share,
    spearman,
    spearman_matrix,
    tied,
    top_spearman,
    worst_case_spearman,
)
from harness.stats.influence import (
    partial_interval,
    rho_difference_interval,
    rho_influence,
    rho_interval,
    strata_interval,
)
from harness.stats.intervals import (
    FEWEST_UNITS,
    bootstrap_spearman,
    difference_p,
    holm,
    percentile_interval,
    resample_weights,
)
from harness.stats.kendall import tau_b_influence, tau_b_interval, weighted_tau
from harness.stats.noise import seed_agreement
from harness.stats.regret import (
    curve_points,
    expected_best,
    picked,
    random_regret,
    regret_curve,
    top_k_regret,
    weighted_regret,
)
from harness.stats.seeds import Paired, different_seeds, paired_difference, rho_difference, seed_mean, seed_spread
from harness.stats.strata import size_strata, strata_mean, stratum_spearman
from harness.stats.top_k import best_rank_at_k, ndcg_at_k, precision_at_k

__all__ = [
    "FEWEST_UNITS",
    "Paired",
    "best_rank_at_k",
    "bootstrap_spearman",
    "both_finite",
    "curve_points",
    "difference_p",
    "different_seeds",
    "expected_best",
    "holm",
    "kendall_tau_a",
    "kendall_tau_b",
    "midranks",
    "ndcg_at_k",
    "paired_difference",
    "partial_interval",
    "partial_spearman",
    "pearson",
    "percentile_interval",
    "picked",
    "precision_at_k",
    "random_regret",
    "regret_curve",
    "resample_weights",
    "rho_difference",
    "rho_difference_interval",
    "rho_influence",
    "rho_interval",
    "seed_agreement",
    "seed_mean",
    "seed_spread",
    "share",
    "size_strata",
    "spearman",
    "spearman_matrix",
    "strata_interval",
    "strata_mean",
    "stratum_spearman",
    "tau_b_influence",
    "tau_b_interval",
    "tied",
    "top_k_regret",
    "top_spearman",
    "weighted_regret",
    "weighted_tau",
    "worst_case_spearman",
]
