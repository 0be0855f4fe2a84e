"""--devices: which devices there are, a device of its own for each worker, every chunk once, nothing lost."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import UserError
from harness.engine import devices, scorer
from harness.engine.scorer import Chunk, Scorer, Setting
from harness.proxies.choose import choose
from harness.proxies.own import references
from harness.runs import plan, runner
from harness.runs.config import RunConfig, each_space
from harness.store.stored_run import load_run

STAND_INS = ["cpu", "cpu:0"]
"""Two names of one device: what two GPUs are where there is none."""
SETTING = Setting(
    bench="201", proxies=references(choose("plain,naswot")),
    network={"channels": 4, "cells_per_stage": 1, "input_channels": 1, "classes": 10}, resolution=8, inputs="gaussian",
    dataset="digits", batch_size=8, balanced=False, share=True, keep_unreachable=False, device="cpu",
)  # fmt: skip


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    """Pretend that there are this many GPUs."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H" if device != "cuda:1" else "A")

    return pretend


@pytest.mark.parametrize(
    ("asked", "count", "given"),
    [
        ("auto", 0, ["cpu"]),
        ("auto", 2, ["cuda:0", "cuda:1"]),
        ("cpu", 2, ["cpu"]),
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", 3, ["cuda:1"]),
        ("cuda:2,cuda:0,cuda:2", 3, ["cuda:2", "cuda:0"]),
    ],
)
def test_words_are_devices_of_this_machine(asked: str, count: int, given: list[str], gpus):
    gpus(count)
    assert devices.problem(asked) == "" and devices.local(asked) == given


def test_devices_that_are_not_there_are_named_with_those_that_are(gpus):
    gpus(2)
    with pytest.raises(UserError, match="^--devices cuda:1,cuda:4,cuda:7: no cuda:4, cuda:7 here; there is cuda:0, c"):
        devices.local("cuda:1,cuda:4,cuda:7")
    gpus(0)
    with pytest.raises(UserError, match="sees no CUDA device; use --devices cpu"):
        devices.local("cuda")


def test_words_that_mean_nothing_and_mixed_lists():
    for asked in ("gpu", "cuda:x", "cuda,cuda:1", "", "cpu,cpu"):
        with pytest.raises(UserError, match=f"--devices '{asked}': expected auto, cpu, cuda"):
            RunConfig(bench="201", devices=asked)
    with pytest.raises(UserError, match="--devices cpu,cuda:0: the CPU or GPUs, not both"):
        RunConfig(bench="201", devices="cpu,cuda:0")


def test_workers_are_for_each_gpu():
    assert devices.of_workers(["cuda:0", "cuda:3"], 0) == ["cuda:0", "cuda:3"]
    assert devices.of_workers(["cuda:0", "cuda:3"], 2) == ["cuda:0", "cuda:3", "cuda:0", "cuda:3"]
    assert devices.of_workers(["cpu"], 3) == ["cpu"] * 3
    assert len(devices.of_workers(["cpu"], 0)) == len(os.sched_getaffinity(0))


def test_what_computes_is_told(gpus):
    gpus(3)
    assert devices.described(["cuda:0", "cuda:1", "cuda:2"]) == "2 x H, A"
    assert devices.described(["cpu"]).startswith("CPU ")


def test_the_old_spelling_is_taken():
    from harness.cli.run import parser

    assert parser().parse_args(["--bench", "201", "--device", "cuda:1"]).devices == "cuda:1"
    assert each_space(bench="201", device="cpu")[0].devices == "cpu"


def _where(chunk: Chunk) -> tuple[int, str, tuple[int, ...]]:
    """Say which process has which device, in place of scoring."""
    time.sleep(0.2)
    return os.getpid(), scorer._scorer.setting.device, chunk.index


def test_each_worker_has_a_device_of_its_own_and_chunks_are_done_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scorer, "_score", _where)
    chunks = [Chunk(0, (index,), ("plain",)) for index in range(12)]
    done = list(scorer.execute(chunks, Scorer(SETTING), STAND_INS))  # type: ignore[var-annotated]
    assert sorted(index for _, _, (index,) in done) == list(range(12))  # type: ignore[attr-defined]
    owners = {(pid, device) for pid, device, _ in done}  # type: ignore[attr-defined]
    assert sorted(device for _, device in owners) == STAND_INS and len({pid for pid, _ in owners}) == 2


def score(out: Path, **settings):
    usual = {"bench": "201", "proxies": "naswot", "sample": 24, "batch_size": 8, "stack": 2}
    return runner.run(RunConfig(**usual | {"out": str(out)} | settings), say=lambda line: None)


def test_a_killed_worker_of_several_devices_loses_nothing(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_proxies
):
    from tiny import embed, tiny_table

    embed(embedded, tiny_table(30))
    (tmp_path / "dying.py").write_text(
        "import os, signal, harness\nfrom pathlib import Path\n"
        "@harness.proxy(reads='outputs', labels=False)\n"
        "def dying(probe):\n"
        f"    mark = Path({str(tmp_path / 'mark')!r})\n"  # two processes append a letter a call; one of them dies, once
        "    with mark.open('a') as calls:\n        calls.write('x')\n"
        "    if mark.stat().st_size >= 7:\n"
        "        try:\n            mark.with_suffix('.killed').touch(exist_ok=False)\n"
        "        except FileExistsError:\n            pass\n"
        "        else:\n            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return probe.outputs.sum((0, 2))\n"
    )
    monkeypatch.setattr(runner, "COMMIT_SECONDS", -1.0)
    proxies = f"naswot,{tmp_path / 'dying.py'}:dying"
    whole = score(tmp_path / "whole", proxies="naswot", workers=1)
    monkeypatch.setattr(plan, "of_workers", lambda devices, asked: STAND_INS)
    again = score(tmp_path / "run", proxies=proxies)  # the chunk is done again by a new process
    assert (tmp_path / "mark.killed").exists() and again.failures.empty
    np.testing.assert_array_equal(again.scores["naswot"], whole.scores["naswot"])
    assert again.archs == whole.archs and load_run(tmp_path / "run").manifest["device"].startswith("CPU")
