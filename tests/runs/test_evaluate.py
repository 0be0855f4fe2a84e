"""Scores computed elsewhere: the same statistics as a run's own, failures counted, bad files refused in one line."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_table

import benchmarks
import harness
from benchmarks import UserError
from benchmarks.benchmark import space_of
from harness.cli.evaluate import main
from harness.runs.config import each_space
from harness.runs.score_table import arrange
from harness.store.stored_run import load_run

TABLE = tiny_table()
ACCURACY = TABLE.target()


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"arch": TABLE.archs, **columns})


def row(result, proxy: str, population: str = "all") -> pd.Series:
    table = result.full.set_index(["population", "proxy"])
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
        ("name,mine\nx,1\n", "no column 'arch' or 'index'"),
        ("mine\n1\n2\n", "no column 'arch' or 'index'"),
        ("arch;mine\n{0};0,126\n", "'0,126' in row 1; write decimal points"),
        ("arch,mi\x07ne\n{0},1\n", "names that no proxy can have"),
        ("{{", "truncated or not JSON"),
        ('{{"cifar100": {{"{0}": {{"a": {{"score": 1}}}}}}}}', "no scores on 'digits'; it has cifar100"),
        ('{{"digits": {{"{0}": []}}}}', "no scores by proxy of '{0}'"),
        ('{{"digits": []}}', "scores as NAS-Bench-Suite-Zero has them"),
        ("arch,mine\n{0},abc\n{1},1\n{2},1,5\n", "2 columns expected, but line 4 has 3; decimal commas, or"),
        ("arch,mine\n{0},1\n{1}", "2 columns expected, but line 3 has 1; decimal commas, or"),
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


INDICES = [space_of("201").index(arch) for arch in TABLE.archs]
NUMBERS = [float(f"{value:.6g}") for value in ACCURACY]


def naslib(arch: str) -> str:
    """Operations by NASLib's numbers, the edges ordered 01, 02, 03, 12, 13, 23."""
    words = re.findall(r"([a-z_0-9]+)~", arch)
    order = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
    return str(tuple(order.index(words[at]) for at in (0, 1, 3, 2, 4, 5)))


def rows(form: str, *keys) -> str:
    return "\n".join(form.format(*row) for row in zip(*keys, NUMBERS, strict=True)) + "\n"


FILES = {
    "semicolons": "arch;mine\n" + rows("{};{}", TABLE.archs),
    "tabs and a mark": "\ufeffarch\tmine\n" + rows("{}\t{}", TABLE.archs),
    "arch_str": "arch_str,mine\n" + rows("{},{}", TABLE.archs),
    "any name": "my network,mine\n" + rows("{},{}", TABLE.archs),
    "arch_index": "arch_index,mine\n" + rows("{},{}", INDICES),
    "numbers with a point": "idx,mine\n" + rows("{}.0,{}", INDICES),
    "unnamed index": ",mine\n" + rows("{},{}", INDICES),
    "pandas' own index": ",arch,mine\n" + rows("{},{},{}", range(30), TABLE.archs),
    "order": "mine\n" + rows("{}"),
    "NASLib": "op_indices,mine\n" + rows('"{}",{}', map(naslib, TABLE.archs)),
    "Suite-Zero": json.dumps({"cifar10": {}, "digits": {
        naslib(arch): {"id": 1, "val_accuracy": 5.0, "mine": {"score": value, "time": 1}}
        for arch, value in zip(TABLE.archs, NUMBERS, strict=True)}}),
}  # fmt: skip


@pytest.mark.parametrize("form", FILES)
def test_files_as_others_write_them(form: str, embedded: Path, tmp_path: Path):
    (tmp_path / "scores.csv").write_text(FILES[form], encoding="utf-8")
    found, given = arrange(tmp_path / "scores.csv", benchmarks.load("201"), "scores.csv")
    assert found.tolist() == list(range(30)) and given.keys() == {"mine"}
    assert given["mine"][0][0].tolist() == NUMBERS


VALUES = {
    "indexed by arch": pd.DataFrame({"score": NUMBERS}, index=list(TABLE.archs)),
    "indexed by index": pd.DataFrame({"score": NUMBERS}, index=INDICES),
    "Series": pd.Series(NUMBERS, index=list(TABLE.archs)),
    "dictionary": dict(zip(TABLE.archs, NUMBERS, strict=True)),
    "dictionary by index": dict(zip(INDICES, NUMBERS, strict=True)),
    "dictionaries": {"score": dict(zip(TABLE.archs, NUMBERS, strict=True))},
    "columns": {"arch": list(TABLE.archs), "score": NUMBERS},
    "array": np.array(NUMBERS), "list": NUMBERS,
}  # fmt: skip


@pytest.mark.parametrize("form", VALUES)
def test_values_as_python_users_have_them(form: str, embedded: Path):
    found, given = arrange(VALUES[form], benchmarks.load("201"), "the scores")
    assert found.tolist() == list(range(30)) and given["score"][0][0].tolist() == NUMBERS


def test_numbers_and_lists_where_the_command_line_has_words(out: Path):
    run = harness.judge(np.array(NUMBERS), out=out / "judged", bench=201).run
    assert run.archs == TABLE.archs and run.scores["score"][0].tolist() == NUMBERS
    lists = {"proxies": ["params", "flops"], "sample": 4, "devices": ["cpu"], "workers": 1}
    assert harness.correlate(201, **lists, out=out / "run").run.scores.keys() >= {"params", "flops"}
    assert [config.bench for config in each_space([1, 3], bench="1shot1")] == ["1shot1-1", "1shot1-3"]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (NUMBERS[:3], "3 of them; expected a path, a DataFrame"), (None, "a NoneType; expected a path"),
        ({"a": [1], "b": [1, 2]}, "lists that do not fit together"), (object(), "a object; expected a path"),
        (pd.Series([1.0], index=["x"]), "1 architectures without ground truth"), ({}, "no column"),
        (np.zeros((30, 2, 2)), "30 of them"), ([["x"] * 30], "a list; expected"),
    ],
)  # fmt: skip
def test_values_that_are_no_scores_are_one_line(scores, said: str, out: Path):
    assert said in refused(scores, out)


def test_everything_wrong_is_said_at_once(out: Path):
    said = refused(frame(a="x", b="y"), out, split="train", epochs=99, reduction="median")
    for part in ("'train'", "99 epochs", "'median'", "column 'a'", "column 'b'"):
        assert part in said


def test_no_such_file_and_unknown_words(out: Path, capsys):
    assert main(["nowhere.csv", "--bench", "201"]) == 2
    assert "nowhere.csv: no such file" in capsys.readouterr().err
    assert "did you mean replace?" in refused(frame(a=1.0), out, existing="replaec")
    assert "unknown benchmark: '20'" in refused(frame(a=1.0), out, bench="20")
