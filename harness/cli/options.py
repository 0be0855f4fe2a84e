"""What commands share: their parser, options made from the fields of a settings dataclass, configuration files."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from benchmarks.errors import LOG, Parser, UserError, suggest
from benchmarks.files.write import write_text
from benchmarks.options import as_toml
from harness.store.version import VERSION

GROUPS = {
    "ground truth": ("bench", "space", "dataset", "split", "epochs", "reduction", "target", "given", "data",
                     "query_dataset", "query_split", "query_epochs", "query_reduction", "query_seconds"),
    "scores": ("proxies", "name", "scores", "operation_scores", "reference", "along", "sample", "seeds", "first_seed",
               "protocol", "share", "keep_unreachable", "proxy_timeout"),
    "networks and minibatches": ("network", "network_settings", "batch_size", "balanced", "inputs", "resolution",
                                 "augment"),
    "searches": ("method", "metric", "queries", "searches", "seed", "score", "order", "proposals", "validations",
                 "tuning", "held_out"),
    "statistics": ("population", "baseline", "intervals", "resamples", "against", "all_stored"),
    "machine": ("devices", "device", "precision", "stack", "workers", "executor", "gpu_share", "shard"),
    "output": ("out", "existing", "width", "list", "config", "quiet", "verbose", "version", "help"),
}  # fmt: skip
"""Heading in --help -> the options under it; an option has the same meaning in every command. Others are settings."""


class Line(Parser):
    """The parser of a command, `nas-harness NAME`: options under headings, --config, -q, -v, --version."""

    def __init__(self, command: str, about: str, **settings: Any) -> None:
        super().__init__(prog=f"nas-harness {command}", description=about, add_help=False, **settings)
        self.command = command
        self._headings = {title: self.add_argument_group(title) for title in ("settings", *GROUPS)}

    def option(self, *names: str, **facts: Any) -> None:
        """Add an option under its heading."""
        dest = facts.get("dest") or names[0].lstrip("-").replace("-", "_")
        title = next((title for title, known in GROUPS.items() if dest in known), "settings")
        self._headings[title].add_argument(*names, **facts)

    def either(self) -> Any:
        """Return a group of options of which one may be named."""
        return self._headings["settings"].add_mutually_exclusive_group()

    def arguments(self, words: Sequence[str] | None = None) -> dict[str, Any]:
        """Return the values of all options, those of --config FILE where the command line has none."""
        self._common()
        words = list(sys.argv[1:] if words is None else words)
        early = Parser(prog=self.prog, add_help=False)
        early.add_argument("--config")
        if (path := early.parse_known_args(words)[0].config) is not None:
            try:
                words = [*self._words_of(Path(path)), *words]
            except UserError as error:
                self.error(str(error))
        found = vars(self.parse_args(words))
        found.pop("config")
        quiet, verbose = found.pop("quiet"), found.pop("verbose")
        LOG.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
        return found

    def _common(self) -> None:
        """Add what every command has."""
        self.option("--config", metavar="FILE", help="read options from this TOML file; those given here win")
        self.option("-q", "--quiet", action="store_true", dest="quiet", help="results and errors alone")
        self.option("-v", "--verbose", action="store_true", dest="verbose", help="the traceback behind an error too")
        self.option("--version", action="version", version=f"nas-harness {VERSION}", help="print the version and end")
        self.option("-h", "--help", action="help", dest="help", help="print this and end")
        words = [str(each.metavar or each.dest.upper()) for each in self._actions if not each.option_strings]
        self.usage = " ".join([self.prog, *words, "[OPTIONS]"])

    def _words_of(self, path: Path) -> list[str]:
        """Return a configuration file as the words of a command line; UserError where it is none of this command."""
        options = {action.dest: action for action in self._actions}
        words: list[str] = []
        for name, value in read_config(path, self.command).items():
            action = options.get(name.replace("-", "_"))
            if action is None or (action.nargs == 0 and not isinstance(value, bool)):
                raise suggest([name], [each for each in options if each not in UNSET], f"option in {path}")
            values = list(map(str, value)) if isinstance(value, list) else [str(value)]
            if any("\0" in each for each in values):
                raise UserError(f"a NUL character in {name} of {path}")
            if not action.option_strings:
                _default(action, values)
            elif action.nargs == 0:
                words += [action.option_strings[0]] * (value is action.const)
            else:
                words += [action.option_strings[0], *(values if action.nargs else [",".join(values)])]
        return words


UNSET = ("config", "help", "version", "quiet", "verbose")
"""Options that no configuration file has."""


def _default(action: argparse.Action, values: list[str]) -> None:
    """Let a positional argument have these values where the command line has none."""
    kind: Any = action.type or str
    action.nargs, action.required = ("*" if action.nargs in ("+", "*") else "?"), False
    action.default = [kind(value) for value in values] if action.nargs == "*" else kind(values[0])


def read_config(path: Path, command: str) -> dict[str, Any]:
    """Return the options of a configuration file; UserError where it cannot be read or is another command's."""
    try:
        if path.exists() and not path.is_file():  # to read a pipe would wait for ever
            raise UserError(f"--config {path}: not a file")
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # a NUL in the path, what is not UTF-8, what is not TOML
        raise UserError(f'--config {path}: not a TOML file of lines such as bench = "201" ({error})') from None
    if (other := found.pop("command", command)) != command:
        raise UserError(f"--config {path} is of nas-harness {other}, not of nas-harness {command}")
    return found


def add_out(line: Line) -> None:
    """Add --out and --existing of a command whose result is made at once."""
    line.option("--out", help="folder to write to (default: a name for each set of settings under results/runs/)")
    about = "if --out holds a result: resume (default: one of equal settings is made again), replace, refuse"
    line.option("--existing", choices=EXISTING, default="resume", metavar="EXISTING", help=about)


