"""Folders of results: a name for every set of settings, nothing else is written to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from harness.operations import report as operations
from harness.operations.config import OperationsConfig
from harness.report.result import result_folder, settings_mark
from harness.report.style import fitting
from harness.search import report as search
from harness.search.config import SearchConfig


def test_every_set_of_settings_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    searches = [SearchConfig(), SearchConfig(queries=50), SearchConfig(settings={"pool": 10}), SearchConfig(seed=1)]
    folders = {search.folder_for(config, None) for config in searches}
    folders |= {operations.folder_for(OperationsConfig("201", seeds=seeds), None) for seeds in (1, 2)}
    assert len(folders) == 6 and {folder.parent for folder in folders} == {Path("results/runs")}
    assert search.folder_for(SearchConfig(), None) == search.folder_for(SearchConfig(), None)


def test_the_folder_is_no_setting_and_another_result_is_left_alone(tmp_path: Path) -> None:
    assert settings_mark({"a": 1, "out": "x"}) == settings_mark({"a": 1}) != settings_mark({"a": 2})
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "search"}))
    assert result_folder(str(tmp_path), [], "search") == tmp_path
    with pytest.raises(UserError, match="holds something else than an earlier comparison"):
        result_folder(str(tmp_path), [], "head-to-head", "comparison")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_narrow_terminal_gets_the_table_in_parts_and_no_number_is_cut(width: int) -> None:
    heads = ["score", *(f"edge {number}" for number in range(9)), "cell"]
    lines = [["zc-pt:naswot", *(f"{number / 7:.3f}±{number / 9:.2f}" for number in range(9)), "|nor_conv_3x3~0|" * 3]]
    parts = fitting(heads, lines, width)
    assert all(part[0] == 0 for part in parts) and [place for part in parts for place in part[1:]] == list(range(1, 11))
    for part in parts:
        needed = sum((20 if heads[at] == "cell" else max(len(heads[at]), len(str(lines[0][at])))) + 2 for at in part)
        assert needed <= width or len(part) == 2
