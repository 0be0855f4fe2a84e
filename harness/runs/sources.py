"""What is compared head to head, as a user names it -> one run for each benchmark, on the architectures all share.

A word is a proxy (`synflow`, `FILE.py:NAME`, an ensemble), which is scored or taken from kept scores; a CSV of scores;
or the folder of a run.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import benchmarks
from benchmarks.benchmark import BENCHMARKS, EMBEDDED, EMBEDDED_DATASET, expand, space_of, tables
from benchmarks.errors import UserError
from benchmarks.readers.csv_table import dataset_key
from benchmarks.spaces.targets import TargetColumn
from harness.cached import kept as kept_scores
from harness.proxies.choose import choose
from harness.proxies.ensembles import ENSEMBLES
from harness.proxies.registry import baselines
from harness.runs.assemble import FEWEST, further_targets, with_targets
from harness.runs.config import RunConfig
from harness.runs.evaluate_scores import store_scores
from harness.runs.runner import run
from harness.store.stored_run import StoredRun, load_run

Say = Callable[[str], None]
TARGET = ("dataset", "data", "split", "epochs", "reduction")
"""Settings of a run that say which accuracy is meant."""


def gather(words: Sequence[str], bench: str, *, kept: bool = False, say: Say, **settings: Any) -> dict[str, StoredRun]:
    """Return {benchmark: run with the scores of all words}, in the order of the words.

    bench: keys by commas, or "all" for every benchmark with ground truth. kept: built-in proxies are taken from the
    kept scores where there are any for the target, not scored. settings: fields of RunConfig. A benchmark that a CSV or
    a run folder is not about is left out, and `say` names it. Raises UserError where none is left.
    """
    further = settings.pop("target", None)
    words = [word.strip() for each in words for word in each.split(",") if word.strip()]
    if not words:
        raise UserError("nothing to compare: name proxies, files of scores or run folders")
    files, folders = [word for word in words if _is_file(word)], [word for word in words if _is_folder(word)]
    proxies = [word for word in words if word not in (*files, *folders)]
    choose(proxies)  # all that is unknown at once, before anything is scored
    found, why = {}, []
    for key in _benchmarks(bench, settings):
        try:
            columns = _columns(key, further, settings)  # before anything is scored
            found[key] = with_targets(joined(_parts(words, proxies, key, kept, say, settings)), columns)
        except _Elsewhere as error:
            why.append(f"{key} is left out: {error}")
            say(why[-1])
    if not found:
        raise UserError("; ".join(why))
    return found


def _columns(bench: str, words: str | None, settings: dict[str, Any]) -> list[TargetColumn]:
    """Return the further targets of a benchmark."""
    if words is None:
        return []
    data = settings.get("data")
    return further_targets(benchmarks.load(bench, settings.get("dataset"), data), words, None, data).columns


class _Elsewhere(UserError):
    """A file or folder that is about another benchmark."""


def _is_file(word: str) -> bool:
    return Path(word).suffix.lower() in (".csv", ".json", ".tsv") and Path(word).is_file()


def _is_folder(word: str) -> bool:
    return (Path(word) / "scores.h5").is_file()


def _benchmarks(bench: str, settings: dict[str, Any]) -> list[str]:
    """Return the keys of benchmarks; for "all" the built-in ones that `load` finds ground truth of, without populations
    of 1Shot1 and parts of DARTS, whose ground truth is that of another."""
    if bench != "all":
        return [key for word in bench.split(",") for key in expand(word.strip())]
    spaces = {key: space_of(key) for key in BENCHMARKS if not key.endswith(("-closed", "-pruned"))}
    own = [key for key, space in spaces.items() if not (space.open and space.view_of)]
    if there := [key for key in own if _has_truth(key, settings.get("dataset"), settings.get("data"))]:
        return there
    raise UserError("no benchmark has ground truth of this dataset: nas-harness data list says what there is")


def _has_truth(key: str, dataset: str | None, data: str | None) -> bool:
    there = set(tables(key, data))
    if (EMBEDDED / f"{EMBEDDED_DATASET}{key}.h5").is_file() and (data is None or dataset is not None):
        there.add(EMBEDDED_DATASET)
    return bool(there) if dataset is None else dataset_key(dataset) in there


def names_of(words: Sequence[str], runs: Iterable[StoredRun]) -> list[str]:
    """Return the names of the proxies that the words stand for, those of files and folders by what the runs hold."""
    first = next(iter(runs))
    named: list[str] = []
    for word in (word.strip() for each in words for word in each.split(",")):
        if _is_file(word) or _is_folder(word):
            named += [name for name, facts in first.manifest["sources"].items() if facts == word]
        elif word in ENSEMBLES:
            named.append(word)
        else:
            named += [each.name for each in choose(word) if each.name not in baselines() or word in (each.name, "core")]
    return list(dict.fromkeys(named))


def _parts(
    words: Sequence[str], proxies: list[str], bench: str, use_kept: bool, say: Say, settings: dict[str, Any]
) -> list[StoredRun]:  # fmt: skip
    """Return a run of each source: kept scores, scored proxies, and every file and folder."""
    target = {name: settings[name] for name in TARGET if settings.get(name) is not None}
    held = _kept(proxies, bench, target) if use_kept else None
    given = []  # before anything is scored: they may be about another benchmark
    for word in words:
        if _is_folder(word):
            given.append(_marked(_of_folder(word, bench), word))
        elif _is_file(word):
            try:
                given.append(_marked(store_scores(word, bench, say=say, **target), word))
            except UserError as error:
                raise _Elsewhere(error) from None
    parts = []
    if held is not None:
        parts.append(store_scores(held, bench, say=say, **target))
        proxies = [word for word in proxies if word not in held.columns]
    counts = set(baselines())
    if proxies and (set(proxies) - counts or not (parts or given)):
        asked = settings | {"sample": _at_most(settings.get("sample", "auto"), bench, target)}
        parts.append(run(RunConfig(bench=bench, proxies=",".join(proxies), **asked), say=say, dry_run=True))
    return [*parts, *given]


def _at_most(sample: str | int, bench: str, target: dict[str, Any]) -> str:
    """Return the size of the sample, all of a table that has fewer architectures."""
    if not str(sample).isdecimal():
        return str(sample)
    size = len(benchmarks.load(bench, target.get("dataset"), target.get("data")).table)
    return "all" if int(sample) > size else str(sample)


def _kept(proxies: list[str], bench: str, target: dict[str, Any]) -> Any:
    """Return kept scores of the built-in proxies among these, as a table; None where there are none."""
    dataset = benchmarks.load(bench, target.get("dataset"), target.get("data")).table.dataset
    sets = [about for about in kept_scores.facts().values() if (about["bench"], about["dataset"]) == (bench, dataset)]
    frame = kept_scores.scores(bench, dataset) if sets else None
    there = [word for word in proxies if frame is not None and word in frame.columns]
    return frame[["arch", *there]] if frame is not None and there else None


def _of_folder(word: str, bench: str) -> StoredRun:
    found = load_run(word)
    if (other := found.manifest["settings"]["bench"]) != bench:
        raise _Elsewhere(f"{word} is a run on {other}")
    return found


def _marked(part: StoredRun, word: str) -> StoredRun:
    """Record which scores came from a file or folder."""
    own = [name for name in part.scores if name not in baselines()]
    return replace(part, manifest=part.manifest | {"sources": dict.fromkeys(own, word)})


def joined(parts: Sequence[StoredRun]) -> StoredRun:
    """Return one run with the scores of all, on the architectures that all have, in the order of the first.

    Raises UserError where two hold different scores of one name, or where too few architectures are left.
    """
    first = parts[0]
    shared = np.logical_and.reduce([np.isin(first.index, part.index) for part in parts])
    if shared.sum() < FEWEST:
        raise UserError(
            f"only {shared.sum()} architectures are in all of {len(parts)} sources; expected {FEWEST} or more: score"
            " the others too (--sample all)"
        )
    whole = first.at(np.flatnonzero(shared))
    scores, seconds = dict(whole.scores), dict(whole.seconds)
    sources: dict[str, str] = {}
    about: dict[str, Any] = {}
    for part in parts:
        place = {int(index): at for at, index in enumerate(part.index)}
        rows = part.at(np.array([place[int(index)] for index in whole.index]))
        for name in part.scores:
            known = name in baselines() or part is first
            if name in scores and not known:
                raise UserError(f"two sources have scores of '{name}': give the column of one another name")
            scores.setdefault(name, rows.scores[name])
            seconds.setdefault(name, rows.seconds[name])
        sources |= part.manifest.get("sources", {})
        about |= part.manifest.get("proxies", {})
    return replace(
        whole, scores=scores, seconds=seconds, manifest=whole.manifest | {"sources": sources, "proxies": about}
    )
