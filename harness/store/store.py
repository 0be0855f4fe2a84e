"""A run on disk: a folder that can be stopped at any moment, continued, extended and reported on.

    .lock           held by the process that writes
    manifest.json   settings, versions, device, data checksums, git revision
    parts/*.npz     scores as they are committed: written aside, synced, renamed; never changed afterwards
    scores.h5       everything merged, once the work is done; the parts are removed after it is in place

HDF5 form: attribute `manifest` (JSON) and `schema_version`; `arch`, `index`, `accuracy`, `seed_accuracy`, `class_id`,
`connected`, `params`, `conv_count` (archs, ...); `scores/<proxy>` and `seconds/<proxy>` (seeds, archs); `failures`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout

from benchmarks.errors import UserError
from benchmarks.files.write import write_atomically, write_hdf5
from harness.store.parts import Part, read_part
from harness.store.stored_run import StoredRun, load_run, read_manifest, representatives, target_in, write_run

EXTENDABLE = ("proxies", "own_proxies", "sample", "seeds")
"""Settings that may change between calls on one folder: more of each extends the run."""
WITHOUT_EFFECT = ("workers", "device", "existing")
"""Settings that do not change which scores there are."""
SINCE = {"precision": "float32"}
"""Settings that folders of earlier versions lack, and what they were then."""


@dataclass
class Cells:
    """The scores of one proxy and seed over a whole space, by class representative; what is not done is NaN."""

    score: np.ndarray
    seconds: np.ndarray
    done: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, size: int) -> Cells:
        return cls(np.full(size, np.nan), np.full(size, np.nan, dtype=np.float32), np.zeros(size, dtype=bool))


def _foreign(folder: Path) -> str:
    """Return the first name in a folder that no run puts there, empty where there is none."""
    shard = SHARD.format("*", "*")
    others = (path for path in sorted(folder.iterdir()) if path.name not in ("parts", NAME) and not path.match(shard))
    return next((path.name for path in others if path.suffix not in (".part", ".tmp")), "")


def _why(error: OSError) -> str:
    return "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error)


def difference(old: dict, new: dict) -> str:
    """Return what differs between two dictionaries of settings, as `name old -> new`, empty if nothing does."""
    old, new = SINCE | old, SINCE | new
    keys = sorted((old.keys() | new.keys()) - {*EXTENDABLE, *WITHOUT_EFFECT})
    said = [f"{key} {old.get(key)!r} -> {new.get(key)!r}" for key in keys if old.get(key) != new.get(key)]
    return ", ".join(said)


def edited(old: dict, new: dict) -> set[str]:
    """Return the users' own proxies whose code differs between two dictionaries of settings."""
    before, now = old.get("own_proxies", {}), new.get("own_proxies", {})
    return {name for name in before.keys() & now.keys() if before[name] != now[name]}


