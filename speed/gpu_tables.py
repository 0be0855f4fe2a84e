"""The summary of `speed.gpu` as Markdown, from the files of its stages."""

import json
from typing import Any

from speed.floor_tables import tables
from speed.gpu_job import AIM, STAGES, Job


def summary(job: Job) -> str:
    """Return the results of all stages so far; stages that are missing or were cut off are marked."""
    facts = json.loads((job.out / "job.json").read_text())
    lines = ["# NAS-Bench-201 with the classic ten proxies on one device", ""]
    lines += [", ".join(f"{key} {value}" for key, value in facts["machine"].items()), ""]
    size = job.setting
    lines += [f"Networks {size.network}, batch {size.batch_size}, {size.resolution} pixels, float32.", ""]
    for name in STAGES:
        path = job.out / f"{name}.json"
        if not path.exists():
            lines += [f"{name}: not measured", ""]
            continue
        stage = json.loads(path.read_text())
        state = "" if stage["done"] else f" (not complete: {stage['why'] or 'stopped'})"
        lines += [f"## {name}, {stage['seconds']:.0f} s{state}", ""]
        lines += [*WRITERS[name](job, stage["result"], facts), ""] if stage["result"] else []
    return "\n".join(lines)


def _ceilings(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    return [
        f"Matrix product {found['matmul'] / 1e12:.2f} TFLOP/s, convolution {found['convolution'] / 1e12:.2f} TFLOP/s,"
        f" triad {found['triad'] / 1e9:.0f} GB/s."
    ]


def _stacks(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    lines = ["| K | architectures | a second | ms each | peak GiB |", "|---|---:|---:|---:|---:|"]
    for size, row in found.items():
        if "rate" in row:
            peak = f"{row['peak_gib']:.2f}" if row["peak_gib"] is not None else ""
            halved = f" (halved {row['halved']} times: out of memory)" if row["halved"] else ""
            lines.append(f"| {size}{halved} | {row['archs']} | {row['rate']:.2f} | {1e3 / row['rate']:.1f} | {peak} |")
        elif "failed" in row:
            lines.append(f"| {size} | {row['failed'][:80]} | | | |")
    rates = job.rates()
    if "auto" in found and rates:
        chosen = found["auto"]["stack"]
        lines += ["", f"{found['auto']['why']}."]
        if chosen in rates:
            share = rates[chosen] / max(rates.values())
            lines.append(f"auto took {chosen}: {100 * share:.0f} % of the fastest of the sizes timed here.")
    return lines


def _alone(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    each = ", ".join(f"{name} {ms:.0f}" for name, ms in found["ms"].items())
    lines = [f"{found['archs']} architectures, {found['rate']:.3f} a second. ms: {each}."]
    if rates := job.rates():
        best = job.fastest()
        ratio = rates[best] / found["rate"]
        lines.append(
            f"**K = {best} is {ratio:.1f} times as fast as one network and one proxy at a time"
            f" (aim {AIM:g}: {'reached' if ratio >= AIM else 'not reached'})**; K = 1 with shared passes"
            f" {rates.get(1, float('nan')) / found['rate']:.1f} times."
        )
    return lines


def _agreement(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    names = list(next(iter(found.values())))
    lines = ["Largest relative difference; bold above 1e-4.", ""]
    lines += ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for what, by_proxy in found.items():
        cells = [_cell(by_proxy[name]) for name in names]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return lines


def _cell(value: float | None) -> str:
    if value is None:
        return "**failed on one side**"
    return f"**{value:.1e}**" if value > 1e-4 else f"{value:.1e}"


def _full(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    lines = [f"K = {found.get('stack')}, wall time {found.get('wall_seconds', 0):.0f} s."]
    if "scoring_seconds" in found:
        lines.append(f"{found['archs']:,} architectures, {found['scoring_seconds']:.0f} s of them scoring.")
    elif "archs" in found:
        lines.append(f"{found['archs']:,} networks scored so far.")
    lines += [found["note"]] if "note" in found else []
    if table := found.get("table"):
        columns = list(table[0])
        lines += ["", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        for row in table:
            cells = [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _floor(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    whole = {"machine": facts["machine"], "ceilings": job.done("ceilings"), "floors": found.get("floors", [])}
    return ["```", tables(whole).strip(), "```"]


def _precision(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    lines = ["Spearman's rho with the scores of float32.", ""]
    names = list(next((row["rho"] for row in found.values() if "rho" in row), {}))
    lines += ["| mode | a second | " + " | ".join(names) + " |", "|---|---:|" + "---:|" * len(names)]
    for mode, row in found.items():
        if "skipped" in row:
            lines.append(f"| {mode} | {row['skipped']} |" + " |" * len(names))
        else:
            rho = " | ".join(f"{row['rho'][name]:.4f}" for name in names)
            lines.append(f"| {mode} | {row['rate']:.2f} | {rho} |")
    return lines


def _profile(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    tables = [table for key, table in found.items() if key.startswith("self_")]
    return [f"One stack of {found['stack']}, {found['seconds']:.2f} s under the profiler.", "", "```", *tables, "```"]


def _views(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    lines = [
        "| proxies of one view | K | ms a network | repeats | minutes for 9,445 | peak GiB |",
        "|---|" + "---:|" * 5,
    ]
    for names, row in found.items():
        peak = "" if row["peak_gib"] is None else f"{row['peak_gib']:.2f}"
        numbers = f"{row['stack']} | {row['ms']:.1f} | {row['repeats']} | {row['minutes']:.1f} | {peak}"
        lines.append(f"| {names.replace(',', ', ')} | {numbers} |")
    return lines


def _pieces(job: Job, found: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    return ["| piece | ms |", "|---|---:|", *(f"| {row['what']} | {row['ms']:.3f} |" for row in found["rows"])]


WRITERS = {
    "ceilings": _ceilings, "stacks": _stacks, "alone": _alone, "agreement": _agreement, "full": _full, "floor": _floor,
    "precision": _precision, "profile": _profile, "views": _views, "pieces": _pieces,
}  # fmt: skip
