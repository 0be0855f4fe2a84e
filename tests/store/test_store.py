"""The run folder: what is committed stays, whatever happens to the process, the disk or the files beside it."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import UserError
from harness.store.parts import Part
from harness.store.store import Store
from harness.store.stored_run import StoredRun, load_run, read_manifest

ROOT = Path(__file__).resolve().parents[2]
SIZE = 20
SETTINGS = {"bench": "201", "batch_size": 64, "share": True, "proxies": ["a"], "sample": 4, "seeds": 1}


def manifest(**changes) -> dict:
    return {"settings": SETTINGS | changes, "proxies": {}}


def part(values, index=(1, 3), seed: int = 0, proxies=("a",), reasons=None) -> Part:
    scores = np.array([values], dtype=float).repeat(len(proxies), 0)
    reasons = tuple(reasons or ({},) * len(proxies))
    return Part(seed, tuple(proxies), np.array(index), scores, np.ones_like(scores), reasons)


def stored(folder: Path, index=(1, 3), scores=((5.0, 6.0),), seconds=None, class_id=None, **changes) -> StoredRun:
    index, scores = np.array(index), np.array(scores, dtype=float)
    n = len(index)
    return StoredRun(
        path=folder, manifest=manifest(**changes), archs=tuple(f"arch{i}" for i in index), index=index,
        accuracy=np.arange(n) + 50.0, seed_accuracy=np.zeros((n, 0)),
        class_id=index if class_id is None else np.array(class_id), connected=np.ones(n, dtype=bool), params=np.ones(n),
        conv_count=np.ones(n, dtype=int), scores={"a": scores},
        seconds={"a": np.ones_like(scores) if seconds is None else np.array(seconds, dtype=float)},
        failures=pd.DataFrame(columns=["proxy", "seed", "arch", "reason"]), space_best=99.0,
    )  # fmt: skip


def reopened(folder: Path, **changes) -> Store:
    return Store(folder, manifest(**changes), SIZE)


def refused(folder: Path, existing: str = "resume", **changes) -> str:
    with pytest.raises(UserError) as caught:
        Store(folder, manifest(**changes), SIZE, existing=existing)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path):
    """The message names the process that has the folder; its death frees the folder."""
    code = (
        "import pathlib, sys, time\nfrom harness.store.store import Store\n"
        f"store = Store(pathlib.Path({str(tmp_path / 'run')!r}), {manifest()!r}, {SIZE})\n"
        "print('held', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        assert f"in use by another run (process {other.pid} on" in refused(tmp_path / "run")
        other.kill()
    reopened(tmp_path / "run")


def test_temporary_files_of_a_killed_writer_are_removed(folder: Path):
    left = [folder / ".scores.h5.0a.part", folder / "parts" / ".x.npz.1b.part", folder / "manifest.tmp"]
    for path in left:
        path.write_bytes(b"half")
    assert reopened(folder).of("a", 0).done.sum() == 2
    assert not [path for path in left if path.exists()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with one committed part."""
    Store(tmp_path / "run", manifest(), SIZE).commit(part([1.5, np.nan], reasons=({1: "why"},)))
    return tmp_path / "run"


def test_what_was_committed_is_there_again(folder: Path):
    cells = reopened(folder).of("a", 0)
    assert cells.done.nonzero()[0].tolist() == [1, 3] and cells.score[1] == 1.5 and np.isnan(cells.score[3])
    assert cells.reasons == {3: "why"}
    assert reopened(folder).missing(["a", "b"], 0, (1, 2, 3)) == {(2,): ("a",), (1, 2, 3): ("b",)}
    assert reopened(folder).missing(["a"], 1, (1,)) == {(1,): ("a",)}


def test_merged_scores_replace_the_parts_and_read_back(folder: Path):
    store = reopened(folder)
    run = stored(folder, scores=((1.5, np.inf),))
    store.merge(run)
    assert list((folder / "parts").iterdir()) == []
    again = load_run(folder)
    assert again.archs == run.archs and np.array_equal(again.scores["a"], run.scores["a"]) and again.space_best == 99.0
    assert reopened(folder).of("a", 0).score[[1, 3]].tolist() == [1.5, np.inf]


