"""What is compared: proxies, kept scores, a CSV and a run folder, on the benchmarks that all are about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import harness
from benchmarks.darts.genotypes import random_genotype
from benchmarks.errors import UserError
from harness.runs.sources import gather, names_of


@pytest.fixture
def csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    frame = harness.scores("201", "digits")[["arch", "snip"]].rename(columns={"snip": "theirs"})
    frame.iloc[::-1].head(200).to_csv("theirs.csv", index=False)
    return "theirs.csv"


def test_a_csv_meets_kept_scores_on_the_architectures_of_both(csv: str) -> None:
    lines: list[str] = []
    words = [csv, "synflow,params"]
    runs = gather(words, "201,macro", kept=True, say=lines.append, dataset="digits")
    assert list(runs) == ["201"] and any("macro is left out" in line for line in lines)
    run = runs["201"]
    kept = harness.scores("201", "digits").set_index("arch")
    assert len(run.archs) == 200 and names_of(words, runs.values()) == ["theirs", "synflow", "params"]
    np.testing.assert_array_equal(run.scores["synflow"][0], kept.loc[list(run.archs), "synflow"])
    np.testing.assert_array_equal(run.scores["theirs"][0], kept.loc[list(run.archs), "snip"])
    again = gather([str(run.path), csv], "201", say=lines.append, dataset="digits")
    assert names_of([str(run.path), csv], again.values())[-1] == "theirs"


def test_nothing_is_scored_where_a_name_is_unknown_or_no_benchmark_fits(csv: str) -> None:
    with pytest.raises(UserError, match="did you mean synflow"):
        gather(["synflo", csv], "201", say=print)
    with pytest.raises(UserError, match="nothing to compare"):
        gather(["", " , "], "201", kept=True, say=print)
    with pytest.raises(UserError, match="macro is left out: .*without ground truth"):
        gather([csv, "params"], "macro", kept=True, say=lambda line: None, dataset="digits")
    assert not Path("results").exists() or not list(Path("results").rglob("scores.h5"))


def test_all_benchmarks_are_those_with_ground_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that only have an embedded table where a folder was named, nor the parts of a space beside it."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    rows = [f'"{random_genotype(generator)}",{80 + at}' for at in range(20)]
    (tmp_path / "nasbenchdarts.csv").write_text("\n".join(["arch,cifar10_test_200", *rows]))
    assert list(gather(["params,random"], "all", say=print, data=str(tmp_path))) == ["darts"]
    with pytest.raises(UserError, match="no benchmark has ground truth of this dataset"):
        gather(["params,random"], "all", say=print, data=str(tmp_path), dataset="cifar1000")
