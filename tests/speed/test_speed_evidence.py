"""The queue of long runs: every step is a command that could run, and what is done is known from the folders."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli.run import main, parser
from harness.runs.config import each_space
from speed import evidence

SMALL = evidence.Step("small", "here", "--bench 201 --sample 4 --dataset digits", "naswot", 0.1)


@pytest.mark.parametrize("step", evidence.STEPS, ids=lambda step: step.name)
def test_every_step_is_a_valid_command(step: evidence.Step, tmp_path: Path):
    words = evidence.command(step, tmp_path, None, 1).split()
    assert words[:3] == ["python", "-m", "harness.run"]
    options = vars(parser().parse_args(words[3:]))
    assert each_space(options.pop("space"), **options)


def test_a_step_is_carried_out_once_and_extended_by_another(tmp_path: Path, no_figures, monkeypatch, capsys):
    def here(words: list[str], **_) -> subprocess.CompletedProcess:
        """The command in this process, which has loaded everything already."""
        assert words[:3] == [sys.executable, "-m", "harness.run"]
        return subprocess.CompletedProcess(words, main(words[3:]))

    more = replace(SMALL, name="more", proxies="synflow")
    monkeypatch.setattr(evidence, "STEPS", (SMALL, more))
    monkeypatch.setattr(evidence, "subprocess", SimpleNamespace(run=here))
    assert evidence.state(SMALL, tmp_path) == "to do"
    assert evidence.main(["--steps", "small", "--out", str(tmp_path)]) == 0
    assert evidence.state(SMALL, tmp_path) == "done" and evidence.state(more, tmp_path) == "to do"
    assert evidence.main(["--out", str(tmp_path)]) == 0
    said = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith("small ")]
    assert said == [["small", "to"], ["small", "done"]]
    assert evidence.state(more, tmp_path) == "done" and evidence.state(SMALL, tmp_path) == "done"
    assert evidence.main(["--steps", "mor", "--out", str(tmp_path)]) == 2
