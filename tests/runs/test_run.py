"""A run's promises: continue, extend, refuse, stop, and the same bits whatever the workers, order and interrupts."""

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import Session

from benchmarks import UserError
from harness.engine import scorer
from harness.report.text import target_line
from harness.runs import runner
from harness.runs.config import RunConfig
from harness.runs.plan import default_folder
from harness.store.stored_run import StoredRun, load_run

pytestmark = pytest.mark.usefixtures("own_proxies")
USUAL = {"all_stored": True, "proxies": "snip,naswot", "sample": 10, "batch_size": 16, "workers": 1, "stack": 4}


def score(out: Path, say=lambda line: None, **settings) -> StoredRun:
    return runner.run(RunConfig(bench="201", out=str(out), **USUAL | settings), say=say)


def same(first: StoredRun, second: StoredRun, *names: str, rows: int | None = None, seeds: int | None = None) -> bool:
    """Whether two runs hold the same bits."""
    for name in names or first.scores.keys() | second.scores.keys():
        if first.scores[name][:seeds, :rows].tobytes() != second.scores[name][:seeds, :rows].tobytes():
            return False
    return first.archs[:rows] == second.archs[:rows]


@pytest.fixture
def out(embedded: Path, tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every (proxy, seed, network) that is scored from here on."""
    found: list[tuple[str, int, int]] = []
    real = scorer.Scorer.score

    def spy(self, chunk):
        found.extend((name, chunk.seed, index) for name in chunk.proxies for index in chunk.index)
        return real(self, chunk)

    monkeypatch.setattr(scorer.Scorer, "score", spy)
    return found


# Continue and extend


def test_repeating_a_command_scores_nothing_again(out: Path, scored: list):
    first = score(out, proxies="snip,naswot,l2_norm")
    assert len(scored) == len(set(scored)) == 3 * len(set(first.class_id))
    scored.clear()
    again = score(out, proxies="snip,naswot,l2_norm")
    assert scored == [] and same(first, again) and again.manifest["earlier"]


def test_more_proxies_architectures_and_seeds_extend(out: Path, scored: list):
    first = score(out)
    scored.clear()
    more = score(out, proxies="naswot,grad_norm,snip")
    assert {name for name, _, _ in scored} == {"grad_norm"} and same(first, more, "snip", "naswot")
    scored.clear()
    larger = score(out, sample=15)
    new = set(larger.class_id[10:]) - set(larger.class_id[:10])
    assert {index for _, _, index in scored} == new and {name for name, _, _ in scored} == {"snip", "naswot"}
    assert same(first, larger, "snip", "naswot", "random", "params", rows=10)
    scored.clear()
    seeds = score(out, sample=15, seeds=2)
    assert {seed for _, seed, _ in scored} == {1} and same(larger, seeds, "snip", "naswot", seeds=1)
    assert not np.array_equal(seeds.scores["snip"][0], seeds.scores["snip"][1])
    fresh = score(out.with_name("fresh"), sample=15, seeds=2)
    np.testing.assert_allclose(seeds.scores["snip"], fresh.scores["snip"], rtol=1e-4)  # other stacks, not other scores


def test_asking_for_less_reports_less_and_loses_nothing(out: Path, scored: list):
    lines: list[str] = []
    all_of_it = score(out, seeds=2)
    scored.clear()
    part = score(out, sample=4, proxies="snip")
    assert part.scores["snip"].shape == (1, 4) and same(all_of_it, part, "snip", "naswot", rows=4, seeds=1)
    back = score(out, seeds=2)
    assert scored == [] and same(all_of_it, back)
    score(out, sample=4, proxies="grad_norm,az_complexity")
    scored.clear()
    back = score(out, lines.append, seeds=2)
    assert scored == [] and same(all_of_it, back, *all_of_it.scores)
    assert set(back.scores) - set(all_of_it.scores) == {"az_complexity"}  # grad_norm has 4 of 10 architectures
    assert any("kept, but not shown" in line and "grad_norm" in line for line in lines)
    scored.clear()
    score(out, proxies="grad_norm")
    assert len(scored) == len(set(back.class_id)) - len(set(back.class_id[:4]))


def test_proxies_of_an_interrupted_call_do_not_push_others_out(out: Path, tmp_path: Path):
    first = score(out)
    mine = stopping(tmp_path, at=2)
    with pytest.raises(KeyboardInterrupt):
        score(out, proxies=f"{mine}:stopping")
    assert same(first, score(out, proxies="grad_norm"), "snip", "naswot")


CHANGES = [
    ({"batch_size": 8}, "batch_size 16 -> 8"),
    ({"inputs": "gaussian"}, "inputs 'images' -> 'gaussian'"),
    ({"split": "valid"}, "split 'test' -> 'valid'"),
    ({"epochs": 2}, "epochs 12 -> 2"),
    ({"reduction": "1"}, "reduction 'mean' -> '1'"),
    ({"stack": 2}, "stack 4 -> 2"),
    ({"balanced": True}, "balanced False -> True"),
    ({"share": False}, "share True -> False"),
    ({"keep_unreachable": True}, "keep_unreachable False -> True"),
]


def test_any_other_setting_is_refused_with_the_difference(out: Path, embedded: Path):
    from tiny import embed, tiny_table

    first = score(out, sample=2)
    for change, said in CHANGES:
        with pytest.raises(UserError) as caught:
            score(out, sample=2, **change)
        assert said in str(caught.value) and "--existing replace" in str(caught.value)
    embed(embedded, tiny_table(checksum="1" * 64))
    with pytest.raises(UserError, match="table '0000.* -> '1111"):
        score(out, sample=2)
    assert same(first, load_run(out))


def test_the_target_is_stored_once_and_folders_of_before_go_on(out: Path, scored: list):
    first, record = score(out, sample=3), out / "manifest.json"
    new = json.loads(record.read_text())
    assert new["target"] == {"dataset": "digits", "split": "test", "epochs": 12, "reduction": "mean"}
    assert not new["target"].keys() & (new.keys() | new["settings"].keys())
    old = {**new, **new["target"], "settings": new["settings"] | new["target"]}
    for form in (old, {name: value for name, value in old.items() if name != "target"}):
        record.write_text(json.dumps(form))
        scored.clear()
        with pytest.raises(UserError, match="split 'test' -> 'valid'"):
            score(out, sample=3, split="valid")
        assert same(first, score(out, sample=3)) and not scored
        record.write_text(json.dumps(form))
        assert target_line(replace(first, manifest=form)) == target_line(first)
    assert default_folder(new["settings"] | new["target"]) == default_folder(old["settings"])


def test_replace_and_refuse(out: Path, scored: list):
    first = score(out, sample=3)
    scored.clear()
    with pytest.raises(UserError, match="--existing refuse"):
        score(out, sample=3, existing="refuse")
    again = score(out, sample=3, existing="replace")
    assert scored and same(first, again)
    assert score(out, sample=3, existing="replace", batch_size=8).manifest["settings"]["batch_size"] == 8


def test_the_default_folder_is_one_for_each_set_of_settings(embedded: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual = {"bench": "201", **USUAL, "sample": 2, "proxies": "params"}
    folders = [runner.run(RunConfig(**usual | change), say=lambda line: None).path
               for change in ({}, {"seeds": 2}, {"sample": 3}, {"batch_size": 8}, {"stack": 2})]  # fmt: skip
    assert folders[0] == folders[1] == folders[2] and len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {Path("results/runs")}


# The same bits


def test_same_bits_for_any_order_of_work_and_any_stack_committed_first(out: Path, monkeypatch: pytest.MonkeyPatch):
    first, real = score(out, seeds=2), runner._chunks
    monkeypatch.setattr(runner, "_chunks", lambda *given: list(real(*given))[::-1])
    assert same(first, score(out.with_name("reversed"), seeds=2))


def test_same_bits_for_one_worker_and_two(out: Path):
    """Three stacks of three networks and one of a single network."""
    assert same(score(out, stack=3), score(out.with_name("two"), stack=3, workers=2))


def test_sharing_gives_equal_networks_equal_scores(embedded: Path, tmp_path: Path, scored: list):
    from tiny import embed, tiny_table

    from benchmarks.benchmark import space_of

    space = space_of("201")
    twins = [np.flatnonzero(space.class_id == each)[:2] for each in np.unique(space.class_id)]
    pairs = np.array([pair for pair in twins if len(pair) == 2 and space.conv_count[pair[0]] > 1][:3]).ravel()
    table = tiny_table(6, archs=tuple(space.archs[i] for i in pairs))
    embed(embedded, table)
    shared = score(tmp_path / "shared", sample="all")
    assert len(scored) == 2 * 3
    scored.clear()
    for _ in range(2):  # and once more, resumed from the merged file, with one proxy more
        own = score(tmp_path / "own", sample="all", share=False)
        assert len(scored) == 2 * 6
    more = score(tmp_path / "own", sample="all", share=False, proxies="grad_norm")
    assert same(own, more, "snip", "naswot")
    by_class = [np.flatnonzero(shared.class_id == each) for each in np.unique(shared.class_id)]
    assert all(shared.scores["snip"][0, a] == shared.scores["snip"][0, b] for a, b in by_class)
    assert all(own.scores["snip"][0, a] != own.scores["snip"][0, b] for a, b in by_class)
    assert np.isfinite(shared.seconds["snip"]).sum() == 3 and np.isfinite(own.seconds["snip"]).sum() == 6


# Stops


def stopping(folder: Path, at: int, how: str = "os.kill(os.getppid(), signal.SIGINT); time.sleep(60)") -> Path:
    """Write a proxy that does something at its `at`-th call, counted over all processes."""
    path = folder / "stopping.py"
    path.write_text(
        "import os, signal, time, harness\nfrom pathlib import Path\n"
        f"calls = Path({str(folder / 'calls')!r})\n"
        "@harness.proxy(reads='outputs', labels=False)\n"
        "def stopping(probe):\n"
        "    with calls.open('a') as file:\n"  # appending gives each process a place of its own
        "        file.write('x')\n        file.flush()\n        n = file.tell()\n"
        f"    if n == {at}:\n        {how}\n"
        "    return probe.outputs.sum((0, 2))\n"
    )
    return path


def committed(out: Path) -> int:
    """How many scores of a proxy a run that was stopped has kept."""
    return sum(np.load(path)["index"].size for path in (out / "parts").glob("*.npz"))


def test_an_interrupt_of_this_process_keeps_everything_scored(out: Path, scored: list, monkeypatch: pytest.MonkeyPatch):
    work = scorer.Scorer.score

    def interrupted(self, chunk):
        if len(scored) == 16:  # two proxies on two stacks of four
            raise KeyboardInterrupt
        return work(self, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(scorer.Scorer, "score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            score(out)
    assert committed(out) == 8
    resumed = score(out)
    assert len(scored) == len(set(scored)) == 2 * len(set(resumed.class_id))
    assert same(resumed, score(out.with_name("whole")))


def test_an_interrupt_of_two_workers_keeps_everything_scored(out: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(runner, "COMMIT_SECONDS", -1.0)
    once_kept = f"while not list(Path({str(out)!r}).glob('parts/*.npz')): time.sleep(0.05)"  # what was at work before
    how = f"{once_kept}\n        os.kill(os.getppid(), signal.SIGINT); time.sleep(60)"
    proxies = f"snip,{stopping(tmp_path, at=3, how=how)}:stopping"
    with pytest.raises(KeyboardInterrupt):
        score(out, proxies=proxies, workers=2)
    before = committed(out)
    assert before >= 4
    calls = len((tmp_path / "calls").read_text())
    resumed = score(out, proxies=proxies)
    missing = len(set(resumed.class_id)) - before
    assert len((tmp_path / "calls").read_text()) - calls == -(-missing // 4)  # a call for each chunk, in one process
    assert same(resumed, score(out.with_name("whole"), proxies="snip"), "snip")
    assert np.isfinite(resumed.scores["stopping"]).all()


def test_kill_at_every_step_of_writing_then_repeat(out: Path, monkeypatch: pytest.MonkeyPatch):
    """A forked process is killed before its n-th call that touches the disk, for every n; then it is repeated."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    monkeypatch.setattr(runner, "COMMIT_SECONDS", -1.0)
    whole = score(out.with_name("whole"), sample=8, proxies="naswot")
    for step in range(1, 40):
        folder = out.with_name(f"killed{step}")
        child = os.fork()
        if child == 0:
            _die_before(step)
            try:
                score(folder, sample=8, proxies="naswot")
            finally:
                os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
        assert same(whole, score(folder, sample=8, proxies="naswot")), step
    assert 10 < step < 39


def _die_before(step: int) -> None:
    """Kill this process before its `step`-th fsync, rename or unlink."""
    count = 0

    def counted(real):
        def call(*given, **named):
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given, **named)

        return call

    os.fsync, Path.rename, Path.unlink = counted(os.fsync), counted(Path.rename), counted(Path.unlink)


