"""`python -m harness.search`: simulate searches on a table and compare what they find and what they pay.

Methods: random, local, evolution; with a proxy: guided-random, warmup-evolution, guided-evolution; with several:
successive, vote; with a metric and a condition number: hnas. Scores come from a run, a CSV file, or are counts (params,
flops, layers) where none are named.
Those that search a supernet, untrained (zero-cost-pt, ...) or trained (ostr-darts, ...), are `harness.operations.search.run`.
"""

from __future__ import annotations

import sys

from benchmarks.registry import BENCHMARKS
from harness.cli.parser import Parser, carry_out
from harness.operations.search.methods import METHODS as OVER_A_SUPERNET
from harness.operations.search.methods import asked
from harness.search.hnas import METRICS
from harness.search.methods import METHODS, OPTIONS

SUPERNETS = (
    f"{', '.join(OVER_A_SUPERNET)} search a supernet instead of a table, with --score, --order, --proposals,"
    " --validations, --seeds, --first-seed, --batch-size, --inputs, --augment and --device: --method NAME --help."
)


def parser() -> Parser:
    """Return the command line; its names are the fields of SearchConfig, and settings of methods."""
    line = Parser(prog="python -m harness.search", description=(__doc__ or "").split("\n\n")[0], epilog=SUPERNETS)
    add = line.add_argument
    add("--bench", required=True, help=f"benchmark: {', '.join(BENCHMARKS)}")
    names = f"{', '.join(METHODS)}; or one of {', '.join(OVER_A_SUPERNET)} (--method NAME --help)"
    add("--method", default="all", help=f"all (default; without hnas) or names separated by commas: {names}")
    add("--dataset", help="dataset of the ground truth (default: the first there is, otherwise the embedded digits)")
    add("--split", default="test", help="accuracy by which results are judged: test (default), valid, train")
    add("--epochs", type=int, help="training budget of that accuracy (default: the largest)")
    add("--reduction", default="mean", help="over the accuracy's seeds: mean (default), max, or a seed label")
    add("--query-dataset", help="dataset that answers queries (default: the same)")
    add("--query-split", help="accuracy that answers queries (default: valid where there is any, otherwise test)")
    add("--query-epochs", type=int, help="its training budget (default: 12 where there is one, otherwise the largest)")
    add("--query-reduction", default="mean", help="over its seeds: mean (default), max, or a seed label")
    add("--query-seconds", type=float, help="seconds of a training where the table does not know (default: none)")
    add("--scores", help="folder of a run, or a CSV of scores: searches are among the architectures scored there")
    add("--proxies", help="guides (default: synflow,jacob_cov,snip where scored, otherwise params,flops,layers)")
    add("--metric", help=f"metrics of hnas: grad_norm (default), or some of {', '.join(METRICS)}, by commas")
    add("--queries", type=int, default=100, help="trainings a search may ask for (default 100)")
    add("--runs", type=int, default=500, help="simulated searches of each method (default 500)")
    add("--seed", type=int, default=0, help="of the random numbers (default 0)")
    add("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    for name, meaning in OPTIONS.items():
        default = next(method.settings[name] for method in METHODS.values() if name in method.settings)
        add(f"--{name}", type=type(default), help=f"{meaning} (default {default})")
    add("--out", help="folder to write to (default: a name of its own under results/)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Search; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = sys.argv[1:] if argv is None else argv
    if asked(words):
        from harness.cli.supernet_search import main as find

        return find(words)
    given = vars(parser().parse_args(words))
    out = given.pop("out")
    settings = {name: value for name in OPTIONS if (value := given.pop(name)) is not None}

    def action() -> None:
        from harness.search.config import SearchConfig
        from harness.search.report import folder_for, print_searches, write_searches
        from harness.search.simulate import search

        config = SearchConfig(**given, settings=settings)
        folder = folder_for(config, out)
        searches = search(config, say=lambda line: print(line, file=sys.stderr))
        print_searches(searches)
        print(f"written to {write_searches(searches, folder)}")

    return carry_out("harness.search", action, "stopped; nothing was written: repeat the command")
