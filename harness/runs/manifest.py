"""What a manifest says of any result: ground truth, versions, machine, proxies."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.benchmark import Benchmark
from harness.proxies.protocols import described
from harness.proxies.registry import Proxy
from harness.runs.sampled import sample_facts
from harness.runs.target import Target
from harness.store.version import VERSION


def provenance(
    benchmark: Benchmark, target: Target, proxies: Iterable[Proxy], rows: np.ndarray | None = None
) -> dict[str, Any]:
    """Return what a manifest says of any run of some rows of a table (all by default): ground truth, versions,
    machine, proxies."""
    import h5py
    import scipy

    return {
        "command": " ".join(sys.argv),
        "benchmark": benchmark.space.title,
        "target": asdict(target),
        **asdict(target),
        "embedded": benchmark.embedded,
        "table_source": benchmark.table.source,
        "table_checksum": benchmark.table.checksum,
        **sample_facts(benchmark, np.arange(len(benchmark.table)) if rows is None else rows),
        "table_size": len(benchmark.table),
        "versions": {
            "harness": VERSION, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__, "h5py": h5py.__version__,
        },
        "revision": revision(Path(__file__).parent),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "proxies": {
            proxy.name: {
                "summary": proxy.summary, "labels": proxy.labels, "cost": proxy.cost, "fitted": proxy.fitted,
                "paper": proxy.paper, "static": proxy.static, "baseline": proxy.baseline,
                "direction": "larger is better", "view": "" if proxy.static else described(proxy.view),
            }
            for proxy in proxies
        },
    }  # fmt: skip


def embedded_note(benchmark: Benchmark) -> str:
    """Return the line that says that the ground truth is the embedded table."""
    return (
        f"ground truth: the embedded table ({benchmark.table.source}); for the real benchmark get its files"
        " (python -m benchmarks lists them) and name their folder in --data"
    )


def revision(folder: Path) -> str:
    """Return the git revision of the source, with a mark if it was changed, or "unknown"."""
    try:
        told = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip()