BEGUN = r" [1-9]\d*/"
"""What a progress bar says once something is done."""


def command(folder: Path, embedded: Path, workers: int) -> Session:
    """Start `python -m harness.run` on the tiny ground truth with more seeds than it will come to."""
    launcher = folder / "launcher.py"
    launcher.write_text(
        f"import sys, pathlib, benchmarks.benchmark\nbenchmarks.benchmark.EMBEDDED = pathlib.Path({str(embedded)!r})\n"
        "from harness.run import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    words = ["--bench", "201", "--proxies", "naswot", "--seeds", "500", "--stack", "1", "--out", "run"]
    return Session(folder, [str(launcher), *words, "--workers", str(workers)])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("how", "workers", "when"),
    [(signal.SIGINT, 1, BEGUN), (signal.SIGINT, 2, " 0/"), (signal.SIGTERM, 2, BEGUN), (signal.SIGKILL, 2, BEGUN)],
)
def test_signals(how: signal.Signals, workers: int, when: str, out: Path, embedded: Path, tmp_path: Path):
    """In the middle of the work, and (0/) while the workers start."""
    with command(tmp_path, embedded, workers) as session:
        session.until(when)
        session.send(how)
        assert session.process.wait(240) == (130 if how != signal.SIGKILL else -signal.SIGKILL)
        assert session.gone(60), f"left: {session.members()}"
    if how != signal.SIGKILL:
        assert "Traceback" not in session.said and "repeat the command to continue" in session.said
        if when == BEGUN:
            assert list((out / "parts").glob("*.npz"))


