"""--stack auto: what is known, what a probe finds within memory and time, and that nothing of it shows in scores."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.engine import memory, stack_size
from harness.engine.scorer import Scorer, Setting
from harness.proxies.choose import choose
from harness.proxies.own import references
from harness.runs import plan, runner
from harness.runs.config import RunConfig
from harness.store.stored_run import StoredRun

SETTING = Setting(
    bench="201", proxies=references(choose("plain,naswot")),
    network={"channels": 4, "cells_per_stage": 1, "input_channels": 1, "classes": 10}, resolution=8, inputs="gaussian",
    dataset="digits", batch_size=8, balanced=False, share=True, keep_unreachable=False, device="cpu",
)  # fmt: skip


def test_what_is_known_before_a_probe():
    assert SETTING.usual_stack(None) == (32, True)
    assert SETTING.usual_stack(4) == (4, True)
    assert replace(SETTING, batch_size=256).usual_stack(None) == (32, True)  # 256 x 4 x 8 x 8 = 2^16
    assert replace(SETTING, batch_size=257).usual_stack(None) == (1, False)
    assert replace(SETTING, batch_size=257, device="cuda:1").usual_stack(None) == (64, True)
    assert replace(SETTING, device="cuda:1").usual_stack(4) == (4, True)
    assert replace(SETTING, protocol="suite-zero").usual_stack(None) == (1, False)


def test_small_minibatches_that_repeat_take_larger_stacks_on_a_gpu():
    setting = replace(SETTING, proxies=references(choose("plain,swap,synflow,zen")), batch_size=64)
    scorer = Scorer(setting)
    assert scorer.stacks(8) == {8: ("plain", "swap", "synflow", "zen")}
    scorer.setting = replace(setting, device="cuda:0")
    assert scorer.stacks(8) == {8: ("plain", "synflow"), 32: ("swap", "zen")}
    assert list(scorer.stacks(1)) == [1]  # one at a time stays so


class Machine:
    """A trial of a machine that scores so many networks a second and has memory for so many."""

    def __init__(self, rates: dict[int, float], limit: int = 1000) -> None:
        self.rates, self.limit, self.spent, self.tried = rates, limit, 0.0, list[int]()

    def time(self, stack: int, place: float) -> float:
        self.tried.append(stack)
        seconds = stack / self.rates[stack]
        self.spent += seconds
        return seconds


@pytest.mark.parametrize(
    ("rates", "limit", "share", "tried", "found"),
    [
        ({1: 2, 8: 15, 32: 50, 128: 51}, 1000, 1e4, [1, 8, 32, 128], 32),  # two per cent are no gain
        ({1: 2, 8: 15, 32: 50, 128: 100, 512: 60}, 1000, 1e5, [1, 8, 32, 128, 512], 128),
        ({1: 2, 8: 15, 20: 40}, 20, 1e4, [1, 8, 20], 20),  # as much as memory allows
        ({1: 2, 8: 15}, 10, 1e4, [1, 8], 10),  # the usual, as far as memory allows
        ({1: 3, 8: 2}, 1000, 1e4, [1, 8], 1),
        ({1: 2, 8: 15}, 1000, 60, [1, 8], 64),  # no time to try 32: the usual
        ({1: 2, 8: 15}, 33, 60, [1, 8], 33),
        ({1: 2}, 1, 1e4, [1], 1),
        ({1: 2}, 0, 1e4, [1], 1),
    ],
)
def test_the_ladder(rates, limit, share, tried, found):
    machine = Machine(rates, limit)
    result = stack_size._climb(machine, [1, 8, 32, 128, 512], known=64, share=share)  # type: ignore[arg-type]
    assert machine.tried == [1, *(size for size in tried for _ in range(1 if size >= 32 else 2))]
    assert result.stack == found and result.rates == {size: pytest.approx(rates[size]) for size in tried}
    assert f"--stack auto: {found} together" in result.why and "\n" not in result.why


def test_on_a_gpu_the_first_stack_of_a_size_is_not_timed(monkeypatch: pytest.MonkeyPatch):
    scorer, sizes = Scorer(SETTING), []
    monkeypatch.setattr(scorer, "score", lambda chunk: sizes.append(len(chunk.index)))
    trial = stack_size._Trial(scorer, range(8), ("cpu",))
    trial.plans = True
    for size in (2, 2, 4):
        trial.time(size, 0.5)
    assert sizes == [2, 2, 2, 4, 4]


def test_the_share_of_the_run_counts_what_was_spent():
    """Trying 32 takes 2.1 s at 15 networks a second; three networks at 2 and 16 at 15 took 2.6 s before."""
    rates = {1: 2.0, 8: 15.0, 32: 50.0}
    spent = 3 / 2 + 16 / 15
    enough = 15 * (spent + 32 / 15)
    assert 32 in stack_size._climb(Machine(rates), [1, 8, 32], 64, enough + 0.1).rates  # type: ignore[arg-type]
    assert 32 not in stack_size._climb(Machine(rates), [1, 8, 32], 64, enough - 0.1).rates  # type: ignore[arg-type]


def test_memory_of_a_process_bounds_a_stack(monkeypatch: pytest.MonkeyPatch):
    """Free 100 kB, for two processes, half of it: 25 each; 8 architectures raised the peak from 10 to 30: 10 fit."""
    monkeypatch.setattr(memory, "available", lambda: 100 * 1024)
    monkeypatch.setattr(memory, "_number", lambda *_: 30)
    meter = memory.meter(["cpu", "cpu"])
    monkeypatch.setattr(meter, "before", 10 * 1024)
    assert meter.fitting(8) == 10
    monkeypatch.setattr(memory, "_number", lambda *_: None)
    assert memory.meter(["cpu"]).fitting(8) == memory.UNKNOWN


def test_memory_of_a_gpu_bounds_a_stack(monkeypatch: pytest.MonkeyPatch):
    """Free 900 and 100 kept by PyTorch, for two processes, 80 % of it: 400; 8 used 40 more than before: 80 fit."""
    calls = {"memory_allocated": 10, "memory_reserved": 110, "mem_get_info": (900, 2000), "max_memory_allocated": 50}
    for name, value in (calls | {"reset_peak_memory_stats": None}).items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    meter = memory.meter(["cuda:0", "cuda:1", "cuda:0", "cuda:1"])
    meter.start()
    assert meter.fitting(8) == 80


def test_memory_is_that_of_this_machine():
    total = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    free = memory.available()
    assert free is not None and 0 < free <= 1024 * total
    meter = memory.meter(["cpu"])
    meter.start()
    kept = torch.ones(2**24)  # 64 MB
    fitting = meter.fitting(1)
    del kept
    assert meter.room and meter.room / (80 * 2**20) < fitting < meter.room / (60 * 2**20)
    meter.start()
    assert meter.fitting(1) > 2 * fitting  # the peak is gone


def test_little_memory_is_few_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available", lambda: 2 * 2**20)
    found = stack_size.find(Scorer(SETTING), tuple(range(0, 15000, 10)), 1, ("cpu",))
    assert 1 <= found.stack < 8


def test_few_networks_are_not_probed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stack_size, "_Trial", None)
    assert stack_size.find(Scorer(SETTING), tuple(range(900)), 1, ("cpu", "cpu")).stack == 32
    with pytest.raises(TypeError):  # as many as the first size needs
        stack_size.find(Scorer(SETTING), tuple(range(960)), 1, ("cpu", "cpu"))
    counts = Scorer(replace(SETTING, proxies=references(choose("params"))))
    assert stack_size.find(counts, tuple(range(960)), 1, ("cpu",)).stack == 32


def test_a_probe_takes_networks_of_all_sizes_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch):
    chunks = []
    real = Scorer.score
    monkeypatch.setattr(Scorer, "score", lambda self, chunk: chunks.append(chunk) or real(self, chunk))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    networks = tuple(range(0, 15000, 15))
    found = stack_size.find(Scorer(SETTING), networks, 1, ("cpu",))
    assert torch.equal(state, torch.get_rng_state()) and torch.get_num_threads() == threads
    assert found.stack in (8, 32) and 8 in found.rates
    params = Scorer(SETTING).space.sizes(resolution=8, reachable_only=True, **SETTING.network)[1]
    whole = params[list(networks)].mean()
    for chunk in chunks:
        assert len(set(chunk.index)) == len(chunk.index) and set(chunk.index) <= set(networks)
        assert abs(params[list(chunk.index)].mean() / whole - 1) < 0.25
    assert len({chunk.index for chunk in chunks}) == len(chunks)


# In a run

USUAL = {"bench": "201", "proxies": "snip,naswot", "batch_size": 16, "workers": 1}


def score(out: Path | None, say=lambda line: None, **settings) -> StoredRun:
    return runner.run(RunConfig(**USUAL | {"out": out and str(out)} | settings), say=say)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let every run be long enough for a probe; the sizes that probes found."""
    found: list[int] = []
    real = stack_size.find

    def find(*given):
        result = real(*given)
        found.append(result.stack)
        return result

    monkeypatch.setattr(stack_size, "SHARE", 10.0)
    monkeypatch.setattr(plan, "find", find)
    return found


