"""`python -m harness.evaluate`: judge scores that were computed elsewhere, as `python -m harness.run` judges its own.

The CSV has a column `arch` (official strings) or `index` (official indices), or both, and
    one column for each proxy, named as it is to be called;    or    columns `proxy` and `score`, a row for each score.
A column `seed`, if there is one, tells several scores of one architecture apart. Larger is better. A cell that is
empty, nan or inf is a failure and is counted. params, flops, layers and random are added to compare with.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import known
from harness.command import Parser, carry_out

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from benchmarks import Benchmark
    from harness.api import Correlation
    from harness.assemble import Scores, Target
    from harness.given import Given
    from harness.store import StoredRun

OWN = "@given"
"""Ends the name of a column that is called like a baseline."""


def judge(
    scores: pd.DataFrame | str | Path,
    bench: str = "201",
    *,
    dataset: str | None = None,
    split: str = "test",
    epochs: int | None = None,
    reduction: str = "mean",
    data: str | None = None,
    out: str | Path | None = None,
    existing: str = "resume",
) -> Correlation:
    """Return the run and the statistics of scores computed elsewhere: a DataFrame, or the path of a CSV file.

    Columns: `arch` or `index`, and one for each proxy, or `proxy` and `score`; `seed` tells several scores of one
    architecture apart. Larger is better; empty, nan or inf is a failure and is counted.
    `out` is the run folder that is written (default: a name of its own under results/); one that holds other scores is
    refused unless `existing="replace"`. Raises UserError, in one line, for whatever cannot be used.
    """  # fmt: skip
    from harness.api import Correlation
    from harness.ensembles import with_ensembles
    from harness.summary import summarise

    stored = with_ensembles(store_scores(
        scores, bench, dataset=dataset, split=split, epochs=epochs, reduction=reduction, data=data, out=out,
        existing=existing,
    ))  # fmt: skip
    return Correlation(stored, summarise(stored))


def store_scores(
    scores: pd.DataFrame | str | Path,
    bench: str,
    *,
    dataset: str | None,
    split: str,
    epochs: int | None,
    reduction: str,
    data: str | None,
    out: str | Path | None,
    existing: str,
    say=lambda line: None,
) -> StoredRun:
    """Check scores computed elsewhere and store them beside the target as a run; return it."""  # fmt: skip
    import benchmarks
    from harness.assemble import assemble, embedded_note, target_of, together
    from harness.given import arrange, read_csv
    from harness.proxies import BASELINES
    from harness.store import Store, load_run

    source = str(scores) if isinstance(scores, (str, Path)) else "the scores"
    _check_existing(existing)
    benchmark = benchmarks.load(bench, dataset, data)
    target, (rows, given) = together(
        lambda: target_of(benchmark, split, epochs, reduction),
        lambda: arrange(read_csv(scores) if isinstance(scores, (str, Path)) else scores, benchmark, source),
    )
    given = {name + OWN * (name in BASELINES): values for name, values in given.items()}
    manifest = _manifest(benchmark, target, rows, given, source)
    mark = manifest["settings"]["scores"][:8]
    folder = Path(out) if out else Path("results") / f"{bench}-{target.dataset}-{_stem(source)}-{mark}"
    store = Store(folder, manifest, len(benchmark.space), existing=existing)
    if benchmark.embedded:
        say(embedded_note(benchmark))
    count = f"{len(rows):,} architectures x {len(given)} prox{'ies' if len(given) > 1 else 'y'}"
    say(f"{benchmark.space.title}, {target.dataset}: {count} from {source} -> {folder}")
    sizes = {**benchmark.network, "classes": benchmark.network["classes"] or 10}
    network = {name: int(size) for name, size in sizes.items() if size is not None}
    side = benchmark.resolution or 32
    whole = _with_baselines(benchmark, rows, given, network, side)
    store.merge(assemble(benchmark, rows, target, whole, manifest, folder, network, side))
    return load_run(folder)


def _check_existing(existing: str) -> None:
    from benchmarks.errors import suggest
    from harness.config import CHOICES

    if existing not in CHOICES["existing"]:
        raise suggest([existing], CHOICES["existing"], "value of --existing")


def _manifest(benchmark: Benchmark, target: Target, rows: np.ndarray, given: Given, source: str) -> dict:
    """Return the manifest of scores computed elsewhere; two with the same settings hold the same scores."""
    from dataclasses import asdict

    from harness.assemble import provenance
    from harness.proxies import BASELINES, choose

    digest = hashlib.sha256(rows.tobytes())
    for name in sorted(given):
        digest.update(name.encode() + given[name][0].tobytes())
    settings = {
        "bench": benchmark.space.name, **asdict(target), "table": benchmark.table.checksum,
        "scores": digest.hexdigest(), "sample": len(rows), "seeds": _seeds(given), "share": False,
        "proxies": [*BASELINES, *given],
    }  # fmt: skip
    baselines = choose(",".join(BASELINES))
    facts = provenance(benchmark, target, baselines)
    return {**facts, "settings": settings, "scores_source": source, "device": "elsewhere"}


def _seeds(given: Given) -> int:
    return max(len(values) for values, _ in given.values())


def _with_baselines(
    benchmark: Benchmark, rows: np.ndarray, given: Given, network: dict[str, int], resolution: int
) -> Scores:
    """Put the baselines before the given scores, and say why some of these are not finite."""
    import numpy as np

    from harness.assemble import Scores, static_scores
    from harness.proxies import BASELINES, choose

    archs = [benchmark.table.archs[row] for row in rows]
    scores = static_scores(
        choose(",".join(BASELINES)), benchmark, benchmark.indices[rows], _seeds(given), network, resolution
    )
    scores |= {name: values for name, (values, _) in given.items()}
    failures = [
        (name, int(seed), archs[at], str(reasons[seed, at]))
        for name, (values, reasons) in given.items()
        for seed, at in np.argwhere(~np.isfinite(values))
    ]
    return Scores(scores, {name: np.full_like(values, np.nan) for name, values in scores.items()}, failures)


def _stem(source: str) -> str:
    """Return a file's name as a part of a folder's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(source).stem) or "scores"


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="python -m harness.evaluate", description=(__doc__ or "").split("\n\n")[0])
    add = line.add_argument
    add("scores", help="CSV with a column arch or index and one for each proxy, or columns arch, proxy, score")
    add("--bench", required=True, help=f"benchmark: {', '.join(known())}")
    add("--dataset", help="dataset of the ground truth (default: the first there is, otherwise the embedded digits)")
    add("--split", default="test", help="accuracy to predict: test (default), valid, train")
    add("--epochs", type=int, help="training budget of that accuracy (default: the largest)")
    add("--reduction", default="mean", help="over the accuracy's seeds: mean (default), max, or a seed label")
    add("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    add("--existing", default="resume", help="if --out holds other scores: resume (default: an error), replace, refuse")
    add("--out", help="run folder (default: a name of its own under results/)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Evaluate; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = vars(parser().parse_args(argv))

    def action() -> None:
        from harness.ensembles import with_ensembles
        from harness.report import print_summary, write_report
        from harness.summary import summarise

        scores, bench = given.pop("scores"), given.pop("bench")
        stored = with_ensembles(store_scores(scores, bench, say=lambda line: print(line, file=sys.stderr), **given))
        summary = summarise(stored)
        paths = write_report(stored, summary)
        print_summary(stored, summary)
        print(f"report: {paths.get('html', stored.path)}")

    return carry_out("harness.evaluate", action, "stopped: repeat the command")


if __name__ == "__main__":
    sys.exit(main())
