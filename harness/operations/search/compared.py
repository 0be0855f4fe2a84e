"""What a search found in an open space, compared with cells of the same space, as no table has their accuracies.

Compared are the cells found, published ones of the same search, a control that has the operation of most parameters
everywhere, and 1,000 random ones, among which all others are ranked: by parameters, FLOPs, and the scores of proxies
that see a cell as `harness.run` does (minibatch and weights of seed 0).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.errors import quiet
from harness.engine.scorer import Chunk, Scorer, Setting, execute
from harness.inputs.images import Images
from harness.operations.search.candidates import Candidates
from harness.operations.search.published import Group, fit, operation_counts, published
from harness.operations.setup import Setup
from harness.proxies.own import references
from harness.proxies.registry import registry
from harness.report.result import settings_mark
from harness.report.style import write_csv

RANDOM = 1_000
"""Random architectures among which others are ranked."""
SAVED = 20
"""Architectures after which scores are written."""
FOUND = "found"


@dataclass(frozen=True, eq=False)
class Compared:
    """Sizes, scores and operations of architectures of an open space."""

    candidates: Candidates
    proxies: tuple[str, ...]
    """Scores to rank by, besides parameters and FLOPs."""
    folder: Path
    """Where scores are kept, so that another search of the same settings has them."""

    @cached_property
    def random(self) -> pd.DataFrame:
        """`values` of the random ones."""
        return self.values(self.candidates.setup.benchmark.space.whole().archs[:RANDOM])

    def values(self, archs: Sequence[str]) -> pd.DataFrame:
        """Return a row for each architecture: arch, params, flops and the proxies; NaN for a score that failed."""
        space = self.candidates.setup.benchmark.space.over(archs)
        params, flops = self.candidates.sizes(space)
        frame = pd.DataFrame({"arch": list(archs), "params": params, "flops": flops})
        if self.proxies:
            frame = frame.join(scores(self.candidates.setup, archs, self.proxies, self.folder), on="arch")
        return frame

    def cells(self, group: str, names: Sequence[str], archs: Sequence[str]) -> pd.DataFrame:
        """Return `values` with `group` and `name` in front, then the rank by each among the random ones, 1 for the
        largest, and how often each operation stands in the cell."""
        own = self.values(archs)
        for name in own.columns[1:]:
            larger = (self.random[name].to_numpy() > own[name].to_numpy()[:, None]).sum(1)
            own[f"{name}_rank"] = np.where(own[name].notna(), 1 + larger, np.nan)
        space = self.candidates.space
        own[list(space.choices.operations)] = operation_counts(space, archs)
        own.insert(0, "group", group)
        own.insert(1, "name", list(names))
        return own

    def all(self, method: str, score: str, names: Sequence[str], archs: Sequence[str]) -> pd.DataFrame:
        """Return the cells found, those published for the search, and the control."""
        known, largest = published(self.candidates.setup.config.bench, method, score), self.candidates.largest()
        return pd.concat([
            self.cells(FOUND, names, archs),
            *(self.cells(_label(group), group.names, group.archs) for group in known),
            self.cells("control: most parameters", [""], [self.candidates.space.archs[largest]]),
        ], ignore_index=True)  # fmt: skip

    def groups(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Return a row for each group of cells, and one of all published ones: how many, mean size, median ranks,
        share of each operation, and p of the test that the cells found fit them (`published.fit`)."""
        operations = list(self.candidates.space.choices.operations)
        ranks = [name for name in cells if name.endswith("_rank")]
        ours = cells.loc[cells["group"] == FOUND, operations].to_numpy(int)
        rows = []
        for label, own in _grouped(cells):
            counts = own[operations].to_numpy(int)
            rows.append({
                "group": label, "cells": len(own), **own[["params", "flops"]].mean(), **own[ranks].median(),
                **dict(zip(operations, counts.sum(0) / counts.sum(), strict=True)),
                "p": fit(ours, counts) if label.startswith("published") else np.nan,
            })  # fmt: skip
        rows.append({"group": f"median of {len(self.random):,} random ones", "cells": len(self.random),
                     **self.random[["params", "flops"]].median()})  # fmt: skip
        return pd.DataFrame(rows)


def _label(group: Group) -> str:
    return f"published, {group.settings}"


def _grouped(cells: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield (label, cells) of each group, in order, the published ones together before the first of several."""
    labels = list(dict.fromkeys(cells["group"]))
    theirs = [label for label in labels if label.startswith("published")]
    for label in labels:
        if len(theirs) > 1 and label == theirs[0]:
            yield "published, all", cells[cells["group"].isin(theirs)]
        yield label, cells[cells["group"] == label]


def scores(setup: Setup, archs: Sequence[str], proxies: Sequence[str], folder: Path) -> pd.DataFrame:
    """Return scores of architectures, index arch, a column for each proxy; larger is better, NaN where it failed.

    They are kept in `folder`, in a file for each set of settings, and what it lacks is scored.
    """
    entries, network = [registry()[name] for name in proxies], setup.network
    images = setup.images.checksum if isinstance(setup.images, Images) else setup.images
    settings = {"bench": setup.config.bench, "network": network, "images": images, "side": setup.side,
                "batch_size": setup.config.batch_size}  # fmt: skip
    path = folder / f"scores-{settings_mark(settings)}.csv"
    known = pd.read_csv(path, index_col="arch") if path.exists() else pd.DataFrame(index=pd.Index([], name="arch"))
    there = known.reindex(index=list(dict.fromkeys(archs)), columns=list(proxies)).notna().all(axis=1)
    todo = list(there.index[~there])
    setting = Setting(
        setup.config.bench, references(entries), network, setup.side, setup.images, setup.benchmark.table.dataset,
        setup.config.batch_size, False, True, False, setup.device, archs=tuple(todo),
    )  # fmt: skip
    chunks = [Chunk(0, (at,), tuple(proxies)) for at in range(len(todo))]
    parts = execute(chunks, Scorer(setting, entries), [setup.device]) if todo else []
    rows = {}
    for part in tqdm(parts, total=len(todo), unit="network", desc="random networks", disable=quiet() or not todo):
        rows[todo[part.index[0]]] = dict(zip(part.proxies, part.scores[:, 0], strict=True))
        if len(rows) % SAVED == 0 or len(rows) == len(todo):
            new = pd.DataFrame.from_dict(rows, orient="index").rename_axis("arch")
            folder.mkdir(parents=True, exist_ok=True)
            write_csv(new.combine_first(known), path, index=True)
    found = pd.read_csv(path, index_col="arch") if todo else known
    return found.loc[there.index, list(proxies)]
