"""Parts of a run, scored apart (`--shard i/n`) into folders of their own -> the run, as if it were scored at once."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from harness.runs.config import RunConfig
from harness.runs.plan import plan_run
from harness.runs.runner import carry_out
from harness.store.store import SHARD, difference, edited
from harness.store.stored_run import StoredRun, read_manifest


def merge(folders: Sequence[Path], out: Path | None, say: Callable[[str], None]) -> StoredRun:
    """Join run folders with equal settings into the folder `out`; return the finished run.

    A folder that holds shards stands for them, and is `out` by default. What is joined may overlap where it is equal.
    Raises UserError where folders are no runs, differ in a setting or a score, are still written, or lack scores.
    """
    parts = [part for folder in folders for part in _shards(folder)]
    manifests = [read_manifest(part / "manifest.json") for part in parts]
    for part, manifest in zip(parts, manifests, strict=True):
        _check_equal(parts[0], manifests[0], part, manifest)
    if out is None:
        if len(folders) > 1 or parts[0] == folders[0]:
            raise UserError("say in --out into which folder the run goes")
        out = folders[0]
    config = _config(manifests, out)
    facts = {
        "device": " and ".join(dict.fromkeys(str(each.get("device", "unknown")) for each in manifests)),
        "merged": [{"folder": str(part), "command": each.get("command")} for part, each in zip(parts, manifests)],  # noqa: B905
        "seconds": sum(float(each.get("seconds", 0.0)) for each in manifests),
    }  # fmt: skip
    plan = plan_run(config, say, scored_on=manifests[0]["settings"]["device_kind"])
    for part, manifest in zip(parts, manifests, strict=True):
        if names := edited(manifest["settings"], plan.settings):
            raise UserError(f"{part} was scored with other code of {', '.join(sorted(names))} than there is now")
    return carry_out(plan, say, parts, facts)


def _shards(folder: Path) -> list[Path]:
    """Return the folders of the shards in a folder, or the folder itself where it is a run; UserError otherwise."""
    found = sorted(folder.glob(SHARD.format("*", "*")))
    if found:
        numbers = {path: path.name.split("-") for path in found}
        counts = {words[3] for words in numbers.values()}
        if len(counts) > 1:
            raise UserError(f"{folder} holds shards of {', '.join(sorted(counts))} parts: name those of one kind")
        there = {words[1] for words in numbers.values()}
        n = int(next(iter(counts)))
        if lacking := [str(i) for i in range(1, n + 1) if str(i) not in there]:
            raise UserError(f"{folder} lacks the shards {', '.join(lacking[:20])} of {n}: run them, then merge again")
        return found
    if not (folder / "manifest.json").is_file():
        raise UserError(f"{folder} holds no run and no shards: give the --out of runs with --shard, or run folders")
    return [folder]


def _check_equal(first: Path, old: dict[str, Any], part: Path, new: dict[str, Any]) -> None:
    """Raise UserError where two runs have other settings, or versions that may give other bits."""
    said = difference(old["settings"], new["settings"])
    extent = [f"{key} {old['settings'].get(key)!r} -> {new['settings'].get(key)!r}" for key in ("sample", "seeds")
              if old["settings"].get(key) != new["settings"].get(key)]  # fmt: skip
    versions = [f"{name} {old['versions'].get(name)} -> {new['versions'].get(name)}" for name in ("harness", "torch")
                if old.get("versions", {}).get(name) != new.get("versions", {}).get(name)]  # fmt: skip
    if changed := ", ".join([*([said] if said else []), *extent, *versions]):
        raise UserError(f"{part} was not made as {first} was ({changed}): their scores do not belong together")


def _config(manifests: Sequence[dict[str, Any]], out: Path) -> RunConfig:
    """Return the settings of the whole run: those of its parts, with the proxies of all."""
    known = {each.name for each in fields(RunConfig) if each.init}
    options = {name: value for name, value in manifests[0]["config"].items() if name in known}
    words = [word.strip() for each in manifests for word in each["config"]["proxies"].split(",")]
    return RunConfig(**options | {
        "proxies": ",".join(dict.fromkeys(words)), "out": str(out), "shard": None, "executor": "local",
        "stack": str(manifests[0]["settings"]["stack"]), "existing": "resume",
    })  # fmt: skip