def test_scores_are_those_of_the_same_size_by_hand(embedded: Path, tmp_path: Path, probed: list[int]):
    said: list[str] = []
    auto = score(tmp_path / "auto", said.append, sample=20)
    (stack,) = probed
    assert auto.manifest["settings"]["stack"] == stack and auto.manifest["config"]["stack"] == "auto"
    assert [line for line in said if line.startswith(f"--stack auto: {stack} together (networks a second")]
    hand = score(tmp_path / "hand", sample=20, stack=stack)
    assert len(probed) == 1
    for name in ("snip", "naswot"):
        assert auto.scores[name].tobytes() == hand.scores[name].tobytes()


def test_a_folder_goes_on_with_the_size_it_holds(embedded: Path, tmp_path: Path, probed: list[int]):
    score(tmp_path / "run", sample=6, stack=5)
    more = score(tmp_path / "run", sample=12)
    assert probed == [] and more.manifest["settings"]["stack"] == 5
    anew = score(tmp_path / "run", sample=12, existing="replace")
    assert anew.manifest["settings"]["stack"] == probed[0]
    score(tmp_path / "big", sample=2, stack=2, batch_size=300)
    assert score(tmp_path / "big", sample=3, batch_size=300).manifest["settings"]["stack"] == 2
    assert score(tmp_path / "new", sample=2, batch_size=300).manifest["settings"]["stack"] == 1 and len(probed) == 1


