"""From `nas-harness data get` to a run: small published files off a server on this machine, into the user's cache."""

from __future__ import annotations

import functools
import hashlib
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from file_server import Served, serve

import benchmarks
import harness
from benchmarks import UserError, download, space_of
from benchmarks.files.fetch import fetch
from benchmarks.files.sources import Source, cache_folder, data_folder
from benchmarks.nasbench201.sources import MEANS
from harness.cli.data import main

SIZE = len(space_of("201"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address and the folder of a server; it has lists of accuracies in the form of the published ones."""
    folder = tmp_path_factory.mktemp("web")
    for name, (dataset, _) in MEANS.items():
        values = np.linspace(10, 90, SIZE) if dataset == "cifar10" else np.full(SIZE, 33.0)
        (folder / name).write_bytes(pickle.dumps([np.float64(value) for value in values]))
    (folder / "devices").mkdir()
    for name in ("a.pt", "b.pt"):
        (folder / "devices" / name).write_bytes(name.encode())
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


def sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def cache(website, tmp_path, monkeypatch) -> Path:
    """No data folder, an empty cache, and addresses that lead to the server."""
    address, folder = website
    known = download.all_sources()
    here = {name: replace(known[name], url=f"{address}/{name}", checksum=sha256(folder / name)) for name in MEANS}
    parts = tuple((name, sha256(folder / "devices" / name)) for name in ("a.pt", "b.pt"))
    devices = Source("devices/", "two files", 8, "P", f"{address}/devices/", None, True, "latency", "MIT", parts)
    monkeypatch.setattr(download, "all_sources", lambda: {**here, "devices": devices})
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NAS_HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_two_commands_to_the_real_benchmark(cache, capsys, tmp_path):
    assert data_folder() is None and benchmarks.load("201").embedded
    assert main(["get", "201", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert said.count("licence: Apache-2.0") == said.count("checksum as expected") == 3
    assert "https://github.com/hzf1174/RoBoT" in said
    assert sum(path.stat().st_size for path in cache.iterdir()) < 10**6
    opened = benchmarks.load("201")  # nothing is named
    assert not opened.embedded and opened.table.source.startswith("test means as RoBoT released them")
    assert opened.table.target()[-1] == 90 and benchmarks.load("201", "cifar100").table.target()[0] == 33
    assert main(["get", "201"]) == 0 and capsys.readouterr().out.count("is there already") == 3
    found = harness.correlate(
        "201", proxies="l2_norm,snip,naswot", sample=10, batch_size=2, workers=1, stack=5, out=str(tmp_path / "run"),
        verbose=False,
    )  # fmt: skip
    assert {"l2_norm", "naswot"} <= set(found.run.scores) and "snip" not in found.run.scores
    note = found.run.manifest["input_note"]
    assert "no images of cifar10 found (nas-harness data get images)" in note and "read labels: snip" in note
    assert found.run.manifest["minibatch"].startswith("Gaussian noise") and note in str(
        (tmp_path / "run" / "scores.h5").read_bytes()
    )
    with pytest.raises(UserError, match="no other score was named. --inputs gaussian scores them with random labels"):
        harness.correlate("201", proxies="snip", sample=10, out=str(tmp_path / "x"), verbose=False)
    with pytest.raises(UserError, match="no CIFAR-10 images: .*nas-harness data get images"):
        harness.correlate("201", proxies="snip", inputs="images", out=str(tmp_path / "x"), verbose=False)


def test_a_folder_of_files_one_by_one(cache, capsys):
    assert main(["get", "latency"]) == 0
    assert "wrote" in (said := capsys.readouterr().out) and "(2 files), checksums as expected" in said
    (cache / "devices" / "a.pt").unlink()
    assert main(["get", "latency", "devices"]) == 0
    assert "(1 files)" in capsys.readouterr().out and (cache / "devices" / "a.pt").read_bytes() == b"a.pt"


def test_without_a_network_it_says_what_to_put_where(cache, capsys, monkeypatch):
    nowhere = {
        name: replace(source, url=f"http://127.0.0.1:9/{name}") for name, source in download.all_sources().items()
    }
    monkeypatch.setattr(download, "all_sources", lambda: nowhere)
    assert main(["get", "201"]) == 2
    said = capsys.readouterr().err
    files = "; ".join(f"http://127.0.0.1:9/{name} into {cache}" for name in MEANS)
    assert said.strip().endswith(f"is there a network? Without one, get by another machine {files}")
    assert said.count("\n") == 1 and benchmarks.load("201").embedded  # the second command runs on the digits
    assert main(["get", "latency"]) == 2
    assert f"the 2 files of http://127.0.0.1:9/devices into {cache / 'devices'}" in capsys.readouterr().err


def test_it_goes_through_the_proxy_of_the_environment(tmp_path, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(Served(b"content")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/thing.bin"))
        fetch("http://files.example/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"content" and proxy.asked[0]["Host"] == "files.example"


def test_every_small_file_is_pinned_and_has_a_licence_line():
    sources = [source for source in download.all_sources().values() if source.group]
    groups = download.groups(sources)
    assert {"201", "macro", "robustness", "hardware", "latency", "darts", "mobilenet", "images"} <= groups.keys()
    for source in sources:
        sums = [source.checksum] if source.checksum else [checksum for _, checksum in source.parts]
        assert sums and all(each.partition(":")[0] in ("sha256", "md5") for each in sums), source.name
        assert source.url and source.url.startswith("https://") and source.licence and source.page
        if "githubusercontent" in source.url:
            assert len(source.url.split("/")[5]) == 40  # a revision, no branch
    assert download.origin(groups["macro"][0]).endswith("licence: Apache-2.0")


def test_the_real_files_have_these_checksums(real_data):
    small = real_data / "small"
    if not small.is_dir():
        pytest.skip("no small/ in the data folder")
    for source in download.all_sources().values():
        if (small / source.key).is_file() and source.checksum:
            assert sha256(small / source.key) == source.checksum, source.name
    table = benchmarks.load("201", "imagenet16-120", small).table
    assert table.target().max() == pytest.approx(47.3111, abs=1e-4) and int(table.target().argmax()) == 857


def test_the_real_files_from_a_server(real_data, tmp_path, monkeypatch, capsys):
    small = real_data / "small"
    if not small.is_dir():
        pytest.skip("no small/ in the data folder")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=small))
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        known = download.all_sources()
        there = {name: source for name, source in known.items() if (small / name).is_file()}
        for name, source in there.items():
            there[name] = replace(source, url=f"http://127.0.0.1:{server.server_port}/{name}")
        monkeypatch.setattr(download, "all_sources", lambda: there)
        monkeypatch.setenv("no_proxy", "*")
        assert main(["get", "201", "size", "mobilenet", "--data", str(tmp_path), "--quiet"]) == 0
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert capsys.readouterr().out.count("checksum as expected") == 5
    assert benchmarks.load("201", "cifar100", tmp_path).table.target().max() == pytest.approx(73.5133, abs=1e-4)
    assert benchmarks.load("nats-size", data=tmp_path).table.target().max() == 93.65


def test_lists_that_are_none_are_refused(tmp_path):
    name = next(iter(MEANS))
    (tmp_path / name).write_bytes(pickle.dumps([np.float64(1)] * 3))
    with pytest.raises(UserError, match="nb2_cf10_test_accuracy.p: a list of 3; expected 15,625"):
        benchmarks.load("201", data=tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps([101.0] * SIZE))
    with pytest.raises(UserError, match="outside 0..100 percent"):
        benchmarks.load("201", data=tmp_path)


def test_the_cache_is_where_caches_are(monkeypatch, tmp_path):
    monkeypatch.delenv("NAS_HARNESS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "nas-proxy-harness"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("~/.cache/nas-proxy-harness").expanduser()