class Store:
    """The scores of a run while it is being made. One process holds it: workers return their scores to that one."""

    def __init__(self, folder: Path, manifest: dict, space_size: int, *, existing: str = "resume") -> None:
        """Open or make the run folder. `existing`: "resume" continues, "replace" starts again, "refuse" raises.

        Raises UserError where the folder holds a run with other settings, or cannot be written.
        """
        self.folder, self.size = folder, space_size
        self.cells: dict[tuple[str, int], Cells] = {}
        self.manifest = manifest
        record = folder / "manifest.json"
        try:
            if not record.exists() and folder.is_dir() and (found := _foreign(folder)):
                raise UserError(f"{folder} is not a run (it holds {found} and no manifest.json): give another --out")
            if record.exists():
                read_manifest(record)  # what is not a run is left alone
            (folder / "parts").mkdir(parents=True, exist_ok=True)
            self._lock = hold(folder)
            remove_leftovers(folder)
            if record.exists():
                self._continue(record, existing)
            self.write_manifest()
        except OSError as error:
            raise UserError(f"cannot write the run folder {folder}: {_why(error)}; give another --out") from error

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        """Let other processes write into the folder."""
        self._lock.release()

    def _continue(self, record: Path, existing: str) -> None:
        old = read_manifest(record)  # first of all: what is not a run is never replaced either
        if existing == "refuse":
            raise UserError(f"{self.folder} holds a run already and --existing refuse was given: give another --out")
        if existing == "replace":
            for path in [*self._part_files(), self.folder / "scores.h5"]:
                path.unlink(missing_ok=True)
            return
        settings = self.manifest["settings"]
        if changed := difference(*(each["settings"] | target_in(each) for each in (old, self.manifest))):
            raise UserError(
                f"{self.folder} holds a run with other settings ({changed}): give another --out, or --existing replace"
            )
        names = edited(old["settings"], settings)
        settings["own_proxies"] = old["settings"].get("own_proxies", {}) | settings.get("own_proxies", {})
        call = {key: old[key] for key in ("command", "started", "revision", "versions", "device") if key in old}
        self.manifest["earlier"] = [*old.get("earlier", []), call]
        self.manifest["seconds"] = old.get("seconds", 0.0)
        self.manifest["proxies"] = old.get("proxies", {}) | self.manifest.get("proxies", {})
        for part in _parts_of(self.folder):
            self._remember(part)
        if names:
            self._forget(names)

    def _forget(self, names: set[str]) -> None:
        """Drop the scores of proxies whose code was edited, on the disk too; those of the others are kept."""
        for cell in [cell for cell in self.cells if cell[0] in names]:
            del self.cells[cell]
        old = [*self._part_files(), self.folder / "scores.h5"]
        for (proxy, seed), cells in self.cells.items():
            self._save(_part(proxy, seed, cells, np.flatnonzero(cells.done)))
        for path in old:
            path.unlink(missing_ok=True)

    def adopt(self, folder: Path) -> None:
        """Keep what another run folder holds, too. UserError where a process writes there, where it belongs to another
        space, or where both hold different scores of one network."""
        lock: Any = contextlib.nullcontext()
        with contextlib.suppress(OSError):  # where nothing can be written, nobody writes
            lock = hold(folder)
        with lock:
            for part in _parts_of(folder):
                if part.index.size and not 0 <= part.index.min() <= part.index.max() < self.size:
                    raise UserError(f"{folder} holds scores of another space than {self.folder}: leave it out")
                for row, proxy in enumerate(part.proxies):
                    self._adopt(part, row, proxy, folder)

    def _adopt(self, part: Part, row: int, proxy: str, folder: Path) -> None:
        cells = self.of(proxy, part.seed)
        there = cells.done[part.index]
        old, new = cells.score[part.index], part.scores[row]
        if (differ := np.flatnonzero(there & ~((old == new) | (np.isnan(old) & np.isnan(new))))).size:
            at = differ[0]
            raise UserError(
                f"{folder} holds other scores than the folders before it: {proxy} of network {part.index[at]}, seed"
                f" {part.seed}, is {new[at]} and {old[at]}: leave one of them out"
            )
        if (fresh := np.flatnonzero(~there)).size:
            reasons = {at: part.reasons[row][i] for at, i in enumerate(fresh.tolist()) if i in part.reasons[row]}
            scores, seconds = part.scores[row][fresh][None], part.seconds[row][fresh][None]
            self.commit(Part(part.seed, (proxy,), part.index[fresh], scores, seconds, (reasons,)))

    def of(self, proxy: str, seed: int) -> Cells:
        """Return the cells of a proxy and seed, empty ones where nothing was scored yet."""
        return self.cells.setdefault((proxy, seed), Cells.empty(self.size))

    def complete(self, proxy: str, seeds: int, index: np.ndarray) -> bool:
        """Say whether a proxy is done on all of these representatives under all seeds."""
        return all((proxy, seed) in self.cells and self.of(proxy, seed).done[index].all() for seed in range(seeds))

    def count(self, proxies: list[str], seeds: int, index: np.ndarray) -> int:
        """Return how many scores of these representatives are done."""
        distinct = np.unique(index)
        return sum(int(self.of(proxy, seed).done[distinct].sum()) for proxy in proxies for seed in range(seeds))

    def missing(
        self, proxies: Sequence[str], seed: int, index: tuple[int, ...]
    ) -> dict[tuple[int, ...], tuple[str, ...]]:
        """Return what is not done of these representatives: {representatives: the proxies they lack}."""
        lacking: dict[tuple[int, ...], tuple[str, ...]] = {}
        for proxy in proxies:
            done = self.of(proxy, seed).done
            if todo := tuple(i for i in index if not done[i]):
                lacking[todo] = (*lacking.get(todo, ()), proxy)
        return lacking

    def _remember(self, part: Part) -> None:
        for row, proxy in enumerate(part.proxies):
            cells = self.of(proxy, part.seed)
            cells.score[part.index] = part.scores[row]
            cells.seconds[part.index] = part.seconds[row]
            cells.done[part.index] = True
            cells.reasons |= {int(part.index[position]): reason for position, reason in part.reasons[row].items()}

    def commit(self, part: Part) -> None:
        """Keep scores for good: on disk before this returns. Raises UserError where the disk refuses."""
        self._remember(part)
        self._save(part)

    def _save(self, part: Part) -> None:
        content: dict[str, Any] = {
            "seed": part.seed, "proxies": np.array(part.proxies), "index": part.index, "scores": part.scores,
            "seconds": part.seconds, "reasons": np.array(json.dumps([list(r.items()) for r in part.reasons])),
        }  # fmt: skip
        self._write(self.folder / "parts" / f"{uuid.uuid4().hex}.npz", lambda file: np.savez(file, **content))

    def write_manifest(self) -> None:
        """Write manifest.json as it stands."""
        text = json.dumps(self.manifest, indent=1, sort_keys=True, default=str)
        self.write_text("manifest.json", text)

    def write_text(self, name: str, text: str) -> None:
        """Write a text of the folder. Raises UserError where the disk refuses."""
        self._write(self.folder / name, lambda file: file.write(text.encode("utf-8", "replace")))

    def _write(self, path: Path, write: Callable[[IO[bytes]], object]) -> None:
        try:
            write_atomically(path, write)
        except OSError as error:
            raise UserError(
                f"cannot write {path}: {_why(error)}; everything committed before is kept: make room and"
                " repeat the command"
            ) from error

    def merge(self, run: StoredRun) -> None:
        """Write scores.h5 from the finished run, then remove the parts that are in it.

        What was scored earlier and is not in this run (a smaller sample, fewer seeds, other proxies) stays in parts/.
        """
        parts = self._part_files()
        for part in self._beyond(run):
            self._save(part)
        path = self.folder / "scores.h5"
        try:
            write_hdf5(path, lambda file: write_run(file, run))
        except OSError as error:
            raise UserError(
                f"cannot write {path}: {_why(error)}; all scores are kept in parts/: make room and repeat the command"
            ) from error
        with contextlib.suppress(OSError):  # a folder that became read-only: a part that stays does no harm
            for path in parts:
                path.unlink(missing_ok=True)

    def _part_files(self) -> list[Path]:
        """Return the parts."""
        return sorted((self.folder / "parts").glob("*.npz"))

    def _beyond(self, run: StoredRun) -> Iterator[Part]:
        """Yield what is done and is not in a run."""
        within = np.zeros(self.size, dtype=bool)
        within[representatives(run)] = True
        for (proxy, seed), cells in self.cells.items():
            held = proxy in run.scores and seed < len(run.scores[proxy])
            index = np.flatnonzero(cells.done & ~within if held else cells.done)
            if len(index):
                yield _part(proxy, seed, cells, index)