def test_the_folders_name_does_not_depend_on_what_was_found(embedded: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = []
    for stack in (2, 3):
        monkeypatch.setattr(plan, "find", lambda *given, stack=stack: stack_size.Found(stack, "found"))
        run = score(None, sample=4, existing="replace")
        assert run.manifest["settings"]["stack"] == stack
        folders.append(run.path)
    assert folders[0] == folders[1] != score(None, sample=4, stack=3).path


def test_the_benchmark_measures_auto_too(tmp_path: Path, capsys):
    import json

    from speed import stack as bench_stack

    words = ["--archs", "4", "--stacks", "1,2", "--channels", "4", "--batch-size", "8", "--repeats", "1"]
    out = tmp_path / "stack.json"
    assert bench_stack.main([*words, "--batch-size", "400", "--proxies", "plain", "--out", str(out)]) in (0, 1)
    result = json.loads(out.read_text())
    assert result["rates"].keys() == {"1", "2", "auto"} and result["auto"] == 1 and result["tried"] == {}
    assert result["reached"] == result["rates"]["auto"] / max(result["rates"].values())
    assert "of the best; its probe took 0.0 s" in capsys.readouterr().out
    assert bench_stack.main(["--archs", "0", "--stacks", "1,x", "--device", "gpu"]) == 2
    said = capsys.readouterr().err
    assert "--archs 0" in said and "'1,x'" in said and "--devices 'gpu'" in said
