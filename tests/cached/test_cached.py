"""The scores kept with the program: those of results/tables, in an installed package too, and where they come from."""

from __future__ import annotations

import json
import lzma
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import embed, tiny_table

import benchmarks
import harness
from benchmarks.errors import UserError
from harness.cached import kept, pack
from harness.cli.cached import main
from harness.store.stored_run import target_in

AGAIN = "run `python -m harness.cached --make` and commit what it writes"
CHAIN = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three sets made from folders as in results/tables, instead of those that are kept: the folder they are in."""
    for name, bench, dataset, table in (
        ("201-cifar10", "201", "cifar10", f"arch,synflow,naswot\n{CHAIN},1e+60,2.5\nother,,-0.5\n"),
        ("201-cifar10-zen", "201", "cifar10", f"arch,zen\n{CHAIN},7\n"),
        ("macro-cifar10", "macro", "cifar10", "arch,zen\n00112201,7\n"),
    ):
        folder = tmp_path / "tables" / name
        folder.mkdir(parents=True)
        manifest = {"settings": {"bench": bench, "dataset": dataset}, "command": "a line", "started": "2026-01-02T"}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (folder / "scores.csv").write_text(table)
    place = tmp_path / "kept"
    place.mkdir()
    monkeypatch.setattr(kept, "FOLDER", place)
    kept.facts.cache_clear()
    pack.write(tmp_path / "tables", place)
    yield place
    monkeypatch.undo()
    kept.facts.cache_clear()


def test_the_largest_set_is_read_as_it_was_written_with_its_origin(sets: Path) -> None:
    frame = harness.scores("201", "cifar10")
    assert list(frame.columns) == ["arch", "synflow", "naswot"]
    assert frame.arch.tolist() == [CHAIN, "other"]
    assert frame.synflow[0] == 1e60 and math.isnan(frame.synflow[1]) and frame.naswot.tolist() == [2.5, -0.5]
    assert frame.attrs["name"] == "201-cifar10" and frame.attrs["others"] == ["201-cifar10-zen"]
    assert frame.attrs["command"] == "a line" and frame.attrs["settings"]["bench"] == "201"
    assert (frame.attrs["archs"], frame.attrs["proxies"]) == (2, 2)


def test_a_set_is_chosen_by_name_and_strings_of_digits_stay_strings(sets: Path) -> None:
    assert harness.scores("201", "cifar10", name="201-cifar10-zen").zen.tolist() == [7.0]
    assert harness.scores("macro", "cifar10").arch.tolist() == ["00112201"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("201", "cifar100"), "no kept scores of ('201', 'cifar100'); expected .* ('201', 'cifar10'), ('macro', 'cif"),
        (("201", "cifar10", "201-cifar10-zenn"), "'201-cifar10-zenn' (did you mean 201-cifar10-zen"),
        (("201", "cifar10", "macro-cifar10"), "'macro-cifar10' are of ('macro', 'cifar10'), not of ('201', 'cifar10')"),
    ],
)
def test_a_set_that_is_missing_is_an_error_that_lists_the_existing_ones(
    sets: Path, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError) as raised:
        harness.scores(*arguments)
    assert all(part in str(raised.value) for part in said.split(".*")) and "\n" not in str(raised.value)


def test_the_command_lists_the_sets_and_prints_one(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["201-cifar10", "201", "cifar10", "2", "2", "2026-01-02"]
    assert main(["macro-cifar10"]) == 0
    assert capsys.readouterr().out == "arch,zen\n00112201,7\n"
    assert main(["macro"]) == 2
    assert "did you mean macro-cifar10" in capsys.readouterr().err


def test_a_list_needs_no_pandas() -> None:
    program = (
        "import sys, harness.cached.kept as c; c.listing(); assert not {'pandas', 'torch', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)


def test_a_run_is_kept_without_its_scores_in_the_tables(sets: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", embed(tmp_path / "embedded"))
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    archs, run = tiny_table().archs, tmp_path / "run"
    harness.judge(pd.DataFrame({"arch": archs, "snip": np.arange(30.0)}), "201", out=run)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["command"] = "/a/b/harness/run.py --bench 201 --data /c/d --out /e"
    (run / "manifest.json").write_text(json.dumps(manifest))
    for name in pack.STATISTICS:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("statistics")
    written = pack.keep(run, "201-large", tmp_path / "tables", sets)
    assert {path.name for path in written} == {"manifest.json", "summary.csv", "summary.md", "correlation.png",
                                               "201-large.csv.xz"}  # fmt: skip
    frame = harness.scores("201", "digits", name="201-large")
    assert frame.snip.tolist() == list(range(30)) and frame.arch.tolist() == list(archs)
    assert frame.attrs["command"] == "python -m harness.run --bench 201 --data DIR --out DIR"
    assert not (tmp_path / "tables" / "201-large" / "scores.h5").exists()
    with pytest.raises(UserError, match="expected a new name"):
        pack.keep(run, "201-cifar10-zen", tmp_path / "tables", sets)


# What is kept


def test_what_is_kept_is_what_results_tables_hold_and_small() -> None:
    folders = pack.folders()
    there = {path.name.removesuffix(".csv.xz"): path for path in kept.FOLDER.glob("*.xz")}
    assert there.keys() >= {folder.name for folder in folders}, AGAIN
    for name in there.keys() - {folder.name for folder in folders}:  # too large to lie there a second time
        manifest = json.loads((pack.TABLES / name / "manifest.json").read_text())
        manifest["settings"] |= target_in(manifest)
        assert {key: manifest[key] for key in pack.FROM_MANIFEST} == {
            key: kept.facts()[name][key] for key in pack.FROM_MANIFEST
        }
    for folder in folders:
        assert lzma.decompress(there[folder.name].read_bytes()).decode() == pack.pack(folder), f"{folder.name}: {AGAIN}"
    assert sum(path.stat().st_size for path in there.values()) < 2_000_000


@pytest.mark.parametrize("name", sorted(kept.facts()))
def test_every_kept_set_is_of_its_space_and_says_how_it_was_made(name: str) -> None:
    about = kept.facts()[name]
    frame = harness.scores(about["bench"], about["dataset"], name=name)
    assert frame.shape == (about["archs"], 1 + about["proxies"]) and frame.arch.is_unique
    assert not frame.drop(columns="arch").isna().all().any()
    assert about["command"].startswith("python -m harness.run ") and "--bench " in about["command"]
    assert about["table_checksum"]
    assert not any(word in json.dumps(about) for word in ("/home", "/root", "/work"))


def test_the_kept_scores_of_the_digits_give_the_figures_in_the_readme() -> None:
    frame = harness.scores("201", "digits")
    benchmark = benchmarks.load("201", "digits")
    accuracy = dict(zip(benchmark.table.archs, benchmark.table.target(), strict=True))
    rho = frame.drop(columns="arch").corrwith(frame.arch.map(accuracy), method="spearman")
    stored = pd.read_csv(pack.TABLES / "201-digits" / "summary.csv").query("population == 'all'").set_index("proxy")
    assert rho.to_dict() == pytest.approx(stored.rho[rho.index].to_dict(), abs=1e-5)
    assert frame.isna().sum().to_dict() == {"arch": 0, **stored.failed[rho.index].to_dict()}