def test_a_smaller_run_loses_nothing(folder: Path):
    store = reopened(folder)
    store.commit(part([7.0, 8.0], index=(5, 6)))
    store.commit(part([9.0], index=(1,), seed=1))
    store.commit(part([4.0], index=(2,), proxies=("b",)))
    for _ in range(2):  # and again after a second merge
        store.merge(stored(folder, index=(1,), scores=((1.5,),)))
        store = reopened(folder)
        assert store.of("a", 0).score[[1, 5, 6]].tolist() == [1.5, 7.0, 8.0] and store.of("a", 0).reasons == {3: "why"}
        assert store.of("a", 1).score[1] == 9.0 and store.of("b", 0).score[2] == 4.0
    assert load_run(folder).scores["a"].tolist() == [[1.5]]


def test_unshared_scores_belong_to_their_own_string(tmp_path: Path):
    store = reopened(tmp_path, share=False)
    store.merge(stored(tmp_path, index=(4, 5), scores=((1.0, 2.0),), class_id=(4, 4), share=False))
    assert reopened(tmp_path, share=False).of("a", 0).score[[4, 5]].tolist() == [1.0, 2.0]


def test_shared_scores_are_remembered_once_for_the_network(tmp_path: Path):
    store = reopened(tmp_path)
    store.merge(stored(tmp_path, index=(4, 5), scores=((1.0, 1.0),), class_id=(4, 4), seconds=((0.5, np.nan),)))
    assert reopened(tmp_path).of("a", 0).done.nonzero()[0].tolist() == [4]


def test_counts_are_not_taken_for_scores_of_networks(tmp_path: Path):
    run = stored(tmp_path)
    run.manifest["proxies"] = {"a": {"cost": "S"}}
    reopened(tmp_path).merge(run)
    assert not reopened(tmp_path).of("a", 0).done.any()


def test_a_half_written_file_is_ignored_and_cleared_away(folder: Path):
    half = folder / "parts" / "0123.tmp"
    half.write_bytes(b"PK\x03\x04")
    (folder / "manifest.tmp").write_text('{"sett')
    (folder / "scores.h5.tmp").write_bytes(b"\x89HDF")
    store = reopened(folder)
    assert store.of("a", 0).done.sum() == 2
    store.merge(stored(folder, scores=((1.5, 2.0),)))
    assert not half.exists() and not (folder / "scores.h5.tmp").exists()


def test_killed_before_the_first_manifest_is_no_foreign_folder(tmp_path: Path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "manifest.tmp").write_text('{"sett')
    assert reopened(tmp_path).of("a", 0).done.sum() == 0


def test_other_settings_are_refused_with_the_difference(folder: Path):
    said = refused(folder, batch_size=32, dataset="cifar10")
    assert "batch_size 64 -> 32" in said and "dataset None -> 'cifar10'" in said and "--existing replace" in said
    for free in ({"sample": 9}, {"seeds": 2}, {"proxies": ["b"]}):
        reopened(folder, **free)


def test_own_proxies_are_added_and_edited(folder: Path):
    reopened(folder, own_proxies={"mine": "1"})
    reopened(folder, own_proxies={"other": "2"})
    assert read_manifest(folder / "manifest.json")["settings"]["own_proxies"] == {"mine": "1", "other": "2"}
    reopened(folder, own_proxies={"mine": "3"})
    assert read_manifest(folder / "manifest.json")["settings"]["own_proxies"] == {"mine": "3", "other": "2"}


def test_earlier_calls_stay_on_record(folder: Path):
    for command in ("first", "second", "third"):
        store = Store(folder, manifest() | {"command": command, "seconds": 0.0}, SIZE)
        store.manifest["seconds"] += 2.0
        store.write_manifest()
    record = read_manifest(folder / "manifest.json")
    assert [call.get("command") for call in record["earlier"]] == [None, "first", "second"] and record["seconds"] == 6.0


