"""`python -m speed.speed`: shared passes against one proxy at a time on full-size NAS-Bench-201 networks.

In one process, the sides take turns for each architecture, so that noise of the machine affects all of them:

- shared: `harness.engine.scoring.score_stack` with all proxies of the set, from building the network to the scores;
- alone: `speed.one_by_one`, a fresh copy of the network and own passes for each proxy, as other code does it; the
  network is built once;
- passes: every distinct pass in plain PyTorch, no hooks.

The ratio allowed is what perfect sharing would give if formulas were free: the passes that the proxies need one at a
time over the distinct passes. Networks have C = 16, N = 5; inputs are Gaussian noise, so no data is needed.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.errors import UserError, suggest
from speed.command import CommandLine, say, write_json
from speed.environment import described, machine
from speed.one_by_one import LOOSE, TOLERANCE
from speed.passes import CLOCKS, measure

NINE = ("plain", "grad_norm", "snip", "fisher", "synflow", "jacob_cov", "naswot", "l2_norm", "epe_nas")
SETS = {"nine": NINE, "ten": (*NINE, "grasp")}
NEEDS = {  # passes of each proxy when it is computed alone, as in speed.one_by_one
    **{name: {"forward": 1, "loss backward": 1} for name in ("plain", "grad_norm", "snip", "fisher")},
    **{name: {"forward": 1, "full backward": 1} for name in ("jacob_cov", "epe_nas")},
    "naswot": {"forward": 2, "full backward": 1},
    "naswot_forward": {"forward": 1},
    "synflow": {"synflow": 1},
    "l2_norm": {},
    "grasp": {"forward": 2, "loss backward": 1, "graph backward": 1, "double backward": 1},
}


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("speed", __doc__)
    line.count("--archs", "connected architectures; 20 for the record", 8)
    line.count("--batch-size", "samples in the minibatch", 64)
    line.count("--threads", "threads of PyTorch", 1)
    line.count("--repeats", "times that everything is done for each", 1)
    line.add_argument("--proxies", default="nine,ten", help="nine, ten, both sets (default), or names of proxies")
    line.count("--channels", "channels of the first stage", 16)
    line.count("--cells", "cells in a stage", 5)
    line.count("--resolution", "height and width of the inputs", 32)
    line.add_argument("--seed", type=int, default=0, help="of the sample, the weights and the noise (default 0)")
    line.out("results/speed.json")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code: 1 where the two sides disagree on a score."""
    return parser().run(argv, _run)


def _run(given: argparse.Namespace) -> bool:
    sets = chosen_sets(given.proxies)
    measured = measure(
        sets, archs=given.archs, batch_size=given.batch_size, threads=given.threads, repeats=given.repeats,
        network={"channels": given.channels, "cells_per_stage": given.cells}, resolution=given.resolution,
        seed=given.seed, say=say,
    )  # fmt: skip
    facts = machine(given.threads)
    result: dict[str, Any] = {"options": vars(given), "machine": facts, "sets": {}, "measured": measured}
    for name, proxies in sets.items():
        result["sets"][name] = {clock: ratios(measured, name, proxies, clock) for clock in CLOCKS}
    print(report(result, sets, "cpu" if given.threads == 1 else "wall"))
    write_json(given.out, result)
    print(f"written: {given.out}")
    return any(one["disagree"] for one in measured)


def chosen_sets(text: str) -> dict[str, tuple[str, ...]]:
    """Return {name of the set: its proxies}; a list of proxies is the set "own". UserError lists unknown names."""
    words = [word for word in text.split(",") if word]
    if unknown := [word for word in words if word not in SETS and word not in NEEDS]:
        raise suggest(unknown, [*SETS, *(name for name in NEEDS if name != "naswot_forward")], "proxy")
    if not words:
        raise UserError("--proxies is empty: expected nine, ten or names of proxies")
    own = tuple(word for word in words if word not in SETS)
    return {**{word: SETS[word] for word in words if word in SETS}, **({"own": own} if own else {})}


def one_at_a_time(passes: dict[str, float], proxies: tuple[str, ...]) -> float:
    """Return the seconds of the passes that the proxies need if none is shared."""
    return sum(count * passes[name] for proxy in proxies for name, count in NEEDS[proxy].items())


def distinct(passes: dict[str, float], proxies: tuple[str, ...], kind: str) -> float:
    """Return the seconds of the distinct passes: "plain" PyTorch, or as "ours" runs them (layout, Hessian form)."""
    needed = {name for proxy in proxies for name in NEEDS[proxy]}
    layout = ", channels last" if kind == "ours" else ""
    total = passes["synflow"] if "synflow" in needed else 0.0
    total += passes["jacobian" + layout] if "full backward" in needed else 0.0
    if "grasp" in proxies:
        plain = passes["forward"] + passes["graph backward"] + passes["double backward"]
        return total + (passes["ours with curvature"] if kind == "ours" else plain)
    total += passes["forward" + layout] if "forward" in needed else 0.0
    return total + (passes["loss backward" + layout] if "loss backward" in needed else 0.0)


