"""`python -m harness.bench.gpu`: all figures of a GPU by one command, within ten minutes.

Stages, each with a time of its own, on NAS-Bench-201 at full size (C = 16, N = 5, batch 64) with the classic ten
proxies: ceilings of the device; architectures a second for stacks of 1, 8, 32, 128 and of the size that `--stack auto`
finds; one proxy at a time in plain PyTorch (`harness/bench/one_by_one.py`) and the ratio; agreement of scores across
stacks and with the CPU; all 15,625 architectures, with statistics where --data has the accuracies; the floor; ways to
run a stack; precision modes.

Every stage writes OUT/NAME.json as it goes. A stage that the clock cuts off keeps what it has, and the command repeated
does what is missing: killed, it loses nothing. Inputs are Gaussian noise, but for the run with accuracies.
`--device cpu --small` does all of it on tiny networks in less than a minute.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, suggest
from harness.bench.speed import SETS
from harness.command import Parser, carry_out

if TYPE_CHECKING:
    from harness.executors import Setting

STAGES = {
    "ceilings": 20, "stacks": 130, "alone": 60, "agreement": 40, "full": 600, "floor": 90, "layers": 60,
    "precision": 120,
}  # fmt: skip
"""Stage -> the seconds that it may take (small: no limit), in the order they run; the clock of the whole ends all."""
AIM = 8.0
"""Times as fast as one proxy at a time that stacks are to be."""


class TimeUp(KeyboardInterrupt):
    """A stage's time is over; a run that hears it commits what it has, as at Ctrl-C."""


@dataclass(frozen=True)
class Job:
    """What all stages are told."""

    setting: Setting
    """NAS-Bench-201 with the classic ten on Gaussian noise."""
    small: bool
    """Tiny networks and few of them."""
    data: str | None
    """Folder with accuracies and images."""
    out: Path

    @property
    def stacks(self) -> tuple[int, ...]:
        """Sizes that are timed."""
        return (1, 2, 4) if self.small else (1, 8, 32, 128)

    @property
    def archs(self) -> int:
        """Architectures that are scored at most with each size."""
        return 4 if self.small else 256

    def done(self, stage: str) -> dict[str, Any]:
        """Return what a stage has written so far."""
        path = self.out / f"{stage}.json"
        return json.loads(path.read_text())["result"] if path.exists() else {}


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="python -m harness.bench.gpu", description=__doc__.split("\n\n")[0])
    add = line.add_argument
    add("--device", default="auto", help="auto (default: a GPU if there is one), cpu, cuda, cuda:N")
    add("--data", help="folder of accuracies and images (default: the variable NAS_HARNESS_DATA); none: scores only")
    add("--minutes", type=float, default=9.5, help="of the whole (default 9.5); repeat the command for what is missing")
    add("--stages", default=",".join(STAGES), help=f"only these (default {','.join(STAGES)})")
    add("--small", action="store_true", help="tiny networks, a few of them: shows that it works, on a CPU too")
    add("--out", type=Path, default=Path("results/gpu"), help="folder (default results/gpu)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Run the stages that are not done; return the exit code: 1 where one failed."""
    given = parser().parse_args(argv)
    failed: list[str] = []

    def action() -> None:
        stages = given.stages.split(",")
        if unknown := [name for name in stages if name not in STAGES]:
            raise suggest(unknown, STAGES, "stage")
        if given.minutes <= 0:
            raise UserError(f"--minutes {given.minutes:g}: expected more than 0")
        from harness.bench.floor import chosen_device
        from harness.bench.gpu_tables import summary

        job = Job(_setting(chosen_device(given.device), given.small), given.small, given.data, given.out)
        given.out.mkdir(parents=True, exist_ok=True)
        _check_same(job)
        stop = time.monotonic() + 60 * given.minutes
        for place, name in enumerate([name for name in STAGES if name in stages], 1):
            if not _stage(name, f"{place}/{len(stages)} {name}", job, stop):
                failed.append(name)
        text = summary(job)
        (given.out / "summary.md").write_text(text)
        print(text)
        print(f"written: {given.out}")

    stopped = "stopped; what was measured is kept: repeat the command to continue"
    return carry_out("harness.bench.gpu", action, stopped) or int(bool(failed))


def _setting(device: str, small: bool) -> Setting:
    from harness.executors import Setting

    network = {"channels": 4, "cells_per_stage": 1} if small else {"channels": 16, "cells_per_stage": 5}
    return Setting(
        bench="201", proxies=",".join(SETS["ten"]), network=network | {"input_channels": 3, "classes": 10},
        resolution=8 if small else 32, inputs="gaussian", dataset="cifar10", batch_size=8 if small else 64,
        balanced=False, share=True, keep_unreachable=False, device=device,
    )  # fmt: skip


def _check_same(job: Job) -> None:
    """Refuse to go on in a folder whose figures are of another device or size, with UserError."""
    from harness.bench.speed import machine

    here = machine(1, job.setting.device)
    facts = {"device": here.get("gpu", here["cpu"]), "small": job.small, "network": job.setting.network}
    path = job.out / "job.json"
    if path.exists() and (there := json.loads(path.read_text())["facts"]) != facts:
        raise UserError(f"{job.out} holds figures of another job ({there}); this one is {facts}: give another --out")
    path.write_text(json.dumps({"facts": facts, "machine": here}, indent=1))


def _stage(name: str, title: str, job: Job, stop: float) -> bool:
    """Run one stage within its time; return False if it failed for another reason than the clock."""
    from harness.bench import gpu_stages as bench_gpu_stages
    from harness.bench.floor import strict_float32

    path = job.out / f"{name}.json"
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"done": False, "seconds": 0.0}
    left = stop - time.monotonic() if job.small else min(STAGES[name], stop - time.monotonic())
    if before["done"]:
        _say(f"{title}: there already")
        return True
    if left < 1:
        _say(f"{title}: skipped, the time is over")
        return True
    _say(f"{title}: up to {left:.0f} s, {stop - time.monotonic():.0f} s left of all")
    start, result = time.monotonic(), before.get("result", {})

    def keep(result: dict[str, Any], done: bool = False, why: str = "") -> None:
        spent = before["seconds"] + time.monotonic() - start
        text = json.dumps({"done": done, "seconds": spent, "why": why, "result": result}, indent=1)
        path.with_suffix(".part").write_text(text)
        path.with_suffix(".part").replace(path)

    function: Callable[..., None] = getattr(bench_gpu_stages, name)
    try:
        with _alarm(left), strict_float32(1):
            function(job, result, keep, start + left)
    except TimeUp:
        keep(result, why=f"cut off after {left:.0f} s; repeat the command")
        _say(f"{title}: {left:.0f} s are over, kept what there is")
    except KeyboardInterrupt:
        keep(result, why="stopped; repeat the command")
        raise
    except Exception as error:  # the stages after this one are worth having
        keep(result, why=f"{type(error).__name__}: {error}")
        _say(f"{title}: failed, {type(error).__name__}: {error}")
        return False
    else:
        keep(result, done=True)
        _say(f"{title}: done in {time.monotonic() - start:.1f} s")
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
