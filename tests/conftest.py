"""Fixtures every test may use."""

import gc
import logging
import os
import random
import signal
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before PyTorch is imported: each of several test processes has one thread
    os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ["NAS_HARNESS_CACHE"] = str(Path(__file__).parent / "no-cache")  # what a developer fetched changes no test

import numpy as np
import pytest

from benchmarks.errors import LOG
from harness.proxies import registry

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONG = (
    "test_run.py", "test_notebooks.py", "test_docs_site.py", "test_dispatch.py", "test_operations_darts.py",
    "test_operations_trained.py", "test_operations.py", "test_operations_1shot1.py", "test_train_spaces.py",
    "test_cluster.py", "test_devices.py", "test_train.py", "test_speed_gpu.py",
)  # fmt: skip
"""Files that take 10 seconds and more. They start first: at the end no process waits for another one's file."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; all else stays in its order."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of garbage collections: each run of a test would look through all of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _progress_is_reported() -> None:
    """Each test starts as a process does, whatever level a command of an earlier test set with --quiet."""
    LOG.setLevel(logging.INFO)


@pytest.fixture(autouse=True)
def _generators_start_alike() -> None:
    """What a test draws does not depend on the tests before it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real ground truth and images; tests that need it are skipped where it is absent."""
    named = os.environ.get("NAS_HARNESS_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there (set NAS_HARNESS_DATA to the folder that holds it)")
    return folder


@pytest.fixture
def gpu() -> str:
    """A CUDA device, for tests that are marked `gpu`; they are skipped where there is none."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return "cuda:0"


@pytest.fixture
def own_proxies():
    """Whatever proxies a test registers are forgotten after it."""

    before = registry.registry()
    yield
    registry._registry.clear()
    registry._registry.update(before)


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny ground truth in place of the embedded table, and no data folder: the folder of the table."""
    from tiny import embed

    folder = embed(tmp_path / "embedded")
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", folder)
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    return folder


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's report is written without its figures, which take four seconds; tests/report draws them."""
    monkeypatch.setattr("harness.report.page.write_figures", lambda *_: {})
    monkeypatch.setattr("harness.report.page.svg", lambda *_: b"")


@pytest.fixture(scope="session")
def digits_tasks(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The kept scores judged by the embedded digits, as where there is no data folder: {"201 digits": [run]}."""
    from harness.runs.kept_runs import kept_tasks

    return kept_tasks(tmp_path_factory.mktemp("no-data"), "201")
