"""`--executor ray` on a real Ray cluster of two workers: the same scores as here, also when a worker is killed."""

import signal
import time
from threading import Thread

import numpy as np
import psutil
import pytest
from processes import Session

from benchmarks.errors import UserError
from harness.runs.config import RunConfig
from harness.runs.runner import run

SETTINGS = {"bench": "201", "dataset": "digits", "proxies": "plain,naswot", "sample": 64, "stack": 4}


@pytest.fixture(scope="module")
def address():
    """A cluster of two nodes with a CPU each."""
    utils = pytest.importorskip("ray.cluster_utils")
    cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


def workers() -> list[psutil.Process]:
    """The processes of this test that score chunks just now."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "ray::_score" in " ".join(process.info["cmdline"] or ()):
            found.append(process)
    return found


def test_the_scores_are_those_of_this_machine_though_a_worker_is_killed(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    here = run(RunConfig(**SETTINGS, workers=1, out=str(tmp_path / "here")), say=lambda line: None)
    killed: list[int] = []

    def kill() -> None:
        while not (there := workers()):
            time.sleep(0.05)
        killed.append(there[0].pid)
        there[0].kill()

    thread = Thread(target=kill, daemon=True)
    thread.start()
    there = run(RunConfig(**SETTINGS, executor="ray", out=str(tmp_path / "there")), say=lambda line: None)
    thread.join(1)
    assert killed
    assert list(here.archs) == list(there.archs)
    for name in ("plain", "naswot"):
        np.testing.assert_array_equal(here.scores[name], there.scores[name])
    assert there.manifest["device"].startswith("Ray cluster, 2 CPUs")


def test_a_folder_goes_on_in_the_other_way(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    said: list[str] = []
    run(RunConfig(**SETTINGS | {"sample": 20}, executor="ray", out=str(tmp_path / "run")), say=said.append)
    whole = run(RunConfig(**SETTINGS | {"sample": 24}, workers=1, out=str(tmp_path / "run")), say=said.append)
    assert any(line.endswith("scores are there already") for line in said)
    assert len(whole.archs) == 24


def test_how_many_run_together_is_found_by_a_worker(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    said: list[str] = []
    settings = SETTINGS | {"sample": 8, "stack": "auto", "devices": "cpu"}
    there = run(RunConfig(**settings, executor="ray", out=str(tmp_path / "run")), say=said.append)
    assert there.manifest["settings"]["stack"] == 32 and there.manifest["config"]["devices"] == "cpu"
    assert said[0].startswith("--stack auto: 32 together")
    with pytest.raises(UserError, match="--devices cuda: the Ray cluster has no GPU; use --devices cpu"):
        run(RunConfig(**settings | {"devices": "cuda"}, executor="ray", out=str(tmp_path / "gpu")), say=said.append)


def test_a_signal_stops_as_a_local_run_does(tmp_path, monkeypatch, address):
    """Ray takes SIGTERM for itself, and aborts where it is interrupted; `python -m speed.torture ray` tries more."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    words = [f"--{name}={value}" for name, value in (SETTINGS | {"sample": "all"}).items()]
    with Session(tmp_path, ["-m", "harness", "run", *words, "--executor=ray", f"--out={tmp_path / 'run'}"]) as session:
        session.until("scoring into")
        session.send(signal.SIGTERM)
        assert session.process.wait(240) == 130
    assert "Traceback" not in session.said and "repeat the command to continue" in session.said


ENDS = """
import os, harness
@harness.proxy(reads='outputs', labels=False)
def ends(probe): os._exit(3)
@harness.proxy(reads='outputs', labels=False)
def stays(probe): return probe.outputs.sum((0, 2))
"""


def test_a_proxy_that_ends_workers_fails_alone(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    (tmp_path / "mine.py").write_text(ENDS)
    proxies = f"{tmp_path}/mine.py:ends,{tmp_path}/mine.py:stays,plain"
    settings = SETTINGS | {"sample": 4, "proxies": proxies}
    there = run(RunConfig(**settings, executor="ray", out=str(tmp_path / "run")), say=lambda line: None)
    assert np.isfinite(there.scores["stays"]).all() and np.isfinite(there.scores["plain"]).all()
    assert there.failures["proxy"].unique().tolist() == ["ends"] and len(there.failures) == 4
    assert there.failures["reason"].str.startswith("ends ended its process").all()


def test_what_a_chunk_raises_is_told(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("harness.engine.ray_cluster._versions", lambda: ("0", "0", "0"))  # not patched in the workers
    with pytest.raises(UserError, match="install the same everywhere"):
        run(RunConfig(**SETTINGS, executor="ray", out=str(tmp_path / "run")), say=lambda line: None)


def test_no_cluster_is_one_clear_error(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match="ray start --head"):
        run(RunConfig(**SETTINGS, executor="ray", out=str(tmp_path / "run")), say=lambda line: None)


def test_a_share_of_a_gpu_is_at_most_one():
    with pytest.raises(UserError, match="--gpu-share"):
        RunConfig(bench="201", gpu_share=2.0)
