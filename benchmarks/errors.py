"""What all commands share: one line for what is wrong and no traceback, exit codes, progress."""

import argparse
import collections
import contextlib
import difflib
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NoReturn

LONGEST = 4000
"""Characters of a message: what came may be of any length."""
LOG = logging.getLogger("harness")
"""Its level says how much is reported: WARNING results alone, INFO (default) progress too, DEBUG tracebacks too."""
LOG.setLevel(logging.INFO)


def quiet() -> bool:
    """Return whether progress is not to be shown."""
    return not LOG.isEnabledFor(logging.INFO)


def say(line: str) -> None:
    """Report a step on standard error."""
    if not quiet():
        print(printable(line), file=sys.stderr)


@contextlib.contextmanager
def reporting(verbose: bool) -> Iterator[None]:
    """Report progress inside the block, or not."""
    before = LOG.level
    LOG.setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        yield
    finally:
        LOG.setLevel(before)


def printable(text: object) -> str:
    """Return text with line breaks, control and other unprintable characters spelled out: no file moves the cursor."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(text))


class UserError(ValueError):
    """Input that cannot be used. The message says what came, what was expected and what to do next.

    It is always one line: line breaks and other control characters of a file or a name are spelled out, and the middle
    of a very long one is left out.
    """

    def __init__(self, message: object = "") -> None:
        text = printable(message)
        half = LONGEST // 2
        super().__init__(text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}")


def suggest(unknown: Sequence[object], valid: Iterable[str], what: str) -> UserError:
    """Return the error for names that do not exist: all of them at once, the nearest valid ones suggested.

    `what` names the kind in the singular ("proxy", "dataset"). `unknown` must not be empty.
    """
    valid = sorted(valid)
    names = []
    for name in map(str, unknown):
        near = difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
        names.append(f"'{name}'" + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    return UserError(f"unknown {what}: {', '.join(names)}; valid: {', '.join(valid)}")


def repeated(labels: Iterable) -> list:
    """Return the labels that occur more than once, each once, in order of appearance."""
    return [label for label, count in collections.Counter(labels).items() if count > 1]


def listed(examples: Sequence, total: int | None = None) -> str:
    """Return the first three examples, and how many more there are of `total` (default: of the examples)."""
    more = (len(examples) if total is None else total) - 3
    return ", ".join(map(str, examples[:3])) + (f" and {more} more" if more > 0 else "")


def joined(names: object) -> str:
    """Return names as a command line has them, separated by commas; from Python they may come as a list or a number."""
    return ",".join(map(str, names)) if isinstance(names, list | tuple | set | frozenset) else str(names)


MOST = 10**9
"""Largest number that an option takes."""


def _whole(text: str) -> int:
    if len(text) > 4000 or abs(int(text)) > MOST:
        raise argparse.ArgumentTypeError(f"expected a whole number of at most {MOST:,}, got '{text}'")
    return int(text)


def _number(text: str) -> float:
    if not abs(float(text)) <= MOST:
        raise argparse.ArgumentTypeError(f"expected a number of at most {MOST:,}, got '{text}'")
    return float(text)


_whole.__name__, _number.__name__ = "int", "float"  # what argparse calls them


class Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line, with the nearest valid one; accepts no shortened option names."""

    def __init__(self, **settings) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self.register("type", int, _whole)
        self.register("type", float, _number)

    def parse_known_args(self, args=None, namespace=None):
        """Parse as argparse does; `--name=--`, which it cannot, is an error too, and so is a NUL, which no name has."""
        for word in sys.argv[1:] if args is None else args:
            if "\0" in word:
                self.error(f"a NUL character in '{word}'")
            if word.startswith("--") and word.endswith("=--"):
                self.error(f"argument {word[:-3]}: expected a value, got '--'")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"\S{300,}", lambda found: f"{found[0][:100]} ... {found[0][-20:]}", message)
        valid = [option for action in self._actions for option in action.option_strings]
        for word in message.split():
            name = word.split("=")[0].rstrip(":,")
            if name.startswith("--") and name not in valid and (near := difflib.get_close_matches(name, valid, n=1)):
                message += f" (did you mean {near[0]}?)"
        self.exit(2, f"{self.prog}: {UserError(message)}; --help lists the options\n")


def carry_out(name: str, action: Callable[[], None], stopped: str) -> int:
    """Call `action`; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted (Ctrl-C or SIGTERM).

    `stopped` is printed after an interrupt: what is kept and how to go on. 141 where the reader of the output left.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster's stop is treated as Ctrl-C
    try:
        action()
        sys.stdout.flush()
    except UserError as error:
        if LOG.isEnabledFor(logging.DEBUG):
            traceback.print_exception(error)
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return reader_left()
    except OSError as error:  # a disk, a folder or a name that the system refuses
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"{name}: {UserError(f'{place}{error.strerror or error}')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{name}: {stopped}", file=sys.stderr)
        return 130
    return 0


def reader_left() -> int:
    """Return the exit code where the reader of the output left; nothing is left to flush at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


Progress = Callable[[int, int | None], None]
"""Called with what is done and what there is in all: bytes of a file, files of a folder; None where it is not known."""


@contextlib.contextmanager
def progress_bar(name: str, unit: str = "B", hidden: bool = False) -> Iterator[Progress]:
    """Show a progress bar on standard error; give what moves it."""
    from tqdm import tqdm

    with tqdm(desc=name, unit=unit, unit_scale=True, disable=hidden or quiet(), leave=False) as bar:

        def show(done: int, total: int | None) -> None:
            if bar.total is None and total is not None:
                bar.reset(total)
                bar.initial = bar.n = bar.last_print_n = done  # what an earlier command left counts for no speed
            bar.update(done - bar.n)

        yield show
