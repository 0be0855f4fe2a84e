"""`python -m speed.gpu`: all measurements of a GPU by one command, within ten minutes.

Stages, each with a time limit, on NAS-Bench-201 at full size (C = 16, N = 5, batch 64) with the classic ten proxies:
architectures a second for stacks of 1, 8, 32, 64 and of the size that `--stack auto` finds; a profile of the fastest;
agreement of scores across stacks and with the CPU; all 15,625 architectures, with statistics where --data has the
accuracies; every view of every proxy alone; the pieces that passes are made of; one proxy at a time in plain PyTorch
(`speed/one_by_one.py`) and the ratio; ceilings of the device; the floor; precision modes.

Every stage writes OUT/NAME.json as it goes. A stage that the clock cuts off keeps its results, and the same command
does what is missing; if killed, it loses nothing. Inputs are Gaussian noise, except in the run with accuracies.
`--device cpu --small` does all of it on tiny networks in less than a minute.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, suggest
from harness.engine.devices import local
from speed.command import CommandLine, say, write_json
from speed.environment import machine, strict_float32
from speed.gpu_job import STAGES, Job, setting_of
from speed.gpu_stages import RUN
from speed.gpu_tables import summary


class TimeUp(KeyboardInterrupt):
    """A stage's time is over; a run commits what it has, as at Ctrl-C."""


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("gpu", __doc__)
    add = line.add_argument
    line.device()
    add("--data", help="folder of accuracies and images (default: the variable NAS_HARNESS_DATA); none: scores only")
    add("--minutes", type=float, default=9.5, help="of the whole (default 9.5); repeat the command for what is missing")
    add("--stages", default=",".join(STAGES), help=f"only these (default {','.join(STAGES)})")
    add("--small", action="store_true", help="few and tiny networks, as a check, on a CPU too")
    add("--out", type=Path, default=Path("results/gpu"), help="folder (default results/gpu)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Run the stages that are not done; return the exit code: 1 where one failed."""
    return parser().run(argv, _run, "stopped; what was measured is kept: repeat the command to continue")


def _run(given: argparse.Namespace) -> bool:
    stages = given.stages.split(",")
    if unknown := [name for name in stages if name not in STAGES]:
        raise suggest(unknown, STAGES, "stage")
    if given.minutes <= 0:
        raise UserError(f"--minutes {given.minutes:g}: expected more than 0")
    job = Job(setting_of(local(given.device)[0], given.small), given.small, given.data, given.out)
    _check_same(job)
    stop = time.monotonic() + 60 * given.minutes
    chosen = [name for name in STAGES if name in stages]
    done = [_stage(name, f"{place}/{len(chosen)} {name}", job, stop) for place, name in enumerate(chosen, 1)]
    text = summary(job)
    (given.out / "summary.md").write_text(text)
    print(text)
    print(f"written: {given.out}")
    return not all(done)


def _check_same(job: Job) -> None:
    """Refuse to go on in a folder whose results are of another device or size, with UserError."""
    here = machine(1, job.setting.device)
    facts = {"device": here.get("gpu", here["cpu"]), "small": job.small, "network": job.setting.network}
    path = job.out / "job.json"
    if path.exists() and (there := json.loads(path.read_text())["facts"]) != facts:
        raise UserError(f"{job.out} holds results of another job ({there}); this one is {facts}: give another --out")
    write_json(path, {"facts": facts, "machine": here})


def _stage(name: str, title: str, job: Job, stop: float) -> bool:
    """Run one stage within its time; return False if it failed for another reason than the clock."""
    path = job.out / f"{name}.json"
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"done": False, "seconds": 0.0}
    left = stop - time.monotonic() if job.small else min(STAGES[name], stop - time.monotonic())
    if before["done"]:
        say(f"{title}: done before")
        return True
    if left < 1:
        say(f"{title}: skipped, the time is over")
        return True
    say(f"{title}: up to {left:.0f} s, {stop - time.monotonic():.0f} s left of all")
    start, result = time.monotonic(), before.get("result", {})

    def keep(result: dict[str, Any], done: bool = False, why: str = "") -> None:
        spent = before["seconds"] + time.monotonic() - start
        write_json(path, {"done": done, "seconds": spent, "why": why, "result": result})

    try:
        with _alarm(left), strict_float32(1):
            RUN[name](job, result, keep, start + left)
    except TimeUp:
        keep(result, why=f"cut off after {left:.0f} s; repeat the command")
        say(f"{title}: {left:.0f} s are over, kept what there is")
    except KeyboardInterrupt:
        keep(result, why="stopped; repeat the command")
        raise
    except Exception as error:  # the next stages do not need this one
        keep(result, why=f"{type(error).__name__}: {error}")
        say(f"{title}: failed, {type(error).__name__}: {error}")
        return False
    else:
        keep(result, done=True)
        say(f"{title}: done in {time.monotonic() - start:.1f} s")
    return True


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the main thread after so many seconds."""

    def ring(*_: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    sys.exit(main())
