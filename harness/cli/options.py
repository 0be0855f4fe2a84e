"""What commands share: options made from the fields of a settings dataclass, and the report of a run at the end."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from benchmarks.errors import UserError, suggest

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun


def add_options(
    line: argparse.ArgumentParser, settings: type, *, only: Collection[str] | None = None,
    without: Collection[str] = (), said: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Add an option for each field of `settings` that `benchmarks.options.option` declared, in their order.

    `only` and `without` choose among the fields. `said` has help texts that are known at the command line alone. A bool
    that is True by default becomes `--no-name`. A default is named at the end of the help where the text does not.
    """
    kinds = get_type_hints(settings)
    for each in fields(settings):
        if "help" not in each.metadata or each.name in without or (only is not None and each.name not in only):
            continue
        name, about = each.name.replace("_", "-"), (said or {}).get(each.name, each.metadata["help"])
        if kinds[each.name] is bool:
            flag = f"--no-{name}" if each.default else f"--{name}"
            line.add_argument(flag, dest=each.name, action=f"store_{str(not each.default).lower()}", help=about)
            continue
        facts: dict[str, Any] = {"required": True} if each.default is MISSING else {"default": each.default}
        if each.default not in (MISSING, None, "") and "default" not in about:
            about += f" (default {each.default})"
        if each.metadata["choices"]:
            facts["metavar"] = name.replace("-", "_").upper()
        line.add_argument(
            f"--{name}", *each.metadata["also"], dest=each.name, type=_kind(kinds[each.name]),
            help=about.replace("%", "%%"), **facts,
        )  # fmt: skip


def _kind(hint: Any) -> type:
    """Return what turns a word into a value: of a union the one type that is not None, str where there are several."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else str


def show(run: StoredRun) -> None:
    """Print the table of a run, write its report and print where the page is."""
    from harness.analysis.ensembles import with_ensembles
    from harness.analysis.summary import summarise
    from harness.report.page import write_report
    from harness.report.text import print_summary

    whole = with_ensembles(run)
    summary = summarise(whole)
    print_summary(whole, summary)
    paths = write_report(whole, summary)
    print(f"report: {paths.get('html', whole.path)}")


def show_stored(runs: Sequence[Path], out: Path | None, population: str, **settings: Any) -> None:
    """Write and print the report of the first stored run, and the comparison where there are others.

    population: the one printed, or "each"; settings: those of `summarise`. Raises UserError for all runs that cannot be
    read at once.
    """
    from harness.analysis.ensembles import with_ensembles
    from harness.analysis.populations import POPULATIONS
    from harness.analysis.summary import summarise
    from harness.report.compare import print_comparison, write_comparison
    from harness.report.page import write_report
    from harness.report.text import print_summary
    from harness.store.stored_run import load_run

    if population not in (*POPULATIONS, "each"):
        raise suggest([population], [*POPULATIONS, "each"], "population")
    shown = tuple(POPULATIONS) if population == "each" else (population,)
    loaded, problems = [], []
    for path in runs:
        try:
            loaded.append(with_ensembles(load_run(path)))
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(problems))
    summaries = [summarise(run, **settings) for run in loaded]
    print_summary(loaded[0], summaries[0], populations=shown)
    paths = write_report(loaded[0], summaries[0], out)
    if len(loaded) > 1:
        print_comparison(loaded, summaries, population=shown[0])
        write_comparison(loaded, summaries, out or loaded[0].path, population=shown[0])
    print(f"report: {paths['html']}")
