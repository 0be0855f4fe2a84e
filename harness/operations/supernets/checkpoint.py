"""The file of a trained supernet: its settings, history and state, written whole or not at all."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.errors import UserError
from benchmarks.files.write import write_atomically
from benchmarks.readers.foreign import existing, refusing
from harness.inputs.images import Images
from harness.operations.setup import Setup
from harness.operations.supernets.darts import Bilevel

VERSION = 1


def settings_of(setup: Setup, seed: int) -> dict[str, Any]:
    """Return the settings that a checkpoint belongs to."""
    assert isinstance(setup.images, Images)
    return {
        "version": VERSION, "bench": setup.benchmark.space.name, "seed": seed, "network": setup.network,
        "images": setup.images.checksum, "resolution": setup.side,
        "training": asdict(setup.training),
    }  # fmt: skip


def save(path: Path, facts: dict, bilevel: Bilevel) -> None:
    """Keep `facts`, plain values by name, and the state of a training; UserError where the disk refuses."""
    content = {name: json.dumps(fact) for name, fact in facts.items()} | {"state": bilevel.state()}
    try:
        write_atomically(path, lambda file: torch.save(content, file))
    except (OSError, RuntimeError) as error:  # torch says by a RuntimeError that a disk is full
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"cannot write {path}: {reason}; make room and repeat: earlier epochs are kept") from error


def read(path: Path, setup: Setup, seed: int) -> dict[str, Any]:
    """Return settings, history and state, without executing a pickle; UserError for no checkpoint or other settings."""
    kind = "a checkpoint of a supernet"
    with refusing(existing(path, kind), kind, "delete it, or give another one"):
        content = torch.load(path, map_location=setup.device, weights_only=True)
        found = {"state": content["state"]} | {name: json.loads(content[name]) for name in ("settings", "history")}
        own = found["settings"]
        wanted = {name: value for name, value in settings_of(setup, seed).items()
                  if not (name == "training" and setup.config.supernet)}  # fmt: skip
        different = [name for name in wanted if own.get(name) != wanted[name]]
    if different:
        said = ", ".join(_difference(name, own.get(name), wanted[name]) for name in different)
        raise UserError(f"{path} is a supernet of other settings ({said}): give the same ones, or another folder")
    return found


def _difference(name: str, there: Any, wanted: Any) -> str:
    """Return how a setting of a checkpoint differs from the requested one."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        keys = [key for key in wanted if there.get(key) != wanted[key]]
        return ", ".join(f"{key} {there.get(key)}, not {wanted[key]}" for key in keys)
    return f"{name} {str(there)[:16]}, not {str(wanted)[:16]}"
