"""The list of the benchmarks, their help, and small runs of those without another test."""

from __future__ import annotations

import json
import re
from importlib import import_module

import pytest

from speed import large_tables, memory, module, statistics
from speed.__main__ import benchmarks, main

COMMANDS = [
    "cost", "coverage", "dispatch", "draws", "evidence", "floor", "gpu", "guard", "large_tables", "memory", "module",
    "operations", "plan", "precision", "speed", "stack", "statistics", "torture",
]  # fmt: skip


def test_the_list_of_benchmarks(capsys):
    assert main([]) == 0
    assert re.findall(r"^python -m speed\.(\w+)", capsys.readouterr().out, re.MULTILINE) == COMMANDS
    assert all(benchmarks().values())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_the_command(name, capsys):
    with pytest.raises(SystemExit) as ended:
        import_module(f"speed.{name}").main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m speed.{name} ")


def test_a_report_on_a_large_table(tmp_path, capsys):
    assert large_tables.main(["--archs", "200", "--proxies", "4", "--store", "--out", str(tmp_path)]) == 0
    assert large_tables.main(["--archs", "200", "--proxies", "4", "--intervals", "never", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    stages = re.findall(r"^(\w+) +[\d.]+ s wall +[\d.]+ s processor", printed, re.MULTILINE)
    assert stages == ["load", "statistics", "tables", "figures", "page", "terminal", "all"]
    assert "report.html" in printed


def test_the_time_of_statistics(capsys):
    assert statistics.main(["--archs", "200", "--proxies", "4", "--resamples", "20"]) == 0
    assert re.search(r"statistics +[\d.]+ s wall", capsys.readouterr().out)


def test_the_memory_of_a_run(tmp_path):
    out = tmp_path / "memory.json"
    words = ["--alone", "--networks", "12", "--proxies", "synflow", "--out", str(out)]
    assert memory.main(words) in (0, 1)
    samples = json.loads(out.read_text())
    assert len(samples) == 12 and all(size > memory.LOADED for _, sizes in samples for size in sizes.values())
    assert memory.write_table(tmp_path, 5) >= 5


def test_plain_modules_agree_with_one_proxy_at_a_time(tmp_path, capsys):
    out = tmp_path / "module.json"
    words = ["--archs", "2", "--channels", "4", "--cells", "1", "--batch-size", "8", "--resolution", "8"]
    assert module.main([*words, "--out", str(out)]) == 0
    assert "with grasp: " in capsys.readouterr().out
    assert all(not each["disagree"] and len(each["apart"]) == 7 for each in json.loads(out.read_text())["networks"])
