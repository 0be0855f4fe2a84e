"""The one command line: its commands, what every one of them takes, and configuration files."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.options import as_toml
from harness.cli import (
    cached,
    compare,
    evaluate,
    hnas,
    merge,
    operations,
    proxies,
    reference,
    report,
    reproduce,
    run,
    search,
    supernet_search,
    train,
)
from harness.cli.main import COMMANDS, main
from harness.cli.options import GROUPS, Line, whole

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "scipy", "pandas", "matplotlib", "seaborn", "h5py", "sklearn"}
TINY = [
    "--bench",
    "201",
    "--sample",
    "10",
    "--batch-size",
    "8",
    "--stack",
    "5",
    "--proxies",
    "l2_norm",
    "-q",
    "--workers",
    "1",
    "--device",
    "cpu",
]


def parsers() -> dict[str, Line]:
    modules = [run, merge, report, compare, evaluate, search, supernet_search, operations, reproduce, hnas, train]
    made = {module.__name__: module.parser() for module in [*modules, proxies, cached]}
    for line in made.values():
        line._common()
    return made


def test_the_console_command_is_this_one() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["options.entry_points"]["console_scripts"].strip() == "nas-harness = harness.cli.main:main"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_is_fast_and_imports_no_library(name: str) -> None:
    program = (
        "import sys, time\nfrom harness.cli.main import main\n"
        f"try:\n    main([{name!r}, '--help'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"slow = {HEAVY!r} & set(sys.modules)\nassert not slow, slow\nprint('seconds', time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert f"usage: nas-harness {name}" in done.stdout
    assert float(done.stdout.split()[-1]) < 2


def test_an_option_means_the_same_in_every_command() -> None:
    """A value or a flag everywhere; and none is listed under two headings."""
    named = [name for names in GROUPS.values() for name in names]
    assert len(named) == len(set(named))
    kinds: dict[str, set] = {}
    for line in parsers().values():
        for action in line._actions:
            for option in action.option_strings if action.help != "==SUPPRESS==" else ():
                kinds.setdefault(option, set()).add((type(action).__name__, action.type is float))
    different = {option for option, found in kinds.items() if len(found) > 1}
    assert not different


def test_what_means_something_else_elsewhere_has_another_name_and_is_still_taken() -> None:
    line = operations.parser()
    words = ["--bench", "201", "--scores", "table", "--network", "channels=4"]
    assert line.arguments(words)["operation_scores"] == "table"
    text = " ".join(line.format_help().split())
    assert "--operation-scores" in text and "--scores" not in text and "--network-settings" in text
    assert search.parser().arguments(["--bench", "201", "--population", "7", "--runs", "3"])["searches"] == 3


def test_every_common_option_is_in_every_command() -> None:
    for line in parsers().values():
        assert {"--config", "-q", "-v", "--version"} <= set(line._option_string_actions), line.prog
        assert "--out" in line._option_string_actions or line.command in ("proxies", "scores")
        assert re.search("^machine:|^output:", line.format_help(), re.M)


def test_seeds_may_be_listed() -> None:
    assert whole("3") == 3 and whole("0,1,2") == 3
    with pytest.raises(SystemExit):
        run.parser().arguments(["--bench", "201", "--seeds", "3,7"])


def test_unknown_words_are_answered_with_the_nearest(capsys: pytest.CaptureFixture) -> None:
    for words, near in (
        (["rum"], "run"),
        (["data", "lst"], "list"),
        (["run", "--bench", "201", "--prokies", "x"], "--proxies"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
        assert f"did you mean {near}" in capsys.readouterr().err


def test_a_configuration_file_gives_options_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('command = "run"\nbench = "201"\nseeds = 2\nshare = false\nbatch-size = 8\nbalanced = true\n')
    found = run.parser().arguments(["--config", str(path), "--seeds", "4"])
    assert (found["bench"], found["seeds"], found["share"], found["batch_size"]) == ("201", 4, False, 8)
    assert found["balanced"] is True and found["keep_unreachable"] is False


@pytest.mark.parametrize(("text", "said"), [
    ('bench = "201"\nseedss = 1', "did you mean seeds?"),
    ('command = "search"', "is of nas-harness search, not of nas-harness run"),
    ("bench 201", "not a TOML file"),
    ('bench = "201"\nbalanced = 3', "unknown option"),
])  # fmt: skip
def test_a_configuration_file_that_cannot_be_used(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        run.parser().arguments(["--config", str(path)])
    assert said in capsys.readouterr().err


def test_positional_arguments_come_from_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(as_toml("report", {"runs": [Path("a"), Path("b")], "resamples": 10, "out": None}))
    assert tomllib.loads(path.read_text())["runs"] == ["a", "b"]
    assert report.parser().arguments(["--config", str(path)])["runs"] == [Path("a"), Path("b")]
    assert report.parser().arguments(["c", "--config", str(path)])["runs"] == [Path("c")]


def test_a_run_is_repeated_by_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.cli.run.show", lambda run: print({k: v.tolist() for k, v in run.scores.items()}))
    assert main(["run", *TINY, "--out", "first"]) == 0
    first = capsys.readouterr()
    assert not first.err, "quiet"
    config = str(tmp_path / "first" / "config.toml")
    assert main(["run", "--config", config, "--out", "second", "-q"]) == 0
    second = capsys.readouterr().out
    assert first.out == second
    assert main(["run", "--config", config, "--out", "first", "--proxies", "plain"]) == 0
    only = capsys.readouterr().out
    assert "plain" in only and "l2_norm" not in only, "what was requested alone"
    assert main(["run", "--config", config, "--out", "first", "--proxies", "plain", "--all-stored", "-q"]) == 0
    assert "l2_norm" in capsys.readouterr().out


def test_a_package_of_the_same_name_in_the_working_folder(tmp_path: Path) -> None:
    """The console command works; `python -m` says in one line what hides the package."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("raise RuntimeError")
    path = {"PYTHONPATH": str(ROOT)} if "site-packages" not in str(ROOT) else {}
    script = "import sys; sys.path.append(sys.path.pop(0)); from harness.cli.main import main; sys.exit(main())"
    done = subprocess.run(  # a console script starts without the working folder on the path
        [sys.executable, "-P", "-c", script.replace("sys.path.append(sys.path.pop(0)); ", ""), "scores"],
        cwd=tmp_path, env=path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "harness.run", "--bench", "201"], cwd=tmp_path, env=path, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1
    assert "use the command nas-harness" in done.stderr