# Proxies that misbehave

MISBEHAVING = """
import time, torch, harness
@harness.proxy(reads='outputs', labels=False)
def raises(probe): raise RuntimeError('no\\nsuch luck')
@harness.proxy(reads='outputs', labels=False)
def wrong_shape(probe): return torch.zeros(3, 2)
@harness.proxy(reads='outputs', labels=False)
def no_number(probe): return probe.outputs.sum((0, 2)) * float('nan')
@harness.proxy(reads='outputs', labels=False)
def returns_none(probe): return None
@harness.proxy(reads='outputs', labels=False)
def sleeps(probe): time.sleep(0.2); return probe.outputs.sum((0, 2))
@harness.proxy(reads='outputs', labels=False)
def leaves(probe): raise SystemExit(3)
@harness.module_proxy
def breaks_the_model(model, inputs, targets):
    for parameter in model.parameters(): parameter.data.zero_()
    inputs.zero_(); torch.manual_seed(0)
    return 1
"""


def test_what_a_proxy_does_wrong_is_its_own_failure(out: Path, tmp_path: Path):
    names = ("raises", "wrong_shape", "no_number", "returns_none", "leaves", "sleeps", "breaks_the_model")
    (tmp_path / "bad.py").write_text(MISBEHAVING)
    run = score(out, proxies=",".join([*(f"{tmp_path}/bad.py:{name}" for name in names), "snip", "naswot"]), sample=4)
    reasons = run.failures.groupby("proxy")["reason"].first()
    assert set(reasons.index) == set(names[:5]) and (run.failures.groupby("proxy").size() == 4).all()
    assert reasons["raises"] == "RuntimeError: no" and "(3, 2), expected (1,)" in reasons["wrong_shape"]
    assert "nan" in reasons["no_number"] and "SystemExit" in reasons["leaves"]
    for name in (*names[5:], "snip", "naswot"):
        assert np.isfinite(run.scores[name]).all()
    assert same(run, score(out.with_name("alone"), sample=4), "snip", "naswot")


