"""`python -m harness.search`: simulate searches on a table and compare what they find and what they pay.

Scores come from a run, a CSV file, or are counts (params, flops, layers) by default. Methods that search a supernet,
untrained (zero-cost-pt, ...) or trained (ostr-darts, ...), are those of `harness.operations.search`.
"""

import sys

from benchmarks.benchmark import BENCHMARKS
from benchmarks.errors import Parser, carry_out
from harness.cli.options import add_options
from harness.cli.supernet_search import main as search_supernets
from harness.operations.search.methods import METHODS as OVER_A_SUPERNET
from harness.operations.search.methods import asked
from harness.search.config import SearchConfig
from harness.search.methods import METHODS, OPTIONS

SUPERNETS = (
    f"{', '.join(OVER_A_SUPERNET)} search a supernet instead of a table, with --score, --order, --proposals,"
    " --validations, --seeds, --first-seed, --batch-size, --inputs, --augment and --device: --method NAME --help."
)


def parser() -> Parser:
    """Return the command line: an option for each field of SearchConfig and for each setting of the methods."""
    line = Parser(prog="python -m harness.search", description=(__doc__ or "").split("\n\n")[0], epilog=SUPERNETS)
    line.add_argument("--bench", required=True, help=f"benchmark: {', '.join(BENCHMARKS)}")
    slow = ", ".join(name for name, method in METHODS.items() if method.slow)
    names = "; ".join(f"{name}: {method.meaning}" for name, method in METHODS.items())
    metrics = {name: ", ".join(method.metrics) for name, method in METHODS.items() if method.metrics}
    of = "; ".join(f"metrics of {name}, by commas: {valid} (default: the first)" for name, valid in metrics.items())
    over = f"or one of {', '.join(OVER_A_SUPERNET)} (--method NAME --help)"
    add_options(line, SearchConfig, said={
        "method": f"all (default; without {slow}) or names separated by commas. {names}; {over}", "metric": of,
    })  # fmt: skip
    for name, setting in OPTIONS.items():
        about = f"{setting.meaning} (default {setting.default})"
        line.add_argument(f"--{name}", type=type(setting.default), help=about)
    line.add_argument("--out", help="folder to write to (default: a name of its own under results/)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Search; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = sys.argv[1:] if argv is None else argv
    if asked(words):
        return search_supernets(words)
    options = vars(parser().parse_args(words))
    out = options.pop("out")
    settings = {name: value for name in OPTIONS if (value := options.pop(name)) is not None}

    def action() -> None:
        from harness.search.report import folder_for, print_searches, write_searches
        from harness.search.simulate import search

        config = SearchConfig(**options, settings=settings)
        folder = folder_for(config, out)
        searches = search(config, say=lambda line: print(line, file=sys.stderr))
        print_searches(searches)
        print(f"written to {write_searches(searches, folder)}")

    return carry_out("harness.search", action, "stopped; nothing was written: repeat the command")