def test_a_package_harness_in_the_working_folder(tmp_path: Path) -> None:
    """Defect: of an editable installation `python -m harness` ended in a traceback."""
    main_file = ROOT / "harness" / "__main__.py"
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text("")
    lines = [  # what such an installation does: the modules of this one are found, its __init__ is not run
        "import harness, runpy, sys", f"harness.__path__.append({str(ROOT / 'harness')!r})",
        f"sys.path.append({str(ROOT)!r})", f"runpy.run_path({str(main_file)!r}, run_name='__main__')",
    ]  # fmt: skip
    script = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "hides the installed package harness: use the command nas-harness" in done.stderr


@pytest.mark.parametrize("words", ["scores 201-cifar10-whole", ""])
def test_a_reader_that_leaves_early_ends_the_command_quietly(words: str) -> None:
    command = f"{sys.executable} -m harness {words} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.stdout.strip() == "141" and not done.stderr


def test_the_command_reference_is_that_of_the_parsers() -> None:
    assert reference.PAGE.read_text("utf-8") == reference.reference(), "run `python -m harness.cli.reference`"


def test_commands_in_the_docs_have_options_that_exist() -> None:
    made = {line.command: line for line in parsers().values()}
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    blocks = [block for page in pages for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.S | re.M)]
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines() if line.startswith("nas-h")]
    assert len(lines) > 5
    for _, command, *words in lines:
        assert command in COMMANDS, command
        if command in made and "--method" not in words:
            for word in (each.split("=")[0] for each in words if each.startswith("--")):
                assert word in made[command]._option_string_actions, f"{command} {word}"


def test_every_command_has_a_main() -> None:
    for module, _ in COMMANDS.values():
        assert callable(import_module(module).main)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "data"])
def test_a_nul_is_refused_by_every_command(command: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Defect: `scorecard` ended in Python's ValueError; a configuration file can hold one."""
    (tmp_path / "run.toml").write_text('out = "a\\u0000b"\n')
    for words in (["--out", "a\0b"], ["--config", str(tmp_path / "run.toml")]):
        with pytest.raises(SystemExit) as ended:
            main([command, *words])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and said.count("\n") == 1
        assert "NUL" in said or "no option named" in said or "unknown option" in said, said