EXISTING = ("resume", "replace", "refuse")
UNKEPT = ("out", "existing")
"""Options that a result's config.toml does not have, so that a copy writes elsewhere and replaces nothing."""


def check_existing(folder: Path, command: str, options: Mapping[str, Any]) -> None:
    """Raise UserError where a folder holds an earlier result that these options must not replace."""
    if options["existing"] == "replace" or not (folder / "manifest.json").exists():
        return
    now, before = tomllib.loads(_config(command, options)), {}
    with contextlib.suppress(OSError, ValueError):
        before = tomllib.loads((folder / "config.toml").read_text("utf-8"))
    changed = [f"{name} {before.get(name, 'unset')} -> {now.get(name, 'unset')}" for name in sorted(now | before)
               if now.get(name) != before.get(name)]  # fmt: skip
    if changed or options["existing"] == "refuse":
        of = f" of other settings ({', '.join(changed)})" if changed and before else ""
        raise UserError(f"{folder} holds an earlier result{of}: give another --out, or --existing replace")


def keep_config(folder: Path, command: str, options: Mapping[str, Any]) -> None:
    """Write config.toml into a result: the file that repeats it."""
    write_text(folder / "config.toml", _config(command, options))


def _config(command: str, options: Mapping[str, Any]) -> str:
    return as_toml(command, lasting(options))


def lasting(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that make a result what it is."""
    return {name: options[name] for name in options if name not in UNKEPT}


@contextlib.contextmanager
def result_of(
    command: str, words: Sequence[str], options: Mapping[str, Any], kind: str, *parts: str
) -> Iterator[tuple[Path, str]]:
    """Give the block the folder of a result that is made at once, and the command line that makes it; behind the block
    write config.toml there and say where it is.

    `kind` is that of its manifest, `parts` are the words of its default name. UserError where the folder holds a result
    that must not be replaced.
    """
    from harness.cached.pack import plain_command
    from harness.report.result import result_folder

    folder = result_folder(options["out"], list(parts), kind, settings=lasting(options))
    check_existing(folder, command, options)
    yield folder, plain_command(" ".join(["nas-harness", command, *words]))
    keep_config(folder, command, options)
    print(f"written to {folder}")


def with_config(words: Sequence[str], command: str, positional: str) -> list[str]:
    """Return the words of a command that has a parser of its own, with those of --config FILE in front.

    The file's options are named as on the command line; `positional` is the name of those without a name.
    """
    early = Parser(prog=f"nas-harness {command}", add_help=False)
    early.add_argument("--config")
    given, rest = early.parse_known_args(words)
    found: list[str] = []
    for name, value in (read_config(Path(given.config), command) if given.config else {}).items():
        values = list(map(str, value)) if isinstance(value, list) else [str(value)]
        if name == positional:
            found += values
        elif value is not False:
            found += [f"--{name.replace('_', '-')}", *([] if value is True else values)]
    return [*found, *rest]


def add_options(
    line: Line, settings: type, *, only: Collection[str] | None = None, without: Collection[str] = (),
    said: Mapping[str, str] | None = None, renamed: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Add an option for each field of `settings` that `benchmarks.options.option` declared, in their order.

    `only` and `without` choose among the fields. `said` has help texts that are known at the command line alone. A bool
    that is True by default becomes `--no-name`. A default is named at the end of the help where the text does not.
    `renamed` gives a field another name on the command line, where its own has another meaning in other commands; its
    own is still taken.
    """
    kinds = get_type_hints(settings)
    for each in fields(settings):
        if "help" not in each.metadata or each.name in without or (only is not None and each.name not in only):
            continue
        dest, about = (renamed or {}).get(each.name, each.name), (said or {}).get(each.name, each.metadata["help"])
        name = dest.replace("_", "-")
        if kinds[each.name] is bool:
            flag = f"--no-{name}" if each.default else f"--{name}"
            line.option(flag, dest=dest, action="store_const", const=not each.default, default=each.default, help=about)
            continue
        facts: dict[str, Any] = {"required": True} if each.default is MISSING else {"default": each.default}
        if each.default not in (MISSING, None, "") and "default" not in about:
            about += f" (default {each.default})"
        if each.metadata["choices"]:
            facts["metavar"] = name.replace("-", "_").upper()
        kind = whole if each.name == "seeds" else _kind(kinds[each.name])
        names = (f"--{name}", *each.metadata["also"])
        line.option(*names, dest=dest, type=kind, help=about.replace("%", "%%"), **facts)
        for other in {each.name, *({"device": ["devices"]}.get(each.name, []))} - {dest}:
            hidden(line, other, dest, kind)


def hidden(line: Line, old: str, dest: str, kind: Any = str) -> None:
    """Take an option under its earlier name too, without naming it in --help."""
    flag = f"--{old.replace('_', '-')}"
    line.option(flag, dest=dest, type=kind, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def whole(text: str) -> int:
    """Return a number of seeds; "0,1,2", the seeds themselves, is 3."""
    words = [word.strip() for word in text.split(",")]
    if len(words) > 1 and words == [str(number) for number in range(len(words))]:
        return len(words)
    if len(words) > 1:
        raise argparse.ArgumentTypeError(f"'{text}': seeds count from 0, such as 0,1,2 (or their number, 3)")
    return int(text)


whole.__name__ = "int"


def _kind(hint: Any) -> type:
    """Return what turns a word into a value: of a union the one type that is not None, str where there are several."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else str


def back(options: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return options by the names of the fields."""
    fields_of = {dest: name for name, dest in renamed.items()}
    return {fields_of.get(name, name): value for name, value in options.items()}


def popped(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take some options out of all."""
    return {name: options.pop(name) for name in names}