def test_refuse_and_replace(folder: Path):
    assert "--existing refuse" in refused(folder, "refuse")
    assert Store(folder, manifest(batch_size=1), SIZE, existing="replace").of("a", 0).done.sum() == 0
    assert list((folder / "parts").iterdir()) == [] and reopened(folder, batch_size=1)


@pytest.mark.parametrize("existing", ["resume", "replace", "refuse"])
def test_a_folder_of_another_program_is_left_alone(existing: str, tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "thesis.tex" in refused(tmp_path, existing)
    (tmp_path / "manifest.json").write_text('{"name": "a browser extension", "settings": {}}')
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "engine.npz").write_text("mine")
    assert "not the manifest of a run" in refused(tmp_path, existing)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert (tmp_path / "parts" / "engine.npz").read_text() == "mine"


def test_a_foreign_folder_gets_nothing_from_us(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    refused(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


BROKEN_MANIFESTS = (
    "", "{", "[]", "null", '{"settings": 3}', "\x00\xff", "[" * 100_000, "9" * 5000,
    '{"settings": {"bench": "201", "own_proxies": []}}', '{"settings": {"bench": "201"}, "earlier": 3}',
    '{"settings": {"bench": ["201"]}}', '{"settings": {"bench": "201"}, "proxies": {"a": 1}}',
    '{"settings": {"bench": "201"}, "space_size": 0}',
)  # fmt: skip


@pytest.mark.parametrize("text", BROKEN_MANIFESTS, ids=range(len(BROKEN_MANIFESTS)))
def test_a_damaged_manifest_is_one_line(text: str, folder: Path):
    (folder / "manifest.json").write_text(text)
    said = refused(folder)
    assert "manifest.json: truncated or not" in said and "the manifest of a run" in said
    assert said.endswith("give another --out, or delete the folder if it was a run")


def test_damaged_parts_and_scores_say_what_to_delete(folder: Path):
    (path,) = (folder / "parts").glob("*.npz")
    whole = path.read_bytes()
    scratched = whole[:60] + b"\xff" * 40 + whole[100:]
    for content in (b"", whole[: len(whole) // 2], whole[:-1], b"\x00" * len(whole), scratched):
        path.write_bytes(content)
        said = refused(folder)
        assert str(path) in said and "delete it" in said
    path.unlink()
    reopened(folder).merge(stored(folder))
    whole = (folder / "scores.h5").read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not HDF5 at all"):
        (folder / "scores.h5").write_bytes(content)
        assert "scores.h5: truncated or not the scores of a run" in refused(folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"index": np.array([[3]])}, {"index": np.array([3.5])}, {"index": np.array([-1])}, {"index": np.array([10**9])},
        {"scores": np.zeros(3)}, {"scores": np.array([["1"]])}, {"seconds": np.zeros((1, 5))}, {"seed": np.array("x")},
        {"seed": np.array([1, 2])}, {"reasons": np.array('[[["9", "x"]]]')}, {"reasons": np.array("[]")},
        {"proxies": np.array(1)}, {"reasons": np.array("[" * 9999)},
    ],
)  # fmt: skip
def test_parts_with_other_arrays_are_one_line(changed: dict, folder: Path):
    (path,) = (folder / "parts").glob("*.npz")
    with np.load(path) as held:
        content = dict(held)
    np.savez(path, **content | changed)
    said = refused(folder)
    assert str(path) in said and "delete it" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("index", [1.5] * 2), ("class_id", None), ("accuracy", np.zeros((2, 2))), ("class_id", [1]),
        ("connected", [1.0, 1.0]), ("scores/a", [[1.0, 2.0, 3.0]]), ("scores/a", [1.0, 2.0]),
        ("scores/b", [[1.0, 2.0]]), ("scores/a/b", [1]), ("seconds/a", [[1.0, 2.0]] * 3),
        ("failures", [[1, 2]]), ("arch", 5),
    ],
)  # fmt: skip
def test_arrays_of_a_run_that_do_not_fit_are_one_line(name: str, value, folder: Path):
    import h5py

    reopened(folder).merge(stored(folder))
    with h5py.File(folder / "scores.h5", "a") as file:
        if name.split("/")[0] in file:
            del file[name if name in file else name.split("/")[0]]
        if value is not None:
            file[name] = value
    with pytest.raises(UserError, match="scores.h5: truncated or not the scores of a run"):
        load_run(folder)