def test_the_code_of_a_users_proxy_is_part_of_the_run(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scorer, "in_files", lambda setting: False)  # score in this process
    path = tmp_path / "mine.py"
    head = "import harness\n@harness.proxy(reads='outputs', labels=False)\n"
    text = head + "def mine(probe): return {} * probe.outputs.sum((0, 2))\n"
    path.write_text(text.format(1))
    first = score(out, proxies=f"{path}:mine,snip", sample=2)
    path.write_text(text.format(2) + "# a comment changes nothing\n")
    (parts := out / "parts").mkdir(exist_ok=True)
    second = score(out, proxies=f"{path}:mine,snip", sample=2)
    np.testing.assert_allclose(second.scores["mine"], 2 * first.scores["mine"], rtol=1e-6)
    assert same(first, second, "snip") and not list(parts.glob("*.npz"))
    path.write_text(text.format(2))
    assert same(second, score(out, proxies=f"{path}:mine", sample=2), "mine", "snip")


def test_a_proxy_of_the_session_is_scored_in_this_process(out: Path):
    import harness

    @harness.proxy(reads="outputs", labels=False)
    def from_a_notebook(probe):
        return probe.outputs.sum((0, 2))

    assert np.isfinite(score(out, proxies="from_a_notebook", workers=2).scores["from_a_notebook"]).all()


