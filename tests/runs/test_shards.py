"""Shards of a run, scored apart and merged: the scores of one uninterrupted run, to the bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny import embed

from benchmarks.errors import UserError
from harness.engine import scorer
from harness.runs import runner
from harness.runs.config import RunConfig
from harness.runs.merge import merge
from harness.store.stored_run import StoredRun, load_run

USUAL = {"bench": "201", "proxies": "snip,naswot", "sample": 7, "batch_size": 8, "workers": 1, "stack": 2, "seeds": 2}


def score(out: Path, **settings) -> StoredRun:
    return runner.run(RunConfig(**USUAL | settings, out=str(out)), say=lambda line: None)


def merged(*folders: Path, out: Path | None = None) -> StoredRun:
    return merge(folders, out, lambda line: None)


def same(first: StoredRun, second: StoredRun) -> bool:
    arrays = ("index", "accuracy", "class_id", "params")
    return (
        first.archs == second.archs and first.scores.keys() == second.scores.keys()
        and all(getattr(first, name).tobytes() == getattr(second, name).tobytes() for name in arrays)
        and all(first.scores[name].tobytes() == second.scores[name].tobytes() for name in first.scores)
    )  # fmt: skip


@pytest.fixture(scope="module")
def ground_truth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tiny ground truth; the folder beside it holds a run in three shards."""
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.benchmark.EMBEDDED", embed(folder / "embedded"))
        patch.delenv("NAS_HARNESS_DATA", raising=False)
        for part in (3, 1, 2):
            score(folder / "run", shard=f"{part}/3")
        yield folder


@pytest.fixture
def shards(ground_truth: Path, tmp_path: Path) -> Path:
    """A folder with three shards."""
    return Path(shutil.copytree(ground_truth / "run", tmp_path / "run"))


def test_merged_shards_are_one_uninterrupted_run(shards: Path, tmp_path: Path):
    whole = score(tmp_path / "whole")
    parts = [load_run(path) for path in sorted(shards.glob("shard-*-of-3"))]
    assert sum(len(part.archs) for part in parts) == 7 and {a for p in parts for a in p.archs} == set(whole.archs)
    found = merged(shards)
    assert same(whole, found) and found.path == shards and len(found.manifest["merged"]) == 3
    assert found.manifest["seconds"] > 0 and found.manifest["settings"] == whole.manifest["settings"]
    assert same(whole, merged(shards)) and same(whole, score(shards))  # again, and as a run that goes on
    extended = score(shards, proxies="snip,naswot,l2_norm")
    assert same(extended, score(tmp_path / "whole", proxies="snip,naswot,l2_norm"))


def test_run_folders_of_equal_settings_are_joined(ground_truth: Path, tmp_path: Path):
    one, two = (score(tmp_path / name, proxies=name) for name in ("snip", "naswot"))
    with pytest.raises(UserError, match="--out"):
        merged(one.path, two.path)
    assert same(score(tmp_path / "whole"), merged(one.path, two.path, out=tmp_path / "both"))


def test_shards_scored_with_other_code_are_refused(ground_truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scorer, "in_files", lambda setting: False)
    head = "import harness\n@harness.proxy(reads='outputs', labels=False)\n"
    text = head + "def mine(probe): return {} * probe.outputs.sum((0, 2))\n"
    (tmp_path / "mine.py").write_text(text.format(1))
    for part in (1, 2):
        score(tmp_path / "run", proxies=f"{tmp_path}/mine.py:mine", shard=f"{part}/2", seeds=1)
    (tmp_path / "mine.py").write_text(text.format(2))
    with pytest.raises(UserError, match="shard-1-of-2 was scored with other code of mine than there is now"):
        merged(tmp_path / "run")


def test_what_does_not_belong_together_is_refused(shards: Path, tmp_path: Path):
    lacking = shards.with_name("lacking")
    shutil.copytree(shards, lacking)
    shutil.rmtree(lacking / "shard-2-of-3")
    for folders, said in (
        ([lacking], "lacks the shards 2 of 3"),
        ([tmp_path / "nowhere"], "holds no run and no shards"),
        ([lacking / "shard-1-of-3", shards / "shard-3-of-3"], "scores are in none of the folders"),
        ([shards, score(tmp_path / "other", batch_size=4).path], "batch_size 8 -> 4"),
        ([shards, score(tmp_path / "seeds", seeds=1).path], "seeds 2 -> 1"),
    ):
        with pytest.raises(UserError, match=said):
            merged(*folders, out=tmp_path / "out")
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    _change_a_score(lacking / "shard-1-of-3")
    with pytest.raises(UserError, match="holds other scores than the folders before it: "):
        merged(shards, lacking / "shard-1-of-3", out=tmp_path / "out")
    record = lacking / "shard-3-of-3" / "manifest.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"versions": {"torch": "1.0"}}))
    with pytest.raises(UserError, match="torch .* -> 1.0"):
        merged(shards, lacking / "shard-3-of-3", out=tmp_path / "out")


def _change_a_score(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "scores.h5", "r+") as file:
        file["scores/snip"][0, 0] = np.nextafter(file["scores/snip"][0, 0], np.inf)


@pytest.mark.parametrize("words", ["0/3", "4/3", "1", "1/0", "a/b", "-1/2", "1/2/3", "1/" + "9" * 5000])
def test_what_is_no_shard(words: str):
    with pytest.raises(UserError, match="--shard"):
        RunConfig(bench="201", shard=words)


def test_more_shards_than_stacks(ground_truth: Path, tmp_path: Path):
    with pytest.raises(UserError, match="the sample has 1 stacks of 32; make at most 1 parts"):
        score(tmp_path / "run", shard="2/2", stack="auto")
    assert len(score(tmp_path / "run", shard="1/2", stack="auto").archs) == 7


def test_the_command(shards: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    from harness.cli.main import main

    shown: list[StoredRun] = []
    monkeypatch.setattr("harness.cli.run.show", shown.append)
    assert main(["merge", str(shards)]) == 0 and shown[0].path == shards
    assert main(["merge", str(shards / "parts")]) == 2
    assert "holds no run" in capsys.readouterr().err
