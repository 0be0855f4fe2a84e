"""Scores computed elsewhere: the same statistics as a run's own, failures counted, bad files refused in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_table

import harness
from benchmarks import UserError
from benchmarks.benchmark import space_of
from harness.cli.evaluate import main
from harness.store.stored_run import load_run

TABLE = tiny_table()
ACCURACY = TABLE.target()


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"arch": TABLE.archs, **columns})


def row(result, proxy: str, population: str = "all") -> pd.Series:
    table = result.table.set_index(["population", "proxy"])
    return table.loc[(population, proxy)]


@pytest.fixture
def out(embedded: Path, tmp_path: Path) -> Path:
    return tmp_path / "out"


def refused(scores, out: Path, **settings) -> str:
    with pytest.raises(UserError) as caught:
        harness.judge(scores, out=out, **settings)
    assert "\n" not in str(caught.value) and not (out / "scores.h5").exists()
    return str(caught.value)


def test_scores_meet_the_accuracy_of_their_own_architecture(out: Path):
    mixed = frame(good=ACCURACY, bad=-ACCURACY).sample(frac=1, random_state=0)
    result = harness.judge(mixed, out=out)
    assert row(result, "good")["rho"] == pytest.approx(1) and row(result, "bad")["rho"] == pytest.approx(-1)
    assert result.run.archs == tuple(mixed["arch"])
    assert np.array_equal(result.run.accuracy, mixed["good"])
    assert {"params", "flops", "layers", "random"} <= set(result.run.scores)
    assert result.run.manifest["device"] == "elsewhere" and result.run.space_best == ACCURACY.max()


def test_the_baselines_are_those_of_a_run(out: Path):
    run = harness.correlate("201", proxies="params", out=str(out / "run"), workers=1)
    judged = harness.judge(pd.DataFrame({"arch": run.run.archs, "mine": 1.0}), out=out / "judged")
    for name in ("params", "flops", "layers", "random"):
        assert np.array_equal(run.run.scores[name], judged.run.scores[name])
    for name in ("accuracy", "seed_accuracy", "class_id", "params"):
        assert np.array_equal(getattr(run.run, name), getattr(judged.run, name))


def test_failures_are_counted_with_their_reason(out: Path, tmp_path: Path):
    cells = [str(value) for value in ACCURACY]
    cells[0], cells[1], cells[2], cells[3] = "", "NaN", "-inf", "inf"
    frame(mine=cells).to_csv(tmp_path / "s.csv", index=False)
    result = harness.judge(tmp_path / "s.csv", out=out)
    assert row(result, "mine")["n"] == 26 and row(result, "mine")["failed"] == 4
    reasons = dict(zip(result.run.failures["arch"], result.run.failures["reason"], strict=True))
    assert reasons[TABLE.archs[0]] == "the cell is empty" and reasons[TABLE.archs[2]] == "the cell is '-inf'"
    assert result.run.scores["mine"][0, 3] == np.inf and np.isnan(result.run.scores["mine"][0, 0])


def test_a_row_for_each_score_is_the_same_as_a_column_for_each_proxy(out: Path):
    wide = frame(a=ACCURACY, b=np.arange(30.0) % 7)
    long = wide.melt("arch", var_name="proxy", value_name="score").sample(frac=1, random_state=1)
    first = harness.judge(wide, out=out / "wide").run
    second = harness.judge(long, out=out / "long").run
    order = [second.archs.index(arch) for arch in first.archs]
    for name in ("a", "b"):
        assert np.array_equal(first.scores[name][0], second.scores[name][0][order])
    shorter = harness.judge(long.iloc[1:], out=out / "gap").run
    assert shorter.failures["reason"].tolist() == ["no score given"]


def test_seeds_are_rows_of_scores(out: Path):
    both = pd.concat([frame(mine=ACCURACY, seed=10), frame(mine=-ACCURACY, seed=9)])
    run = harness.judge(both, out=out).run
    assert np.array_equal(run.scores["mine"], [-ACCURACY, ACCURACY])  # 9 before 10
    assert run.scores["params"].shape == (2, 30)


def test_architectures_by_index(out: Path):
    space = space_of("201")
    indices = [space.index(arch) for arch in TABLE.archs]
    run = harness.judge(pd.DataFrame({"index": indices, "mine": ACCURACY}), out=out).run
    assert run.archs == TABLE.archs
    wrong = frame(index=[*indices[1:], indices[0]], mine=ACCURACY)
    assert "30 rows whose index is not that of their arch" in refused(wrong, out / "x")
    assert "2 indices without ground truth" in refused(pd.DataFrame({"index": [-1, "x"], "mine": 1}), out / "x")


def test_a_column_called_like_a_baseline_is_kept_apart(out: Path):
    run = harness.judge(frame(params=ACCURACY), out=out).run
    assert np.array_equal(run.scores["params@given"][0], ACCURACY)
    assert not np.array_equal(run.scores["params"][0], ACCURACY)


def test_other_scores_in_the_same_folder_are_refused(out: Path):
    harness.judge(frame(mine=ACCURACY), out=out)
    harness.judge(frame(mine=ACCURACY), out=out)  # the same again
    other = frame(mine=-ACCURACY)
    with pytest.raises(UserError, match="holds a run with other settings .*scores"):
        harness.judge(other, out=out)
    assert np.array_equal(load_run(out).scores["mine"][0], ACCURACY)
    assert np.array_equal(harness.judge(other, out=out, existing="replace").run.scores["mine"][0], -ACCURACY)
    with pytest.raises(UserError, match="other settings"):
        harness.correlate("201", proxies="params", out=str(out), workers=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty file; expected a CSV with a column arch or index"),
        ("arch,mine\n", "no rows"),
        ("arch\n{0}\n", "no column of scores"),
        ("name,mine\n{0},1\n", "no column 'arch' or 'index'"),
        ("arch,mine\n{0},abc\n{1},1\n{2},1,5\n", "2 columns expected, but row 3 has 3; is the file complete?"),
        ("arch,mine\n{0},1\n{1}", "2 columns expected, but row 2 has 1; is the file complete?"),
        ("arch,mine\n{0},abc\n{1},1\n", "column 'mine' has cells that are no numbers: 'abc' in row 1"),
        ("arch,mine\n{0},1\n{0},2\n", "1 architectures occur more than once, the first {0}"),
        ("arch,mine,seed\n{0},1,1\n{0},2,1\n", "more than once with the same seed"),
        ("arch,mine\nresnet,1\n{1},2\n", "1 architectures without ground truth"),
        ("arch,mine,mine\n{0},1,2\n", "columns that occur more than once: mine"),
        ("arch,a/b\n{0},1\n", "names that no proxy can have: 'a/b'"),
        ("arch,proxy,score,extra\n{0},a,1,2\n", "columns besides proxy and score: extra"),
        ("\x00\x01\x02binary\n\x00", "binary"),
    ],
)  # fmt: skip
def test_bad_files_are_one_line(text: str, said: str, out: Path, tmp_path: Path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text(text.format(*TABLE.archs))
    assert main([str(path), "--bench", "201", "--out", str(out)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said.format(*TABLE.archs) in lines[0]
    assert not out.exists()


def test_everything_wrong_is_said_at_once(out: Path):
    said = refused(frame(a="x", b="y"), out, split="train", epochs=99, reduction="median")
    for part in ("'train'", "99 epochs", "'median'", "column 'a'", "column 'b'"):
        assert part in said


def test_no_such_file_and_unknown_words(out: Path, capsys):
    assert main(["nowhere.csv", "--bench", "201"]) == 2
    assert "nowhere.csv: no such file" in capsys.readouterr().err
    assert "did you mean replace?" in refused(frame(a=1.0), out, existing="replaec")
    assert "unknown benchmark: '20'" in refused(frame(a=1.0), out, bench="20")
