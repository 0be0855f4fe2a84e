"""What a command writes is repeated by its config.toml, and replaces nothing else unless it is told to."""

import json
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from harness.cli import (
    choose,
    compare,
    hnas,
    operations,
    plan,
    reproduce,
    scorecard,
    search,
    supernet_search,
    targets,
)
from harness.cli.main import main
from harness.cli.options import check_existing, keep_config, with_config
from harness.report.result import write_manifest

SEARCH = ["search", "--bench", "201", "--method", "random", "--queries", "5", "--searches", "2", "-q"]


def test_another_search_in_the_same_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Defect: an explicit --out of an earlier search was replaced in silence."""
    monkeypatch.setattr("harness.search.report.write_figure", lambda curves, out: {})
    words = [*SEARCH, "--out", str(tmp_path / "one")]
    assert main(words) == main(words) == 0, "the same search may be made again"
    before = (tmp_path / "one/runs.csv").read_bytes()
    other = [*words, "--seed", "7"]
    assert main(other) == 2
    said = capsys.readouterr().err
    assert "holds an earlier result of other settings (seed 0 -> 7)" in said and "--existing replace" in said
    assert (tmp_path / "one/runs.csv").read_bytes() == before
    assert main([*words, "--existing", "refuse"]) == 2
    assert main([*other, "--existing", "replace"]) == 0
    assert (tmp_path / "one/runs.csv").read_bytes() != before
    again = ["search", "--config", str(tmp_path / "one/config.toml"), "--out", str(tmp_path / "two"), "-q"]
    assert main(again) == 0
    assert (tmp_path / "two/runs.csv").read_bytes() == (tmp_path / "one/runs.csv").read_bytes()


def test_a_result_without_a_configuration_is_not_replaced(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"kind": "search"})
    with pytest.raises(UserError, match="holds an earlier result: give another --out, or --existing replace"):
        check_existing(tmp_path, "search", {"existing": "resume", "seed": 0})
    check_existing(tmp_path, "search", {"existing": "replace", "seed": 0})
    check_existing(tmp_path / "new", "search", {"existing": "refuse", "seed": 0})
    keep_config(tmp_path, "search", {"existing": "replace", "seed": 0, "out": "elsewhere", "data": None})
    check_existing(tmp_path, "search", {"existing": "resume", "seed": 0, "out": "here", "data": None})


def test_every_command_that_writes_a_result_at_once_has_the_option() -> None:
    for module in (
        choose, compare, hnas, operations, plan, reproduce, scorecard, search, supernet_search, targets,
    ):  # fmt: skip
        assert {"--out", "--existing"} <= set(module.parser()._option_string_actions), module.__name__


def test_a_reproduction_is_repeated_by_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """`reproduce` keeps its options too, and takes them from a file."""
    seen = []
    monkeypatch.setattr("harness.reproduce.page.summary", lambda rows: "")

    class Made:
        rows = None

    def made(tables: list, *, data: str, **how: object) -> type:
        seen.append(([each.name for each in tables], data))
        return Made

    monkeypatch.setattr("harness.reproduce.compare.reproduce", made)

    def write(made: object, tables: object, mode: str, out: Path) -> Path:
        out.mkdir(parents=True, exist_ok=True)
        return write_manifest(out, {"kind": "reproduction", "mode": mode})

    monkeypatch.setattr("harness.reproduce.write.write", write)
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "zero-cost-nas", "--data", "DIR", "--out", "one"]) == 0
    assert main(["reproduce", "--config", "one/config.toml", "--out", "two"]) == 0
    assert seen[0] == seen[1] == (["zero-cost-nas"], "DIR")
    assert main(["reproduce", "--data", "DIR", "--out", "one"]) == 2, "other tables"
    assert "holds an earlier result of other settings (tables" in capsys.readouterr().err
    assert main(["reproduce", "zero-cost-nas"]) == main(["reproduce", "suite-zero"]) == main(["reproduce"]) == 0
    names = {path.name for path in Path("results/runs").iterdir()}
    assert len(names) == 3 and "reproduction" in names, "a name for each choice of tables"


def test_data_takes_a_configuration_too(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "data.toml"
    path.write_text('command = "data convert"\nfile = "x.pth"\npartial = true\nreplace = false\nbench = "101"\n')
    words = with_config(["--config", str(path), "--bench", "201"], "data convert", "file")
    assert words == ["x.pth", "--partial", "--bench", "101", "--bench", "201"], "the command line comes last and wins"
    path.write_text(f'data = "{tmp_path}"\n')
    assert main(["data", "list", "--config", str(path)]) in (0, 2)
    assert str(tmp_path) in "".join(capsys.readouterr())
    with pytest.raises(SystemExit) as stop:
        main(["data", "list", "--config", str(tmp_path / "none.toml")])
    assert stop.value.code == 2 and "none.toml" in capsys.readouterr().err


def test_a_manifest_that_is_no_object_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps([1]))
    assert main(["report", str(tmp_path)]) == 2