def ratios(measured: list[dict], name: str, proxies: tuple[str, ...], clock: str) -> dict:
    """Return reached and allowed ratios: of the sums over architectures, and for each architecture."""

    def sums(select: Callable[[dict], float]) -> tuple[float, list[float]]:
        values = [select(one[clock]) for one in measured]
        return sum(values), values

    alone, alone_each = sums(lambda one: one["building"] + sum(one["alone"][proxy] for proxy in proxies))
    shared, shared_each = sums(lambda one: one["shared"][name])
    result: dict[str, Any] = {"alone": alone, "shared": shared, "reached": alone / shared}
    result["reached_each"] = [a / s for a, s in zip(alone_each, shared_each, strict=True)]
    if "naswot" in proxies:
        lighter, _ = sums(lambda one: one["alone"]["naswot"] - one["alone"]["naswot_forward"])
        result["reached_naswot_forward"] = (alone - lighter) / shared
    whole, _ = sums(lambda one: one_at_a_time(one["passes"], proxies))
    for kind in ("plain", "ours"):
        result[f"distinct_{kind}"] = sum(distinct(one[clock]["passes"], proxies, kind) for one in measured)
        result[f"allowed_{kind}"] = whole / result[f"distinct_{kind}"]
    result["outside"] = sum(1 - one["inside"][name] for one in measured) / len(measured)
    wall = [one["wall"]["shared"][name] for one in measured]
    inside = sum(seconds * one["inside"][name] for seconds, one in zip(wall, measured, strict=True))
    result["outside_of_sum"] = 1 - inside / sum(wall)
    return result


def report(result: dict, sets: dict[str, tuple[str, ...]], clock: str) -> str:
    """Return the tables as text."""
    measured, options = result["measured"], result["options"]
    lines = ["", described(result["machine"]), ""]
    lines.append(f"{len(measured)} architectures, batch {options['batch_size']}, ms of {clock} time")
    head = "".join(f"{f'alone {name}':>12}{f'shared {name}':>12}{'ratio':>7}" for name in sets)
    lines.append(f"{'architecture':<92}{head}")
    for position, one in enumerate(measured):
        cells = ""
        for name, proxies in sets.items():
            whole = one[clock]["building"] + sum(one[clock]["alone"][proxy] for proxy in proxies)
            ratio = result["sets"][name][clock]["reached_each"][position]
            cells += f"{1e3 * whole:12.0f}{1e3 * one[clock]['shared'][name]:12.0f}{ratio:7.2f}"
        lines.append(f"{one['arch']:<92}{cells}")
    lines += ["", "one at a time, mean ms:", _means(measured, clock, "alone")]
    lines += ["", "single passes, mean ms:", _means(measured, clock, "passes"), ""]
    for name in sets:
        lines += _verdict(name, result["sets"][name], clock, len(measured))
    wrong = sorted({name for one in measured for name in one["disagree"]})
    lines.append(
        f"THE SIDES DISAGREE by more than {TOLERANCE}: {'; '.join(wrong)}"
        if wrong
        else f"both sides give the same scores within {TOLERANCE}, epe_nas within {LOOSE['epe_nas']} (relative)"
    )
    return "\n".join(lines)


def _means(measured: list[dict], clock: str, what: str) -> str:
    mean = {name: statistics.mean(one[clock][what][name] for one in measured) for name in measured[0][clock][what]}
    return "   ".join(f"{name} {1e3 * seconds:.0f}" for name, seconds in mean.items())


def _verdict(name: str, by_clock: dict[str, dict], clock: str, archs: int) -> list[str]:
    found, each = by_clock[clock], sorted(by_clock[clock]["reached_each"])
    other = next(key for key in by_clock if key != clock)
    before, after = 1e3 * found["alone"] / archs, 1e3 * found["shared"] / archs
    lines = [
        f"{name}: {found['reached']:.2f} times one at a time ({before:.0f} -> {after:.0f} ms); by architecture"
        f" median {statistics.median(each):.2f}, {each[0]:.2f} to {each[-1]:.2f};"
        f" by {other} time {by_clock[other]['reached']:.2f}"
    ]
    if "reached_naswot_forward" in found:
        lines.append(f"  {found['reached_naswot_forward']:.2f} if naswot alone is one forward, as NASLib runs it")
    for kind, what in (("plain", "the distinct passes"), ("ours", "the same, channels last, with our Hessian form,")):
        quotient = found["reached"] / found[f"allowed_{kind}"]
        lines.append(
            f"  {what} allow {found[f'allowed_{kind}']:.2f}: reached / allowed = {quotient:.2f}"
            f" ({'within' if quotient >= 0.8 else 'NOT within'} 20 %)"
        )
    over, outside, shares = (100 * x for x in (
        1 - found["distinct_ours"] / found["shared"], found["outside_of_sum"], found["outside"]
    ))  # fmt: skip
    lines.append(
        f"  of the shared time {over:.1f} % is not bare passes: {outside:.1f} % outside the passes (building,"
        f" initialising, formulas; {shares:.1f} % as the mean of shares), the rest hooks"
    )
    return lines


if __name__ == "__main__":
    sys.exit(main())
