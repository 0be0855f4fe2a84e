"""The catalogue of proxies for people: what each is, how it looks at a network, and what was measured of it.

Everything comes from the proxies' docstrings and decorators. `python -m harness.proxies --markdown` writes
docs/proxies.md from it.
"""

import csv
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import suggest
from harness.analysis import ensembles
from harness.proxies.ensembles import ENSEMBLES
from harness.proxies.protocols import described
from harness.proxies.registry import COSTS, registry
from harness.report.style import DASH, cell, count, duration, interval, markdown_table, number

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "proxies.md"
MEASURED = ("201-cifar10-all", "201-cifar10")
"""Folders of results/tables with measured numbers; the first there is."""
NEAREST = 2
INTRODUCTION = """# Proxies

Made by `python -m harness.proxies --markdown` from the docstrings; `python -m harness.proxies NAME` prints one. Larger
is better, for all of them. The usual view is one real minibatch, PyTorch's initialisation, BatchNorm with the
statistics of the minibatch, float32. A name with @ is the same idea as another code base computes it. Fitted: the proxy
or constants in it were tuned on accuracies. An ensemble's score depends on the architectures ranked together.
"""
MEASUREMENT = """## Measured

On NAS-Bench-201 and CIFAR-10, over all architectures of [this run]({folder}): rank correlation with the test accuracy
and 95 % intervals, seconds for one architecture on a CPU (passes that proxies share counted for each), and the scores
with the most similar ranking, with Spearman's rho between them.
"""


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of one proxy or ensemble."""

    name: str
    summary: str
    cost: str
    """A key of harness.proxies.registry.COSTS; empty for an ensemble."""
    labels: bool
    fitted: bool
    paper: str
    view: str
    """How it sees a network, where that is not the usual way."""
    home: str
    """Its file, without .py."""
    text: str
    """Docstring of the file: formula, direction, source, departures."""
    own_text: str
    """Docstring of the function."""


def entries() -> list[Entry]:
    """Return all built-in proxies by name, then the ensembles."""
    found = []
    for name, proxy in sorted(registry().items()):
        module = sys.modules[proxy.score.__module__]
        if module.__name__.startswith("harness."):
            view = "counts of the architecture, no network" if proxy.static else described(proxy.view)
            found.append(Entry(
                name, proxy.summary, proxy.cost, proxy.labels, proxy.fitted, proxy.paper, view,
                module.__name__.rpartition(".")[2], (module.__doc__ or "").strip(),
                inspect.cleandoc(proxy.score.__doc__ or ""),
            ))  # fmt: skip
    known = {entry.name: entry for entry in found}
    for name, each in ENSEMBLES.items():
        members = [known[member] for member in each.members]
        found.append(Entry(
            name, each.summary, "", any(m.labels for m in members),
            any(m.fitted for m in members), each.paper, "scores of the architectures ranked together", "ensembles",
            (ensembles.__doc__ or "").strip(), "",
        ))  # fmt: skip
    return found


def listing(found: Sequence[Entry]) -> str:
    """Return one line for each entry: name, cost, labels, what it is."""
    wide = max(len(entry.name) for entry in found)
    lines = [f"{'name':{wide}}  cost  labels  description and source"]
    for entry in found:
        mark = " (fitted to accuracies)" if entry.fitted else ""
        paper = f" [{entry.paper}]" if entry.paper else ""
        cost, labels = entry.cost or "", "yes" if entry.labels else ""
        lines.append(f"{entry.name:{wide}}  {cost:4}  {labels:6}  {entry.summary}{mark}{paper}")
    costs = "; ".join(f"{key} {meaning}" for key, meaning in COSTS.items())
    return "\n".join([
        *lines, "", f"Larger is better, for all of them. Cost: {costs}.",
        "python -m harness.proxies NAME prints the formula, the view, the source and the departures from it.",
    ])  # fmt: skip


def details(found: Sequence[Entry], names: Sequence[str]) -> str:
    """Return all that is known of some entries; UserError names all that are unknown at once."""
    known = {entry.name: entry for entry in found}
    if unknown := [name for name in names if name not in known]:
        raise suggest(unknown, known, "proxy")
    parts = []
    for entry in (known[name] for name in dict.fromkeys(names)):
        facts = [*_facts(entry), "larger is better"]
        home = f"harness/{'analysis' if entry.home == 'ensembles' else 'proxies'}/{entry.home}.py"
        parts.append("\n".join([
            entry.name, "=" * len(entry.name), entry.own_text or entry.summary, "", "; ".join(facts), "", f"{home}:",
            entry.text,
        ]))  # fmt: skip
    return "\n\n".join(parts)


def _facts(entry: Entry) -> list[str]:
    facts = [f"view: {entry.view}"]
    facts += [f"cost: {COSTS[entry.cost]}"] if entry.cost else []
    facts += ["uses labels" if entry.labels else "no labels"]
    facts += ["fitted to accuracies"] if entry.fitted else []
    return facts + ([entry.paper] if entry.paper else [])


def markdown(found: Sequence[Entry], tables: Path = ROOT / "results" / "tables") -> str:
    """Return docs/proxies.md; measured numbers are read from `tables`."""
    rows = [
        (entry.name, entry.summary, entry.view, entry.cost, "yes" if entry.labels else "no",
         "yes" if entry.fitted else "", entry.paper)
        for entry in found
    ]  # fmt: skip
    heads = ("name", "what it is", "view", "cost", "labels", "fitted", "paper")
    lines = [INTRODUCTION, *markdown_table(heads, rows, ())]
    lines += ["", "Cost: " + "; ".join(f"{key}, {meaning}" for key, meaning in COSTS.items()) + ".", ""]
    lines += _measured(found, tables)
    for home in sorted({entry.home for entry in found}):
        here = [entry for entry in found if entry.home == home]
        lines += [f"## {home}", "", "```text", here[0].text, "```", ""]
        lines += [f"- `{entry.name}`: {cell(entry.own_text or entry.summary)}" for entry in here] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _measured(found: Sequence[Entry], tables: Path) -> list[str]:
    """Return the section of measured numbers; none where there is no folder with any."""
    folder = next((tables / name for name in MEASURED if (tables / name / "summary.csv").is_file()), None)
    if folder is None:
        return []
    rows = {row["proxy"]: row for row in _read(folder / "summary.csv") if row["population"] == "all"}
    alike: dict[str, list[tuple[float, str]]] = {}
    for pair in _read(folder / "agreement.csv"):
        if pair["population"] == "all" and pair["proxy"] != pair["other"] and pair["rho"]:
            alike.setdefault(pair["proxy"], []).append((float(pair["rho"]), pair["other"]))
    names = sorted((e.name for e in found if e.name in rows), key=lambda name: -_number(rows[name]["rho"], -2.0))
    lines = [_measured_row(rows[name], sorted(alike.get(name, []), reverse=True)[:NEAREST]) for name in names]
    heads = ("name", "tau-b", "rho", "n", "failed", "s/arch", "nearest")
    introduction = MEASUREMENT.format(folder=f"../results/tables/{folder.name}")
    return [introduction, *markdown_table(heads, lines, range(1, 6)), ""]


def _measured_row(row: dict[str, str], nearest: Sequence[tuple[float, str]]) -> list[str]:
    """Return the cells of one proxy; `nearest` are (rho, name) of the scores most like it."""
    both = [
        f"{number(_number(row[s]))} {interval(_number(row[f'{s}_low']), _number(row[f'{s}_high']))}".strip()
        for s in ("tau_b", "rho")
    ]
    rest = [count(_number(row["n"])), count(_number(row["failed"])), duration(_number(row["seconds"]))]
    return [row["proxy"], *both, *rest, ", ".join(f"{name} {number(rho, 2)}" for rho, name in nearest) or DASH]


def _number(text: str, missing: float = float("nan")) -> float:
    return float(text) if text else missing


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(page: Path = PAGE) -> Path:
    """Write the page; return its path."""
    page.write_text(markdown(entries()), "utf-8")
    return page
