"""The settings that make the scores of a run what they are, and the folder that such a set of settings has."""

import hashlib
import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import Benchmark
from harness.engine.devices import kind
from harness.engine.scorer import Setting
from harness.inputs.images import Images
from harness.proxies.registry import Proxy
from harness.runs.config import RunConfig
from harness.runs.target import Target
from harness.store.store import EXTENDABLE, SINCE


def settings_of(config: RunConfig, target: Target, benchmark: Benchmark, setting: Setting, n: int) -> dict[str, Any]:
    """Return the settings of a run of `n` architectures as plain JSON, without the size of its stacks."""
    return {
        **{name: getattr(config, name) for name in ("bench", "seeds", "balanced", "protocol", "keep_unreachable")},
        "precision": config.precision,
        "batch_size": setting.batch_size,
        **asdict(target),
        "inputs": config.inputs,
        "images": setting.inputs.checksum if isinstance(setting.inputs, Images) else setting.inputs,
        "table": benchmark.table.checksum,
        "network": setting.network,
        "resolution": setting.resolution,
        "share": setting.share,
        "device_kind": kind(setting.device),
        "sample": n,
        **({"form": setting.form} if setting.form else {}),
        "proxies": [proxy.name for proxy in config.chosen],
        "own_proxies": {proxy.name: _checksum(proxy) for proxy in config.chosen if is_own(proxy)},
    }


def default_folder(settings: dict[str, Any]) -> Path:
    """Return results/NAME, a name for every set of settings that cannot share a folder."""
    fixed = dict(each for each in settings.items() if each[0] not in EXTENDABLE and each not in SINCE.items())
    mark = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return Path("results") / f"{settings['bench']}-{settings['dataset']}-{mark}"


def is_own(proxy: Proxy) -> bool:
    """Return whether a proxy is a user's."""
    return bool(proxy.source) or not proxy.score.__module__.startswith("harness.")


def _checksum(proxy: Proxy) -> str:
    """Return a checksum of a user's proxy, so that scores of another version of it are not taken for its scores."""
    if proxy.source:
        return proxy.source
    function = inspect.unwrap(proxy.score)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = repr((function.__code__.co_code, function.__code__.co_consts))
    return hashlib.sha256(text.encode()).hexdigest()