def _part(proxy: str, seed: int, cells: Cells, index: np.ndarray) -> Part:
    """Return some cells of a proxy and seed as a part."""
    reasons = {at: cells.reasons[int(i)] for at, i in enumerate(index) if int(i) in cells.reasons}
    return Part(seed, (proxy,), index, cells.score[index][None], cells.seconds[index][None], (reasons,))


def _parts_of(folder: Path) -> Iterator[Part]:
    """Yield what a run folder holds, of a finished run and as it was committed."""
    if (folder / "scores.h5").exists():
        yield from _parts_in(load_run(folder))
    for path in sorted((folder / "parts").glob("*.npz")):
        yield read_part(path)


def _parts_in(run: StoredRun) -> Iterator[Part]:
    """Yield what a finished run has scored."""
    reasons = {(row.proxy, row.seed, row.arch): row.reason for row in run.failures.itertuples()}
    network = representatives(run)
    facts = run.manifest.get("proxies", {})
    counts = {name for name, about in facts.items() if about.get("static", about.get("cost") == "S")}
    for proxy, scores in run.scores.items():
        if proxy in counts:  # computed again from the string
            continue
        for seed in range(len(scores)):
            scored = np.flatnonzero(np.isfinite(run.seconds[proxy][seed]))
            failed = {
                at: reasons.get((proxy, seed, run.archs[position]), "")
                for at, position in enumerate(scored) if not np.isfinite(scores[seed][position])
            }  # fmt: skip
            rows = (scores[seed][scored][None], run.seconds[proxy][seed][scored][None])
            yield Part(seed, (proxy,), network[scored], *rows, (failed,))


SHARD = "shard-{}-of-{}"
"""Name of the folder of one part of a run, in the run's folder."""
NAME = ".lock"


def hold(folder: Path) -> FileLock:
    """Return the lock of a folder, held; UserError, naming the other process, where another one has it."""
    path = folder / NAME
    lock = FileLock(path, is_singleton=True)  # the process that holds it may open the folder again
    try:
        lock.acquire(blocking=False)
    except Timeout:
        owner = ""
        with contextlib.suppress(OSError, ValueError):
            owner = path.read_text("utf-8")[:200].strip()
        raise UserError(
            f"{folder} is in use by another run ({owner or 'process unknown'}): wait for its end, or give another --out"
        ) from None
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    path.write_text(f"process {os.getpid()} on {platform.node()} since {since}\n", "utf-8")
    return lock


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; only under the folder's lock."""
    for path in folder.rglob("*"):
        if path.suffix in (".part", ".tmp") and path.is_file():
            path.unlink(missing_ok=True)
