"""Markdown tables, CSV files and the guard of result folders."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.errors import UserError
from harness.report.result import checked, writing
from harness.report.style import cell, markdown_table, plain, write_csv


def test_hostile_cells_in_markdown():
    assert cell("a|b <i> [x](y) `c` *d*\ne") == r"a\|b &lt;i&gt; \[x\](y) \`c\` \*d\* e"


def test_no_name_moves_the_cursor():
    assert plain("a\x1b[2J\u202eb\udcff[bold]") == r"a\x1b[2J\u202eb\udcff\[bold]"
    assert cell("a\x1b[2J") == r"a\\x1b\[2J"


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    rows = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "-0.5", "+3", "-", "a=1", "\t=1", "x\x1b[2J", 5]
    frame = pd.DataFrame({"=head": rows, "number": -np.arange(11.0)})
    text = write_csv(frame, tmp_path / "x.csv").read_text().splitlines()
    assert text[0] == "'=head,number" and text[1] == "'=1+1,-0.0" and text[2].startswith("'+cmd|")
    assert [line.rsplit(",", 1)[0] for line in text[3:]] == [
        "'-2+3", "'@SUM(A1)", "-0.5", "+3", "-", "a=1", r"\t=1", r"x\x1b[2J", "5"
    ]  # fmt: skip
    assert text[-1].endswith("-10.0")


def test_a_table_escapes_words_and_keeps_numbers():
    lines = markdown_table(["name", "rho", "what"], [["a|b", "0.5 [0.4, 0.6]", "<i>"]], [1])
    assert lines == ["| name | rho | what |", "|---|---:|---|", r"| a\|b | 0.5 [0.4, 0.6] | &lt;i&gt; |"]
    assert markdown_table(["name", "rho"], [])[1] == "|---|---:|"


def test_only_an_earlier_result_of_the_kind_is_written_over(tmp_path):
    assert checked(tmp_path / "new", "search") == tmp_path / "new"
    assert checked(tmp_path, "search") == tmp_path
    (tmp_path / "supernets").mkdir()
    assert checked(tmp_path, "search") == tmp_path
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="holds something else than an earlier search: give another --out"):
        checked(tmp_path, "search")
    assert checked(tmp_path, "search", ignore=None) == tmp_path  # files without a manifest are left alone
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "search"}))
    assert checked(tmp_path, "search") == tmp_path
    for ignore in ((), None):
        with pytest.raises(UserError, match="than an earlier comparison of scores"):
            checked(tmp_path, "operations", "comparison of scores", ignore=ignore)
    with pytest.raises(UserError, match=r"notes.txt is a file"):
        checked(tmp_path / "notes.txt", "search")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot write .*file.*; give another --out"),
        writing(tmp_path / "file" / "out"),
    ):
        pass
