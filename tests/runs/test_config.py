"""Settings and the proxies they name: all that is wrong at once; users' files and notebooks as people use them."""

from pathlib import Path

import numpy as np
import pytest

import harness
import harness.cli.evaluate
import harness.cli.run
from benchmarks import UserError
from benchmarks.benchmark import BENCHMARKS
from benchmarks.options import as_toml
from harness.proxies.choose import choose
from harness.proxies.registry import baselines
from harness.runs.config import RunConfig

pytestmark = pytest.mark.usefixtures("own_proxies")
TWO = """
import harness
@harness.proxy(reads='outputs', labels=False)
def one_of_two(probe): return {value} + probe.outputs.sum((0, 2))
@harness.proxy(reads='outputs', labels=False)
def two_of_two(probe): return probe.outputs.sum((0, 2))
"""


def test_everything_wrong_is_said_at_once():
    with pytest.raises(UserError) as caught:
        RunConfig(
            bench="2001", split="tst", existing="replce", protocol="x", seeds=0, batch_size=-1, workers=-2,
            sample="many", stack="0", epochs=0, devices="gpu", inputs="nowhere", proxies="snipp,params,fishr",
        )  # fmt: skip
    said = str(caught.value)
    for part in ("'2001'", "'tst'", "replace", "'x'", "--seeds 0", "--batch-size -1", "--workers -2", "'many'",
                 "--stack '0'", "--epochs 0", "'gpu'", "'nowhere'", "snip", "fisher"):  # fmt: skip
        assert part in said, part
    assert "\n" not in said and "'params'" not in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seeds": 10**30}, "--seeds: expected at most 10,000"), ({"epochs": 10**5000}, "--epochs: expected at most"),
        ({"workers": 10**6}, "--workers: expected at most 1,000"), ({"sample": "9" * 5000}, "--sample '99999"),
        ({"stack": "9" * 5000}, "--stack '99999"), ({"inputs": "x" * 5000}, "--inputs 'xxxxx"),
        ({"bench": "y" * 100_000}, "unknown benchmark: 'yyyyy"),
        ({"batch_size": 10**9}, "--batch-size: expected at most"),
    ],
)  # fmt: skip
def test_numbers_and_names_of_any_length_are_one_line(settings: dict, said: str):
    with pytest.raises(UserError) as caught:
        RunConfig(**{"bench": "201", **settings})
    assert said in str(caught.value) and len(str(caught.value)) < 6000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "9" * 5000], "argument --seeds: "), (["--batch-size", "9" * 4200], "argument --batch-size: "),
        (["--seeds=--"], "argument --seeds: expected a value, got '--'"), (["--bench=--"], "expected a value"),
        (["--gpu-share", "inf"], "argument --gpu-share: "), (["--gpu-share", "nan"], "argument --gpu-share: "),
        (["--seeds", "1e3"], "argument --seeds: "), (["--" + "x" * 5000], "unrecognized"),
    ],
)  # fmt: skip
def test_words_that_are_no_values_are_one_line(words: list[str], said: str, capsys):
    with pytest.raises(SystemExit) as ended:
        harness.cli.run.main(["--bench", "201", *words])
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and said in lines[-1] and len(lines[-1]) < 1000


def test_whole_numbers_and_words_are_sample_and_stack():
    assert RunConfig(bench="201", sample=5, stack=2) == RunConfig(bench="201", sample="5", stack="2")
    assert RunConfig(bench="201", sample="all", devices="cuda:1", proxies="").sample == "all"


def test_two_proxies_of_one_file(tmp_path: Path):
    path = tmp_path / "two.py"
    path.write_text(TWO.format(value=0))
    both = f"{path}:one_of_two,{path}:two_of_two"
    for _ in range(2):
        assert [proxy.name for proxy in choose(both)] == [*baselines(), "one_of_two", "two_of_two"]
    before = {proxy.name: proxy.source for proxy in choose(both)}
    path.write_text(TWO.format(value=1))
    after = {proxy.name: proxy.source for proxy in choose(both)}
    assert before["one_of_two"] != after["one_of_two"] == after["two_of_two"]


def test_a_file_without_that_proxy_leaves_nothing_behind(tmp_path: Path):
    path = tmp_path / "three.py"
    path.write_text(TWO.format(value=0).replace("of_two", "of_three"))
    with pytest.raises(UserError, match="registers no proxy named 'four' .*one_of_three, two_of_three"):
        choose(f"{path}:four")
    with pytest.raises(UserError, match="unknown proxy: 'one_of_three'"):
        choose("one_of_three")
    path.write_text("raise RuntimeError('no\\nluck')")
    with pytest.raises(UserError, match="could not be run: RuntimeError"):
        choose(f"{path}:four")


def test_a_users_file_cannot_take_a_built_in_name(tmp_path: Path):
    path = tmp_path / "four.py"
    path.write_text(TWO.format(value=0).replace("two_of_two", "snip"))
    with pytest.raises(UserError, match="a proxy named 'snip' exists already"):
        choose(f"{path}:snip")
    assert choose("snip")[-1].score.__module__ == "harness.proxies.snip"


def test_a_cell_of_a_notebook_can_be_run_again():
    for value in (1, 2):

        @harness.proxy(reads="outputs", labels=False)
        def of_a_cell(probe, value=value):
            return value

    assert choose("of_a_cell")[-1].score(None) == 2


@pytest.mark.parametrize("line", [harness.cli.run.parser, harness.cli.evaluate.parser])
def test_help_lists_the_benchmarks(line):
    said = " ".join(line().format_help().split())
    assert f"benchmark: {', '.join(BENCHMARKS)} " in said


@pytest.mark.parametrize(
    "named, told",
    [
        ({"seeds": "2"}, "--seeds '2': expected int, got str"),
        ({"seeds": True}, "--seeds True: expected int, got bool"),
        ({"epochs": [1]}, r"--epochs \[1\]: expected int, got list"),
        ({"data": 3.5, "out": {}}, "--data 3.5: expected str, got float; --out {}: expected str, got dict"),
        ({"proxy_timeout": None}, "--proxy-timeout None: expected float, got NoneType"),
        ({"balanced": 1}, "--balanced 1: expected bool, got int"),
    ],
)
def test_a_value_of_another_type_is_named(named: dict, told: str) -> None:
    """Defect: Python's own TypeError, such as '<=' not supported between instances of 'int' and 'str'."""
    with pytest.raises(UserError, match=told):
        RunConfig("201", **named)


def test_numpy_numbers_and_paths_serve(tmp_path: Path) -> None:
    config = RunConfig(
        np.int64(201), sample=np.int32(3), seeds=np.int64(2), proxy_timeout=np.float32(3), balanced=np.True_,
        out=tmp_path, reduction=777,
    )  # fmt: skip
    assert config == RunConfig(
        "201", sample="3", seeds=2, proxy_timeout=3.0, balanced=True, out=tmp_path, reduction="777"
    )
    assert type(config.seeds) is int and 'bench = "201"' in as_toml("run", config.as_json())
