"""Command lines at random: options of every command with values that fit, nearly fit or do harm.

Parsers, checks and planning run; what would score, train, download or write into the checkout ends there. A line that
is refused has one line of reason, the exit code 2 and `SECONDS` of a processor at most.
"""

import collections
import contextlib
import io
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from harness.cli.main import COMMANDS
from harness.cli.main import main as command_line
from harness.runs.plan import plan_run
from harness.search.task_from_table import pose
from speed.torture_outcomes import Case, outcomes

SECONDS = 2.0
WORDS = (
    "", " ", "-", "--", "---", "=", "0", "1", "-1", "2", "3", "12", "200", "1e9", "1.5", "nan", "inf", "-inf", "0x10",
    "1_0", "9" * 30, "9" * 4200, "9" * 5000, "-" + "9" * 5000, "a" * 300, "a" * 5000, "/".join(["a"] * 3000), ".",
    "..", "/", "/dev/null", "/dev/zero", "/proc/self/mem", "/root/x", "nowhere", "~", "~nobody/x", "*", "%s", "%",
    "{}", "{0}", "$(id)", "`id`", "\x1b[2J", "a\nb", "\udcff", "é", "\u202e", "\x00x", "1/2", "3/2", "0/0", ",", ",,",
    "a,b", "1,2", "0,1", "x=1", "channels=8", "channels=-1", "channels=" + "9" * 40, "201", "101", "macro", "darts",
    "1shot1", "1shot1-1", "2001", "digits", "cifar10", "cifar100", "imagenet16-120", "core", "all", "snip", "snipp",
    "params,flops", "params", "x.py:y", "scores.csv:x", "cpu", "cuda", "cuda:99", "auto", "gaussian", "images",
    "test", "valid", "train", "mean", "max", "777", "resume", "replace", "refuse", "float32", "tf32", "local", "ray",
    "default", "each", "never", "always", "random", "evolution", "zero-cost-pt", "scores.csv", "binary", "pipe",
    "folder", "run.toml", "bad.toml", "table.h5", "list", "get", "convert", "hnas", "--help",
)  # fmt: skip
"""What values are drawn from; some are files of the folder that the lines run in."""


class Reached(Exception):
    """The command line was right: what it asks for would begin."""


def _reached(*_: Any, **__: Any) -> NoReturn:
    raise Reached


def _plan(config: Any, **_: Any) -> NoReturn:
    plan_run(config, lambda line: None)
    raise Reached


def _pose(config: Any, **_: Any) -> NoReturn:
    pose(config)
    raise Reached


BEYOND: dict[str, Callable[..., Any]] = {
    "harness.runs.runner:run": _plan, "harness.runs.plan:_stack": lambda *_: 1, "harness.search.simulate:search": _pose,
    "harness.runs.evaluate_scores:Store": _reached, "harness.operations.compare:compare": _reached,
    "harness.operations.search.run:find": _reached, "harness.training.loop:train": _reached,
    "harness.cli.reproduce:_reproduce": _reached, "harness.reproduce.hnas.collect:collect": _reached,
    "harness.cached.pack:write": _reached, "harness.report.catalogue:write": _reached,
    "benchmarks.download:fetch": _reached,
}  # fmt: skip
"""What is not carried out -> what happens instead."""


def options(count: int, seed: int) -> collections.Counter[tuple[str, str]]:
    """Return (command, outcome) -> how often, for `count` command lines; of each command one starts a process."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        for place, instead in BEYOND.items():
            stack.enter_context(mock.patch(place.replace(":", "."), instead))
        stack.callback(os.chdir, before)
        os.chdir(name)
        _fill(Path(name))
        found = outcomes(_cases(count, seed))
    for command in COMMANDS:
        found[f"{command} (a process)", _started(command)] += 1
    return found


def _fill(folder: Path) -> None:
    (folder / "scores.csv").write_text("arch,mine\nx,1\n")
    (folder / "binary").write_bytes(bytes(range(256)) * 10)
    (folder / "table.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (folder / "run.toml").write_text('command = "run"\nbench = "201"\nproxies = ["snip"]\n')
    (folder / "bad.toml").write_text('bench = [\n"\x1b')
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")


def _cases(count: int, seed: int) -> Iterator[Case]:
    known = {command: _options_of(command) for command in COMMANDS}
    for number in range(count):
        draw = random.Random(repr((seed, number)))
        command = draw.choice(list(COMMANDS))
        words = [command, *_words(command, known[command], draw)]
        yield command, lambda words=words: lambda: carried_out(words)


def _options_of(command: str) -> list[str]:
    """Return the options that --help of a command lists, without --verbose, which asks for tracebacks."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        command_line([command, *(["convert"] if command == "data" else []), "--help"])
    return sorted(set(re.findall(r"--[a-z][a-z-]*", said.getvalue())) - {"--verbose"})


def _words(command: str, known: list[str], draw: random.Random) -> Iterable[str]:
    if command in ("run", "evaluate", "search", "operations") and draw.random() < 0.7:
        yield from ("--bench", draw.choice(("201", "201", "macro", "1shot1-1", "2001")))
    if command == "data":
        yield draw.choice(("list", "get", "convert", "lst"))
    for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 5))):
        name, value = draw.choice(known), draw.choice(WORDS)
        kind = draw.random()
        if kind < 0.5:
            yield from (name, value)
        elif kind < 0.75:
            yield f"{name}={value}"
        elif kind < 0.85:
            yield name
        elif kind < 0.9:
            at = draw.randrange(2, len(name))
            yield name[:at] + draw.choice("xyz-=") + name[at + 1 :]
        else:
            yield value


def carried_out(words: list[str]) -> str:
    """Return what becomes of a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    start = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = command_line(words)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except Reached:
            return "done"
    return judged(code, err.getvalue(), time.process_time() - start)


def judged(code: int, said: str, seconds: float) -> str:
    """Return the outcome of a command that ended."""
    if code == 0:
        return "done"
    lines = [line for line in said.splitlines() if line.strip()]
    if code != 2 or not lines:
        return f"ends with {code}, {len(lines)} lines"
    if "Traceback" in said or "\x1b" in said:
        return "a traceback or an escape in the message"
    if not lines[-1].startswith(("nas-harness", "python -m", "benchmarks")):
        return "refused without the command's name in the last line"
    return "refused" if seconds < SECONDS else f"takes more than {SECONDS:g} s to be refused"


def _started(command: str) -> str:
    """Return what becomes of an invalid line of a command in a process of its own, by its processor time."""
    words = [sys.executable, "-m", "harness", command, "--no-such-option"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    return judged(os.waitstatus_to_exitcode(status), said, usage.ru_utime + usage.ru_stime)
