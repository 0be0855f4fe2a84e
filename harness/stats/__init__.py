"""Statistics of scores against accuracies: arrays in, numbers out. Knows no networks, no files, no proxies."""

from harness.stats.agreement import (
    different_seeds,
    mean_interval,
    pairs_of_seeds,
    rho_difference,
    same_order,
    seed_agreement,
    seed_mean,
    seed_spread,
    spearman_matrix,
)
from harness.stats.correlation import (
    both_finite,
    kendall_tau_a,
    kendall_tau_b,
    partial_spearman,
    pearson,
    share,
    size_strata,
    spearman,
    strata_mean,
    stratum_spearman,
    tied,
    top_spearman,
    weighted_tau,
    worst_case_spearman,
)
from harness.stats.intervals import (
    FEWEST_UNITS,
    Paired,
    bootstrap_spearman,
    difference_interval,
    difference_p,
    holm,
    paired_difference,
    partial_interval,
    percentile_interval,
    resample_weights,
    rho_influence,
    rho_interval,
    strata_interval,
    tau_b_influence,
    tau_b_interval,
)
from harness.stats.pareto import budget_regret, budgets, front
from harness.stats.ranks import (
    best_rank_at_k,
    curve_points,
    expected_best,
    midranks,
    ndcg_at_k,
    picked,
    precision_at_k,
    random_regret,
    regret_curve,
    top_k_regret,
)
