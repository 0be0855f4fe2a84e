"""Training ground truth: the same accuracies whatever the stack; continue, extend, refuse, stop, use the table."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks import UserError
from benchmarks.benchmark import space_of
from benchmarks.table import load_table
from harness.cli.train import main
from harness.inputs.draw import load_images
from harness.training import loop as training
from harness.training.loop import plan, train
from harness.training.recipe import Recipe
from harness.training.stack import train_stack

TINY = Recipe(network={"channels": 2}, train_images=100, valid_images=100, epochs=1, evaluation_copies=1)
OPTIONS = ["--network", "channels=2", "--train-images", "100", "--valid-images", "100", "--epochs", "1",
           "--evaluation-copies", "1", "--workers", "1"]  # fmt: skip
SPACE = space_of("201")
DIGITS = load_images("digits", None)


def trained(out: Path, sample: int = 3, seeds: int = 1, recipe: Recipe = TINY, stack: int = 2, workers: int = 1):
    """Train; return the table."""
    return load_table(train(out, recipe, sample=sample, seeds=seeds, stack=stack, workers=workers), "digits")


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[int, ...]]]:
    """Every (seed, canonical strings) that is trained from here on."""
    found, real = [], training.train_stack

    def spy(space, archs, names, recipe, seed, images, device):
        found.append((seed, tuple(names)))
        return real(space, archs, names, recipe, seed, images, device)

    monkeypatch.setattr(training, "train_stack", spy)
    return found


def test_a_stack_trains_its_architectures_as_each_alone():
    """Sums in another order: after an epoch, at most one of 1,597 test images (0.07 points) is judged otherwise."""
    strings = plan(SPACE, 3)
    archs, names = list(strings), list(strings.values())
    together = train_stack(SPACE, archs, names, TINY, 0, DIGITS, "cpu")
    again = train_stack(SPACE, archs, names, TINY, 0, DIGITS, "cpu")
    alone = [train_stack(SPACE, [a], [n], TINY, 0, DIGITS, "cpu")[0] for a, n in strings.items()]
    assert together.shape == (3, 2) and np.array_equal(together, again)
    np.testing.assert_allclose(together, alone, atol=1.0)
    other = train_stack(SPACE, archs, names, TINY, 1, DIGITS, "cpu")
    assert not np.array_equal(together, other) and (together >= 0).all() and (together <= 100).all()


def test_training_learns():
    """3x3 convolutions on every edge beat chance (10 %) by far after a few epochs."""
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    recipe = Recipe(
        network={"channels": 4}, train_images=600, valid_images=100, epochs=4, evaluation_copies=1, rotation=0.0
    )
    assert train_stack(SPACE, [cell], [cell], recipe, 0, DIGITS, "cpu").min() > 40


def test_the_plan_of_a_larger_sample_begins_with_the_smaller():
    few, many = list(plan(SPACE, 5).items()), list(plan(SPACE, 50).items())
    assert many[: len(few)] == few and len({name for _, name in few}) == 5
    indices = [SPACE.index(arch) for arch, _ in many]
    assert len(set(SPACE.class_id[indices])) == 50 and [name for _, name in many] == list(map(SPACE.canonical, indices))
    drawn = SPACE.sample(len(SPACE), 0)[: len(many)]
    assert indices == drawn.tolist()  # every string drawn on the way is in it: uniform over strings


def test_repeat_extend_and_ask_for_less(tmp_path: Path, stacks: list):
    first = trained(tmp_path)
    stacks.clear()
    assert np.array_equal(trained(tmp_path).accuracy, first.accuracy) and stacks == []
    seeds = trained(tmp_path, seeds=2)
    assert {seed for seed, _ in stacks} == {1} and np.array_equal(seeds.accuracy[..., 0], first.accuracy[..., 0])
    assert not np.array_equal(seeds.accuracy[..., 0], seeds.accuracy[..., 1])
    stacks.clear()
    more = trained(tmp_path, sample=5, seeds=2)
    distinct = list(dict.fromkeys(plan(SPACE, 5).values()))
    assert {name for _, names in stacks for name in names} == set(distinct[3:])  # the stack cut short is not redone
    assert np.array_equal(more.accuracy[: len(first)], seeds.accuracy)
    stacks.clear()
    less = trained(tmp_path, sample=1)
    assert stacks == [] and len(set(SPACE.class_id[[SPACE.index(a) for a in less.archs]])) == 1
    assert np.array_equal(trained(tmp_path, sample=5, seeds=2).accuracy, more.accuracy) and stacks == []


def test_equivalent_strings_have_the_accuracy_of_their_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake = lambda space, archs, names, *_: np.array([[len(n), hash(n) % 97] for n in names]) / 1.0  # noqa: E731
    monkeypatch.setattr(training, "train_stack", fake)
    table = trained(tmp_path, sample=60, stack=16)
    indices = [SPACE.index(arch) for arch in table.archs]
    assert len(table) > len(set(SPACE.class_id[indices])) == 60  # some are equivalent
    expected = [[len(SPACE.canonical(i)), hash(SPACE.canonical(i)) % 97] for i in indices]
    assert np.array_equal(table.accuracy[:, :, 0, 0], expected)


def test_the_table_says_how_it_was_made_and_opens_as_a_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import benchmarks

    table = trained(tmp_path / "work", seeds=2)
    assert table.splits == ("valid", "test") and table.epochs == (1,) and table.seeds == ("0", "1")
    assert json.loads(table.attributes["recipe"])["network"] == {"channels": 2, "cells_per_stage": 1}
    (tmp_path / "work" / "table.h5").rename(tmp_path / "digits201.h5")
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", tmp_path)
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    benchmark = benchmarks.load("201")
    assert benchmark.network == {"channels": 2, "cells_per_stage": 1, "input_channels": 1, "classes": 10}
    assert benchmark.resolution == 8 and benchmark.embedded


def test_another_recipe_is_refused_with_the_difference(tmp_path: Path, stacks: list):
    trained(tmp_path, sample=1)
    with pytest.raises(UserError, match=r"another recipe \(epochs 1 -> 2, noise 0.15 -> 0.5\): give another --out"):
        trained(tmp_path, recipe=Recipe(**{**TINY.__dict__, "epochs": 2, "noise": 0.5}))
    with pytest.raises(UserError, match="stack 2 -> 3"):
        trained(tmp_path, stack=3)
    assert len(stacks) == 1


def test_an_interrupt_keeps_finished_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacks: list, capsys):
    inner = training.train_stack

    def stop_at_the_second(*given):
        if len(stacks) == 1:
            raise KeyboardInterrupt
        return inner(*given)

    words = ["--sample", "3", "--seeds", "1", "--stack", "1", "--out", str(tmp_path / "a"), *OPTIONS]
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_stack", stop_at_the_second)
        assert main(words) == 130
    assert "repeat the command to continue" in capsys.readouterr().err
    assert len(list((tmp_path / "a" / "parts").glob("*.npz"))) == 1
    (tmp_path / "a" / "parts" / "seed0_000001.part").write_bytes(b"PK")  # as a kill while writing leaves it
    assert main(words) == 0 and len(stacks) == 3
    whole = trained(tmp_path / "b", stack=1)
    assert np.array_equal(load_table(tmp_path / "a" / "table.h5", "digits").accuracy, whole.accuracy)


def test_the_same_bits_from_worker_processes(tmp_path: Path):
    assert np.array_equal(trained(tmp_path / "two", workers=2).accuracy, trained(tmp_path / "one").accuracy)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_signal_leaves_no_worker_behind(tmp_path: Path):
    """Other signals stop workers in the same way in every command: tests/runs/test_run.py."""
    from processes import Session

    options = ["--sample", "100", "--seeds", "20", "--stack", "1", "--workers", "2", "--out", "work"]
    with Session(tmp_path, ["-m", "harness.train", *OPTIONS[:-2], *options]) as session:
        session.until(r" [1-9]\d*/")
        session.send(signal.SIGTERM)
        assert session.process.wait(240) == 130
        assert session.gone(60), f"left: {session.members()}"
    assert list((tmp_path / "work" / "parts").glob("*.npz"))
    assert "Traceback" not in session.said and "repeat the command to continue" in session.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--epochs 0 --batch-size 0 --seeds 0 --stack 0 --workers 0 --learning-rate -1",
         ["--epochs 0", "--batch-size 0", "--seeds 0", "--stack 0", "--learning-rate -1"]),
        ("--sample 9446", ["NAS-Bench-201 has 9,445 distinct networks"]),
        ("--train-images 1797", ["1797 images, but the recipe trains on 1797"]),
        ("--dataset mnist", ["mnist"]),
        ("--bench 20", ["unknown benchmark: '20' (did you mean 201"]),
        ("--sampel 3", ["did you mean --sample?"]),
        ("--device gpu", ["--device 'gpu': expected auto, cpu, cuda or cuda:N"]),
        ("--data nowhere", ["no folder 'nowhere'"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(words: str, said: list[str], tmp_path: Path, capsys):
    try:
        code = main([*OPTIONS, "--out", str(tmp_path / "work"), *words.split()])
    except SystemExit as error:
        code = error.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and len(lines) == 1 and all(part in lines[0] for part in said), lines
    assert not (tmp_path / "work").exists()


def test_folders_that_cannot_be_used(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is no training .it holds thesis.tex"):
        trained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="cannot write the folder"):
        trained(tmp_path / "thesis.tex")
    (tmp_path / "work").mkdir()
    for text in ("", "[]", "\x00"):
        (tmp_path / "work" / "recipe.json").write_text(text)
        with pytest.raises(UserError, match="recipe.json: truncated or not .*the recipe of a training"):
            trained(tmp_path / "work")


def test_a_damaged_part_says_what_to_delete(tmp_path: Path):
    trained(tmp_path, sample=1)
    (path,) = (tmp_path / "parts").glob("*.npz")
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"\x00" * 100):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{path.name}: truncated or not .*delete it"):
            trained(tmp_path, sample=1)
