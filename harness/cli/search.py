"""`python -m harness.search`: simulate searches on a table and compare what they find and what they pay.

Scores come from a run, a CSV file, or are counts (params, flops, layers) by default. Methods that search a supernet,
untrained (zero-cost-pt, ...) or trained (ostr-darts, ...), are those of `harness.operations.search`.
"""

import sys

from benchmarks.benchmark import BENCHMARKS
from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_options, add_out, back, check_existing, hidden, keep_config
from harness.cli.supernet_search import main as search_supernets
from harness.operations.search.methods import METHODS as OVER_A_SUPERNET
from harness.operations.search.methods import asked
from harness.search.config import SearchConfig
from harness.search.methods import METHODS, OPTIONS

SUPERNETS = (
    f"{', '.join(OVER_A_SUPERNET)} search a supernet instead of a table, with --score, --order, --proposals,"
    " --validations, --seeds, --first-seed, --batch-size, --inputs, --augment and --device: --method NAME --help."
)


RENAMED = {"runs": "searches"}
SETTINGS = {"population": "evolution_population", "scale": "hnas_scale", "proposals": "mutations"}
"""Setting of a method -> its option, where its own name means something else in other commands."""


def parser() -> Line:
    """Return the command line: an option for each field of SearchConfig and for each setting of the methods."""
    line = Line("search", (__doc__ or "").split("\n\n")[0].split(": ", 1)[1], epilog=SUPERNETS)
    line.option("--bench", required=True, help=f"benchmark: {', '.join(BENCHMARKS)}")
    slow = ", ".join(name for name, method in METHODS.items() if method.slow)
    names = "; ".join(f"{name}: {method.meaning}" for name, method in METHODS.items())
    metrics = {name: ", ".join(method.metrics) for name, method in METHODS.items() if method.metrics}
    of = "; ".join(f"metrics of {name}, by commas: {valid} (default: the first)" for name, valid in metrics.items())
    over = f"or one of {', '.join(OVER_A_SUPERNET)} (--method NAME --help)"
    add_options(line, SearchConfig, said={
        "method": f"all (default; without {slow}) or names separated by commas. {names}; {over}", "metric": of,
    }, renamed=RENAMED)  # fmt: skip
    for name, setting in OPTIONS.items():
        dest, kind = SETTINGS.get(name, name), type(setting.default)
        about = f"{setting.meaning} (default {setting.default})"
        line.option(f"--{dest.replace('_', '-')}", dest=dest, type=kind, help=about)
        if dest != name:
            hidden(line, name, dest, kind)
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Search; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = sys.argv[1:] if argv is None else argv
    if asked(words):
        return search_supernets(words)
    options = parser().arguments(words)
    config_file = dict(options)
    options = back(back(options, RENAMED), SETTINGS)
    out, _ = options.pop("out"), options.pop("existing")
    settings = {name: value for name in OPTIONS if (value := options.pop(name)) is not None}

    def action() -> None:
        from harness.search.report import folder_for, print_searches, write_searches
        from harness.search.simulate import search

        config = SearchConfig(**options, settings=settings)
        folder = folder_for(config, out)
        check_existing(folder, "search", config_file)
        searches = search(config, say=say)
        print_searches(searches)
        write_searches(searches, folder)
        keep_config(folder, "search", config_file)
        print(f"written to {folder}")

    return carry_out("nas-harness search", action, "stopped; nothing was written: repeat the command")
