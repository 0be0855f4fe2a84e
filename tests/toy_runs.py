"""A small stored run with everything that a report must cope with."""

from pathlib import Path

import numpy as np
import pandas as pd

from harness.store.stored_run import StoredRun

HOSTILE = '</script><script>window.hit=1</script><img src=x onerror="window.hit=1">\'|[x](y)'


def toy_run(path: Path, archs: int = 90, seeds: int = 2, hostile: str = "<b>mine</b>", name: str = "toy") -> StoredRun:
    """A run with ties, failures, a constant score, sentinels, equivalent and disconnected architectures."""
    rng = np.random.default_rng(3)
    accuracy = np.round(rng.uniform(50, 94, archs), 1)
    connected = np.ones(archs, bool)
    connected[::30] = False
    accuracy[~connected] = 10.0
    index = np.arange(archs)
    class_id = np.where((index % 9 == 1) & (index > 1), index - 1, index)

    def like(weight: float) -> np.ndarray:
        return weight * accuracy / 20 + rng.normal(size=(seeds, archs))

    scores = {
        "synflow": np.exp(10 * like(1.0)),
        "naswot": like(2.0),
        "zen": like(0.3),
        "plain": -like(1.0),
        hostile: like(0.7),
        "constant": np.ones((seeds, archs)),
        "params": np.tile(np.round(accuracy / 10), (seeds, 1)),
        "random": rng.normal(size=(seeds, archs)),
    }
    scores["zen"][:, 5::7] = -1e8
    scores["naswot"][0, 4] = np.nan
    scores["naswot"][-1, 4] = np.inf
    strings = [f"|op{i}~0|+|none~0|" for i in range(archs)]
    strings[4] = f"|{HOSTILE}~0|"
    failures = pd.DataFrame(
        [("naswot", 0, strings[4], f"ValueError: {hostile}"), ("naswot", 1, strings[4], "score is inf")],
        columns=["proxy", "seed", "arch", "reason"],
    )
    manifest = {
        "benchmark": "NAS-Bench-201",
        "target": {"dataset": hostile, "split": "test", "epochs": 200, "reduction": "mean"},
        "embedded": True,
        "table_source": "a table <of> ours",
        "table_checksum": "ab" * 32,
        "space_size": 15625,
        "settings": {"bench": "201", "batch_size": 64, "share": True, "note": hostile},
        "proxies": {"zen": {"fitted": True, "summary": HOSTILE}, "naswot": {"fitted": False, "summary": "codes"}},
    }
    return StoredRun(
        path=path / name,
        manifest=manifest,
        archs=tuple(strings),
        index=index,
        accuracy=accuracy,
        seed_accuracy=accuracy[:, None] + rng.normal(size=(archs, 3)),
        class_id=class_id,
        connected=connected,
        params=scores["params"][0],
        conv_count=(index % 5).astype(int),
        scores=scores,
        seconds={name: np.full((seeds, archs), 0.25) for name in scores},
        failures=failures,
        space_best=94.4,
    )
