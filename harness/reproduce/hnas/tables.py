"""The metrics of HNAS against each other, against test error and across datasets: arrays in, frames out.

M is the absolute value of a metric's score, as in the search; error is 100 - accuracy, percent. The guarantees bound
the error, so they should rise with it, and M should fall:

    realizable        1 / M
    non-realizable    kappa / M + mu |M^2 - nu|,  nu = t^2, mu = 10^c

The two constants are the best for Spearman's rho with the test error on a grid, so they have seen accuracies: t among 0
and 20 quantiles of M, c from -4 to 0 in steps of 0.25. Rho and tau of the very architectures they were chosen on are
compared with those of held-out ones: chosen on a random half of the networks, judged on the other. This is not the
outer optimisation of the search, which maximises one accuracy, not a correlation.

Statistics and 95 % intervals are those of `harness.stats`, over what was drawn (strings, or networks with all their
strings): bootstrap for rho, analytic for tau-b, none for Pearson's correlation, and none where the whole space was
scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

import harness.stats as stats
from harness.search.hnas import METRICS, criterion

TITLES = dict(zip(METRICS, ("M_Grad", "M_SNIP", "M_GraSP", "M_Trace"), strict=True))
"""Metric -> its name in the paper."""
REALIZABLE, FITTED, HELD_OUT = "1/M", "kappa/M + mu |M^2 - nu|, fitted", "the same, held out"
EXPONENTS = np.arange(-4, 0.01, 0.25)
QUANTILES = np.linspace(0, 1, 20)


@dataclass(frozen=True)
class Sample:
    """Architectures and how they are resampled."""

    class_id: np.ndarray
    """(archs,): equal for strings of one network."""
    unit: np.ndarray
    """(archs,): equal for those that were drawn together."""
    weights: np.ndarray
    """(resamples, archs): how often each is in each bootstrap sample; no row where there are to be no intervals."""
    shrink: float = 1.0
    """Sampling error relative to that of a sample with replacement."""

    @classmethod
    def of(
        cls, class_id: np.ndarray, resamples: int, share: float = 0.0, by_string: bool = True, seed: int = 0
    ) -> Sample:
        """Draw the bootstrap samples of a `share` of the space's strings, or of its networks."""
        unit = np.arange(len(class_id)) if by_string else class_id
        return cls(class_id, unit, stats.resample_weights(unit, resamples, seed), float(np.sqrt(max(0.0, 1 - share))))

    def correlate(self, one: np.ndarray, other: np.ndarray) -> dict[str, float]:
        """Return n, rho, tau_b and the ends of their intervals (rho_low, ...) over those finite in both, (archs,)."""
        nothing, value = (float("nan"), float("nan")), stats.spearman(one, other)
        rho, tau = nothing, nothing
        if len(self.weights):
            drawn = stats.bootstrap_spearman(one, other, self.weights)[0]
            rho = stats.percentile_interval(value + self.shrink * (drawn - value))
            tau = stats.tau_b_interval(one, other, self.unit, shrink=self.shrink)
        return {
            "n": int(stats.both_finite(one, other).sum()), "rho": value, "rho_low": rho[0], "rho_high": rho[1],
            "tau_b": stats.kendall_tau_b(one, other), "tau_b_low": tau[0], "tau_b_high": tau[1],
        }  # fmt: skip


def between_metrics(sample: Sample, metrics: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return a row for each two metrics {name: M (archs,)}: pearson, pearson_log (of log M, where both are above 0),
    and the columns of `Sample.correlate`."""
    rows = []
    for name, other in combinations(metrics, 2):
        one, two = metrics[name], metrics[other]
        with np.errstate(divide="ignore"):
            logs = stats.pearson(np.log(one), np.log(two))
        linear = {"pearson": stats.pearson(one, two), "pearson_log": logs}
        rows.append({"metric": name, "other": other, **linear, **sample.correlate(one, two)})
    return pd.DataFrame(rows, columns=["metric", "other", "pearson", "pearson_log", *_STATISTICS])


def against_error(
    sample: Sample, metrics: Mapping[str, np.ndarray], kappa: np.ndarray | None, error: np.ndarray
) -> pd.DataFrame:
    """Return a row for each metric and quantity (M, and the guarantees): t, c, fitted, and `Sample.correlate` with the
    test error (archs,), percent. Guarantees are over the architectures with a finite kappa (archs,); None: only 1/M."""
    rows: list[dict[str, Any]] = []
    for name, metric in metrics.items():
        known = metric if kappa is None else np.where(np.isfinite(kappa), metric, np.nan)
        found: dict[str, tuple[np.ndarray, float, float]] = {"M": (metric, np.nan, np.nan)}
        found[REALIZABLE] = (1 / (known + 1e-6), np.nan, np.nan)
        if kappa is not None:
            t, c = fit(metric, kappa, error)
            found[FITTED] = (criterion(metric, kappa, t, 10.0**c), t, c)
            found[HELD_OUT] = _held_out(sample, metric, kappa, error)
        for quantity, (values, t, c) in found.items():
            fitted = quantity in (FITTED, HELD_OUT)
            row = {"metric": name, "quantity": quantity, "t": t, "c": c, "fitted": fitted}
            rows.append(row | sample.correlate(values, error))
    return pd.DataFrame(rows, columns=["metric", "quantity", "t", "c", "fitted", *_STATISTICS])


def fit(metric: np.ndarray, kappa: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Return the (t, c) of the grid whose guarantee has the largest rho with the error; NaN where none has one."""
    keep = stats.both_finite(metric, kappa, error)
    metric, kappa, error = metric[keep], kappa[keep], error[keep]
    if not len(metric):
        return float("nan"), float("nan")
    best, chosen = -np.inf, (float("nan"), float("nan"))
    for t in np.unique([0.0, *np.quantile(metric, QUANTILES)]):
        for c in EXPONENTS:
            rho = stats.spearman(criterion(metric, kappa, t, 10.0**c), error)
            if rho > best:
                best, chosen = rho, (float(t), float(c))
    return chosen


def _held_out(
    sample: Sample, metric: np.ndarray, kappa: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Return the guarantee with constants chosen on half of the networks, NaN on these, and the constants."""
    networks, of_arch = np.unique(sample.class_id, return_inverse=True)
    chosen_on = (np.random.default_rng(0).permutation(len(networks)) < len(networks) // 2)[of_arch]
    t, c = fit(np.where(chosen_on, metric, np.nan), kappa, error)
    return np.where(chosen_on, np.nan, criterion(metric, kappa, t, 10.0**c)), t, c


def transfer(
    sample: Sample, source: str, metrics: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Return a row for each metric computed on the dataset `source` and each dataset of {name: error (archs,)}."""
    rows = [
        {"source": source, "metric": name, "target": target, **sample.correlate(metric, error)}
        for name, metric in metrics.items()
        for target, error in errors.items()
    ]
    return pd.DataFrame(rows, columns=["source", "metric", "target", *_STATISTICS])


_STATISTICS = ("n", "rho", "rho_low", "rho_high", "tau_b", "tau_b_low", "tau_b_high")