# What cannot be used


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--bench 2O1", ["unknown benchmark: '2O1' (did you mean 201"]),
        ("--bench 201 --dataset cifar10", ["dataset 'cifar10'", "looked", "data get 201", "GB"]),
        ("--bench 201 --proxies synflo,naswott", ["'synflo' (did you mean synflow", "'naswott' (did you mean naswot"]),
        ("--bench 201 --sampel 3", ["unrecognized arguments", "did you mean --sample?"]),
        ("--bench 201 --samp 3", ["did you mean --sample?"]),
        ("--bench 201 --epochs many", ["--epochs", "many"]),
        ("--bench 201 --existing replac", ["did you mean replace"]),
        ("--bench 201 --split tset --seeds 0 --sample -1", ["did you mean test", "--seeds 0", "--sample '-1'"]),
        ("--bench 201 --split train --epochs 7 --reduction median --sample 31",
         ["unknown split", "after 7 epochs", "'median'", "--sample 31: the table has 30"]),
        ("--bench 201 --batch-size 0", ["--batch-size 0: expected 1 or more"]),
        ("--bench 201 --batch-size 2000", ["batch size 2000 is larger than the set", "at most 1797"]),
        ("--bench 201 --device cuda:x", ["--devices 'cuda:x'"]),
        ("--bench 201 --device cuda:99", ["--devices cuda:99"]),
        ("--bench 201 --inputs nowhere.npz", ["--inputs 'nowhere.npz'"]),
        ("--bench 201 --data nowhere", ["no folder 'nowhere'"]),
        ("--bench 201 --proxies nowhere.py:x", ["no file 'nowhere.py'"]),
        ("", ["--bench"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(words: str, said: list[str], out: Path, capsys, monkeypatch):
    from harness.cli.run import main

    monkeypatch.chdir(out.parent)
    try:
        code = main([*words.split(), *([] if "--out" in words else ["--out", str(out)])])
    except SystemExit as error:  # argparse
        code = error.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and len(lines) == 1, lines
    assert all(part in lines[0] for part in said), lines[0]
    assert not out.exists()


def write_csv(folder: Path, rows: list[str], header: str = "arch,cifar10_test_200") -> None:
    (folder / "nasbench201.csv").write_text("\n".join([header, *rows]) + "\n")


CASES = ("no images", "duplicate", "outside", "unknown", "truncated h5", "foreign h5", "foreign csv")


@pytest.mark.parametrize("case", CASES)
def test_ground_truth_that_cannot_be_used(case: str, out: Path, tmp_path: Path, capsys):
    from tiny import tiny_table

    from benchmarks.table import save_tables
    from harness.cli.run import main

    table = tiny_table(dataset="cifar10")
    rows = [f"{arch},90" for arch in table.archs]
    if case == "duplicate":
        write_csv(tmp_path, [*rows, rows[0]])
    elif case == "outside":
        write_csv(tmp_path, [*rows[:-1], f"{table.archs[-1]},0.9e3"])
    elif case == "unknown":
        write_csv(tmp_path, [*rows, "resnet,90"])
    elif case == "foreign csv":
        (tmp_path / "nasbench201.csv").write_bytes(b"\x80\x02}q\x00.")
    elif case == "foreign h5":
        (tmp_path / "nasbench201.h5").write_bytes(b"GIF89a")
    else:
        save_tables(tmp_path / "nasbench201.h5", [table])
        if case == "truncated h5":
            path = tmp_path / "nasbench201.h5"
            path.write_bytes(path.read_bytes()[:3000])
    assert main(["--bench", "201", "--data", str(tmp_path), "--out", str(out), "--inputs", "images"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and not out.exists(), lines
    said = {"no images": "--inputs gaussian", "duplicate": table.archs[0], "outside": "0.9e3", "unknown": "resnet"}
    assert said.get(case, "nasbench201") in lines[0]


def test_ground_truth_without_images_is_scored_on_noise(out: Path, tmp_path: Path):
    from tiny import tiny_table

    from benchmarks.table import save_tables

    save_tables(tmp_path / "nasbench201.h5", [tiny_table(dataset="cifar10")])
    run = score(out, data=str(tmp_path), inputs="gaussian", sample=2)
    assert np.isfinite(run.scores["snip"]).all() and "Gaussian noise" in run.manifest["minibatch"]


def test_the_command_line_makes_a_report(out: Path, capsys):
    from harness.cli.run import main

    assert main(["--bench", "201", "--proxies", "naswot", "--workers", "1", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "naswot" in said.out and "embedded table" in said.err and (out / "report.html").is_file()


def test_a_users_proxy_is_tried_on_one_network_first(out: Path, tmp_path: Path, capfd: pytest.CaptureFixture):
    (tmp_path / "bad.py").write_text(
        "def helper(model):\n    raise RuntimeError('no such layer')\n\n"
        "def broken(model, inputs, targets):\n    return helper(model)\n"
    )
    config = RunConfig(bench="201", out=str(out), **USUAL | {"proxies": f"snip,{tmp_path}/bad.py:broken"})
    with pytest.raises(
        UserError, match="tried on one network, .*, before the run: broken: RuntimeError: no such layer"
    ):
        runner.run(config, say=lambda line: None, dry_run=True)
    said = capfd.readouterr().err
    assert 'bad.py", line 5, in broken' in said and "line 2, in helper" in said and "harness/engine" not in said
    assert not (out / "scores.h5").exists()
    assert np.isfinite(score(out).scores["snip"]).all(), "and the folder can be used"


def test_the_manifest_has_the_command_as_it_is_typed(tmp_path: Path) -> None:
    """Defect: the path of a file of this package in place of `python -m harness.run`, and words without quotes."""
    words = ["--bench", "201", "--sample", "3", "--proxies", "params, flops", "--workers", "1", "--out", "run"]
    subprocess.run([sys.executable, "-m", "harness.run", *words], cwd=tmp_path, check=True, capture_output=True)
    told = json.loads((tmp_path / "run" / "manifest.json").read_text())["command"]
    assert told == f"python -m harness.run {shlex.join(words)}"
