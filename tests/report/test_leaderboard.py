"""The leaderboard: an honest submission is added, a forged one refused, and the page is made of what is stored."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.analysis.submission import checked
from harness.cli.leaderboard import main
from harness.cli.scorecard import main as scorecard
from harness.runs import rescore
from harness.runs.config import RunConfig
from harness.runs.rescore import hidden_sample
from harness.runs.runner import run
from harness.store.stored_run import StoredRun

PROXY = '''import harness


@harness.proxy(reads="gradients")
def grad_l1(probe):
    """Sum over all weights of the absolute loss gradient, <b>mine</b>."""
    return probe.total(gradient.abs() for gradient in probe.gradients)
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scorecard of the embedded digits and the file of a proxy, without other ground truth."""
    folder = tmp_path_factory.mktemp("leaderboard")
    (folder / "mine.py").write_text(PROXY)
    assert scorecard(["--bench", "201", "--data", str(folder), "--out", str(folder / "card")]) == 0
    return folder


@pytest.fixture(scope="module")
def scored(place: Path) -> StoredRun:
    """60 architectures scored by the proxy of the file, under the seed that everyone has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("NAS_HARNESS_DATA", raising=False)
        return run(RunConfig(bench="201", dataset="digits", sample=60, proxies=f"{place}/mine.py:grad_l1", workers=1,
                             out=str(place / "run")), say=lambda line: None)  # fmt: skip


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden samples and seeds are the same in every run of the tests: a forgery may pass by chance."""
    draws = random.Random(0)
    monkeypatch.setattr(rescore.secrets, "randbelow", draws.randrange)
    monkeypatch.setattr(rescore.secrets, "randbits", draws.getrandbits)


def submitted(place: Path, scored: StoredRun, values: np.ndarray, *more: str) -> int:
    """Submit scores; return the exit code."""
    pd.DataFrame({"arch": scored.archs, "grad_l1": values}).to_csv(place / "given.csv", index=False)
    return main(["add", str(place / "given.csv"), "--proxies", f"{place}/mine.py:grad_l1", "--dataset", "digits",
                 "--workers", "1", "--archs", "24", "--draws", "2", *where(place), *more])  # fmt: skip


def where(place: Path) -> list[str]:
    return ["--data", str(place), "--scorecard", str(place / "card"), "--entries", str(place / "entries"),
            "--page", str(place / "page.html")]  # fmt: skip


@pytest.mark.usefixtures("known")
def test_an_honest_submission_is_added_and_forged_ones_are_refused(
    place: Path, scored: StoredRun, capsys: pytest.CaptureFixture
) -> None:
    honest = scored.scores["grad_l1"][0]
    forged = scored.accuracy + 0.1 * np.random.default_rng(0).normal(size=len(honest))
    assert submitted(place, scored, forged) == 2
    assert "grad_l1 is not added: they agree with re-scores with rho" in capsys.readouterr().err
    assert not (place / "entries").exists() and not (place / "page.html").exists()

    assert submitted(place, scored, honest) == 0
    assert "grad_l1 is added" in capsys.readouterr().out
    (entry,) = [json.loads(path.read_text()) for path in (place / "entries").glob("*.json")]
    assert entry["cell"]["task"] == "201 digits" and entry["cell"]["n"] == 60
    assert entry["check"]["agreement"] > 0.8 and len(entry["seeds"]) == 2 and len(entry["proxy_sha256"]) == 64
    text = (place / "page.html").read_text()
    assert "1 of them submitted" in text and "proxy, submitted" in text and len(text) < 1_000_000
    assert "<b>mine</b>" not in text and "&lt;b&gt;mine&lt;/b&gt;" in text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)  # one file, no network


def test_the_page_is_remade_alike(place: Path) -> None:
    assert main(where(place)) == 0
    first = (place / "page.html").read_text()
    assert main(where(place)) == 0
    assert (place / "page.html").read_text() == first
    cells = pd.read_csv(place / "card" / "cells.csv").set_index("score")
    assert f"synflow on 201 digits: rho {cells.loc['synflow', 'rho']:.3f}" in first


def test_scores_changed_for_a_few_architectures_are_refused() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(size=40)
    given, *again = (true + 0.1 * rng.normal(size=40) for _ in range(4))
    assert not checked(given, np.array(again)).wrong
    raised = given.copy()
    raised[np.argmin(true)] = given.max() + 1
    assert "of all ranks from where re-scores have it" in checked(raised, np.array(again)).wrong
    assert "on one side alone" in checked(np.where(true > 0.3, np.nan, given), np.array(again)).wrong
    noise = rng.normal(size=(3, 40))
    assert "nothing can be checked" in checked(given, noise).wrong
    exact = np.tile(true, (3, 1))
    assert checked(np.exp(true), exact).agreement == pytest.approx(1) and not checked(np.exp(true), exact).wrong


def test_the_hidden_sample_has_the_top_and_others_that_nobody_knows() -> None:
    given = np.r_[np.nan, np.arange(199.0)]
    draws = [hidden_sample(given, 40) for _ in range(3)]
    for places in draws:
        assert set(places[:20]) == set(range(180, 200)) and len(set(places)) == 40
    assert len({tuple(sorted(places)) for places in draws}) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ad", "x.csv"], "expected: add SCORES.csv --proxies FILE.py:NAME"),
        (["add"], "expected: add SCORES.csv"),
        (["add", "given.csv", "--proxies", "synflow"], "a built-in proxy is called 'synflow'"),
        (["add", "given.csv", "--proxies", "mine.py:grad_l1", "--archs", "3"], "--archs: expected 20 or more"),
        (["add", "other.csv", "--proxies", "mine.py:grad_l1"], "no column 'grad_l1', the name of the proxy"),
        (["add", "few.csv", "--proxies", "mine.py:grad_l1"], "20 architectures; expected 50 or more"),
        (["--scorecard", "nothing"], "no scorecard"),
    ],
)
def test_what_cannot_be_used_is_said(
    place: Path, scored: StoredRun, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(place)
    frame = pd.DataFrame({"arch": scored.archs, "grad_l1": scored.scores["grad_l1"][0]})
    frame.rename(columns={"grad_l1": "another"}).to_csv("other.csv", index=False)
    frame.head(20).to_csv("few.csv", index=False)
    assert main([*where(place), "--dataset", "digits", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_broken_entry_is_named(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "x.json").write_text('{"cell": {}}')
    assert main([*where(place), "--entries", str(tmp_path)]) == 2
    assert "x.json: no submission to the leaderboard" in capsys.readouterr().err