def test_a_foreign_hdf5_file_is_one_line(folder: Path):
    import h5py

    with h5py.File(folder / "scores.h5", "w") as file:
        file["arch"] = [1, 2]
    assert "scores.h5: truncated or not the scores of a run" in refused(folder)


def test_unfinished_and_absent_runs(folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match="not finished: repeat the command"):
        load_run(folder)
    with pytest.raises(UserError, match="give the folder of a run"):
        load_run(tmp_path / "nowhere")


FULL = """
import resource, sys, pathlib
sys.path.insert(0, "tests/store")
from test_store import UserError, reopened, stored
folder = pathlib.Path(sys.argv[1])
with reopened(folder) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    try:
        store.merge(stored(folder))
    except UserError as error:
        print(error)
"""


def test_a_disk_that_is_full_at_the_merge_is_one_line_and_no_crash(folder: Path):
    """HDF5 writes into memory: the library crashes, after its error, where a disk is full."""
    done = subprocess.run([sys.executable, "-c", FULL, str(folder)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stderr == ""
    assert "scores.h5: File too large; all scores are kept in parts/: make room and repeat" in done.stdout
    assert [path.suffix for path in (folder / "parts").iterdir()] == [".npz"]
    assert reopened(folder).of("a", 0).done.sum() == 2


def test_a_full_disk_loses_nothing_that_was_committed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    store, untouched = reopened(folder), reopened(folder)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="the disk is full; everything committed before is kept"):
            store.commit(part([3.0], index=(7,)))
        with pytest.raises(UserError, match="the disk is full; all scores are kept in parts"):
            untouched.merge(stored(folder))
    assert [path.suffix for path in (folder / "parts").iterdir()] == [".npz"]  # no half-written file
    again = reopened(folder)
    assert again.of("a", 0).done.nonzero()[0].tolist() == [1, 3]


def test_a_really_full_disk(tmp_path: Path):
    """On a file system of 256 kB: a commit and the merge fail in one line, and what was there before is still read."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here (needs root)")
    try:
        with reopened(disk / "run") as store:
            store.commit(part([1.0, 2.0]))
            fill = disk / "fill"
            fill.write_bytes(b"\x00" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 8192))
            many = tuple(range(SIZE))
            with pytest.raises(UserError, match="the disk is full"):
                for _ in range(20):
                    store.commit(part(np.random.default_rng(0).random(SIZE), index=many))
            with pytest.raises(UserError, match="cannot write"):
                store.merge(stored(disk / "run", index=many, scores=(np.arange(SIZE),)))
            fill.unlink()
        with reopened(disk / "run") as again:
            assert again.of("a", 0).done[[1, 3]].all()
            again.merge(stored(disk / "run", index=many, scores=(np.arange(SIZE),)))
        assert load_run(disk / "run").scores["a"].shape == (1, SIZE)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "locked").mkdir()

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    if os.access("/proc/version", os.W_OK) or os.geteuid() == 0:  # root may write anywhere: let the system call say no
        monkeypatch.setattr(Path, "mkdir", forbidden)
    (tmp_path / "locked").chmod(0o500)
    assert "Permission denied; give another --out" in refused(tmp_path / "locked")


def test_a_file_where_the_folder_should_be(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    assert "cannot write the run folder" in refused(tmp_path / "file")
    assert "cannot write the run folder" in refused(tmp_path / "file" / "below")


def test_the_manifest_is_json_for_people(folder: Path):
    assert json.loads((folder / "manifest.json").read_text())["settings"]["batch_size"] == 64
