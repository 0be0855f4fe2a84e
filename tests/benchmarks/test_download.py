"""`python -m benchmarks.download` against servers on this machine that do what servers do."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import shutil
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import Served, serve

from benchmarks import UserError, download
from benchmarks.benchmark import space_of
from benchmarks.files import fetch
from benchmarks.files.sources import Source
from benchmarks.files.write import digest

CONTENT = random.Random(0).randbytes(700_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(Served(CONTENT)) as one:
        yield one


def fetched(*arguments) -> str:
    """Fetch a file; return the sha256 of what lies at the target then."""
    fetch.fetch(*arguments)
    return digest(arguments[1])


def begin(served: Served, target: Path, n: int = 300_000) -> None:
    """Leave a download that was cut off after n bytes."""
    served.cut_after = n
    with pytest.raises(UserError, match=rf"the connection broke \({n:,} of 700,000 bytes received\)"):
        fetched(served.url, target)
    served.cut_after = None
    assert target.with_name("x.part").read_bytes() == CONTENT[:n]
    assert not target.exists()


def test_a_fresh_download(served, tmp_path):
    seen = []
    assert fetched(served.url, tmp_path / "x", f"sha256:{SHA}", lambda *now: seen.append(now)) == SHA
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert seen[0] == (0, 700_000) and seen[-1] == (700_000, 700_000) and len(seen) > 2
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert served.asked[0]["Accept-Encoding"] == "identity" and "Range" not in served.asked[0]


@pytest.mark.parametrize(
    ("etag", "date", "named"),
    [
        ('"one"', None, '"one"'),
        (None, "Sat, 01 Jan 2022 00:00:00 GMT", "Sat, 01 Jan 2022 00:00:00 GMT"),
        ('W/"weak"', "Sat, 01 Jan 2022 00:00:00 GMT", "Sat, 01 Jan 2022 00:00:00 GMT"),
    ],
)
def test_what_was_cut_off_is_continued(served, tmp_path, etag, date, named):
    served.etag, served.date = etag, date
    begin(served, tmp_path / "x")
    seen = []
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert fetched(served.url, tmp_path / "x", f"md5:{md5}", lambda *now: seen.append(now)) == SHA
    assert (served.asked[1]["Range"], served.asked[1]["If-Range"]) == ("bytes=300000-", named)
    assert seen[0] == (300_000, 700_000)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_cut_off_twice(served, tmp_path):
    begin(served, tmp_path / "x")
    served.cut_after = 100_000
    with pytest.raises(UserError, match="400,000 of 700,000 bytes received"):
        fetched(served.url, tmp_path / "x")
    served.cut_after = None
    assert fetched(served.url, tmp_path / "x") == SHA
    assert served.asked[2]["Range"] == "bytes=400000-"


@pytest.mark.parametrize("change", ["ignores ranges", "another file", "nothing to confirm", "another address"])
def test_it_begins_anew_where_it_cannot_be_continued(served, tmp_path, change):
    if change == "nothing to confirm":
        served.etag = None
    begin(served, tmp_path / "x")
    if change == "ignores ranges":
        served.ranges = False
    elif change == "another file":
        served.etag, served.content = '"two"', CONTENT[::-1]
    elif change == "another address":
        served.url += "?2"
    assert fetched(served.url, tmp_path / "x") == hashlib.sha256(served.content).hexdigest()
    assert (tmp_path / "x").read_bytes() == served.content
    assert ("Range" in served.asked[1]) == (change in ("ignores ranges", "another file"))


@pytest.mark.parametrize("facts", ["", "[]", "null", '{"url": 1}', "\udcff"])
def test_damaged_notes_begin_anew(served, tmp_path, facts):
    begin(served, tmp_path / "x")
    (tmp_path / "x.part.json").write_bytes(facts.encode("utf-8", "surrogateescape"))
    assert fetched(served.url, tmp_path / "x") == SHA


def test_a_complete_part_is_not_asked_for_again(served, tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT)
    notes = {"url": served.url, "validator": '"one"', "size": len(CONTENT)}
    (tmp_path / "x.part.json").write_text(json.dumps(notes))
    assert fetched(served.url, tmp_path / "x") == SHA
    assert not served.asked


def test_a_part_longer_than_the_file_begins_anew(served, tmp_path):
    begin(served, tmp_path / "x")
    served.content = CONTENT[:1000]  # though the server says it is the same
    assert fetched(served.url, tmp_path / "x") == hashlib.sha256(CONTENT[:1000]).hexdigest()
    assert ["Range" in asked for asked in served.asked] == [False, True, False]


def test_another_part_than_was_asked_for_is_not_put_behind(served, tmp_path):
    begin(served, tmp_path / "x")
    served.shift = 7
    with pytest.raises(UserError, match="another part than requested"):
        fetched(served.url, tmp_path / "x")
    assert fetched(served.url, tmp_path / "x") == SHA


def test_a_server_that_tells_no_size(served, tmp_path):
    served.length, seen = False, []
    assert fetched(served.url, tmp_path / "x", None, lambda *now: seen.append(now)) == SHA
    assert seen[-1] == (700_000, None)


def test_a_wrong_checksum_removes_what_came(served, tmp_path):
    with pytest.raises(UserError, match=f"its sha256 is {SHA}, expected {'0' * 64}; removed"):
        fetched(served.url, tmp_path / "x", f"sha256:{'0' * 64}")
    assert not list(tmp_path.iterdir())


def test_answers_that_bring_nothing(served, tmp_path):
    served.status = 404
    with pytest.raises(UserError, match=r"thing.bin: the server answers 404 Not Found"):
        fetched(served.url, tmp_path / "x")
    served.status = 503
    with pytest.raises(UserError, match="the server answers 503"):
        fetched(served.url, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_no_one_answers(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match=r"no connection \(Connection refused\); is there a network\?"):
            fetched(f"http://127.0.0.1:{closed.getsockname()[1]}/x", tmp_path / "x")


def test_a_server_that_falls_silent(served, tmp_path, monkeypatch):
    def read(*_):
        raise TimeoutError("timed out")

    monkeypatch.setattr("http.client.HTTPResponse.read", read)
    with pytest.raises(UserError, match=r"the connection broke \(timed out\)"):
        fetched(served.url, tmp_path / "x")


def test_an_encrypted_address_does_not_lead_to_a_plain_one(served, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_open", lambda *_: fetch.urllib.request.urlopen(served.url))
    with pytest.raises(UserError, match="without encryption, http://127.0.0.1"):
        fetched("https://example.org/x", tmp_path / "x")


def test_a_full_disk(served, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=699_999))
        with pytest.raises(UserError, match=r"not enough disk space: 700 kB needed in .*, 700 kB free"):
            fetched(served.url, tmp_path / "x")
        assert not list(tmp_path.iterdir())
        begin_at = served.cut_after = 300_000
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(UserError):
            fetched(served.url, tmp_path / "x")
        served.cut_after = None
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=700_000 - begin_at))
        assert fetched(served.url, tmp_path / "x") == SHA  # only what is still to come needs room
    with pytest.raises(UserError, match=r"cannot write .*x.part \(Is a directory\)"):
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "x.part").mkdir()
        fetched(served.url, tmp_path / "new" / "x")


# The command


@pytest.fixture
def one(served, monkeypatch) -> Iterator[Source]:
    """The only file that can be had."""
    source = Source("thing.bin", "a thing", 700_000, "https://example.org", served.url, f"sha256:{SHA}")
    monkeypatch.setattr(download, "all_sources", lambda: {"thing.bin": source, "page": Source("page", "?", page="P")})
    return source


def test_the_command(one, tmp_path, capsys, monkeypatch):
    arguments = ["thing.bin", "--quiet", "--data", str(tmp_path / "new" / "folder")]
    assert download.main(arguments) == 0
    assert f"wrote {tmp_path}/new/folder/thing.bin (700 kB), checksum as expected" in capsys.readouterr().out
    assert download.main(arguments) == 0
    assert "is there already" in capsys.readouterr().out
    monkeypatch.setenv("NAS_HARNESS_DATA", str(tmp_path / "other"))
    assert download.main(["thing.bin"]) == 0  # with a progress bar
    assert (tmp_path / "other" / "thing.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["thing.bim", "other"],
            "unknown file: 'thing.bim' (did you mean thing.bin?), 'other'; valid: page, thing.bin",
        ),
        (["page"], "page has no stable public address; get it by P and put it into"),
    ],
)
def test_what_cannot_be_had(one, tmp_path, capsys, names, said):
    assert download.main([*names, "--data", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1
    (tmp_path / "file").touch()
    assert download.main(["thing.bin", "--data", str(tmp_path / "file" / "x")]) == 2
    assert "cannot make the folder" in capsys.readouterr().err


def test_ctrl_c_keeps_what_came(served, one, tmp_path, capsys, monkeypatch):
    class Bar:
        def __init__(self, *_: object, **__: object) -> None:
            self.calls = 0

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __call__(self, done: int, _: int | None) -> None:
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "progress_bar", Bar)
        assert download.main(["thing.bin", "--data", str(tmp_path)]) == 130
    assert "what was received is kept: repeat the command" in capsys.readouterr().err
    kept = (tmp_path / "thing.bin.part").stat().st_size
    assert 0 < kept < 700_000
    assert download.main(["thing.bin", "--quiet", "--data", str(tmp_path)]) == 0
    assert served.asked[1]["Range"] == f"bytes={kept}-"


def test_without_a_checksum_the_command_tells_the_one_that_came(served, tmp_path):
    said = download.download(Source("x", "a thing", url=served.url), tmp_path)
    assert said.endswith(f"checksum not known; its sha256 is {SHA}")


def test_the_list(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    assert download.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert download.main([]) == 0
    assert capsys.readouterr().out == listed
    for part in (
        "cifar-10-batches-py            186 MB, md5:c58f30108f718f92721af3b95e74349a",
        "https://storage.googleapis.com/nasbench/nasbench_full.tfrecord",
        "nasbench_only108.tfrecord      499 MB, checksum not known",
        "NAS-Bench-201-v1_1-*.pth       4.7 GB\n",
        "not downloaded by this command; see https://github.com/D-X-Y/NATS-Bench",
    ):
        assert part in listed
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert download.main(["--list", "--data", str(tmp_path)]) == 0
    assert "cifar-10-batches-py            there, md5" in capsys.readouterr().out


def test_the_checksum_of_macro_is_that_of_the_file(real_data):
    (source,) = space_of("macro").sources
    path = real_data / source.name
    if not path.is_file():
        pytest.skip(f"no {source.name} in {real_data}")
    assert f"sha256:{digest(path)}" == source.checksum
    assert path.stat().st_size == source.size


# Archives


def packed(*members: tuple[str, bytes | None] | tarfile.TarInfo) -> bytes:
    """A .tar.gz: (name, content), content None for a folder."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.type, info.mode = (tarfile.DIRTYPE, 0o755) if member[1] is None else (tarfile.REGTYPE, 0o644)
            info.size = len(member[1] or b"")
            archive.addfile(info, io.BytesIO(member[1] or b""))
    return gzip.compress(target.getvalue(), mtime=0)


def linked(name: str, to: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


GOOD = packed(("pictures", None), ("pictures/a", b"A" * 10), ("pictures/more/b", b"B"))


def test_an_archive_is_unpacked(served, tmp_path):
    served.content = GOOD
    source = Source("pictures/", "some", url=served.url.replace("thing.bin", "pictures.tar.gz"))
    assert download.download(source, tmp_path).startswith(f"wrote {tmp_path / 'pictures'}, checksum not known")
    assert (tmp_path / "pictures" / "a").read_bytes() == b"A" * 10
    assert (tmp_path / "pictures" / "more" / "b").read_bytes() == b"B"
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_an_archive_that_is_there_is_not_fetched_again(served, tmp_path):
    (tmp_path / "pictures.tar.gz").write_bytes(GOOD)
    address, digest = served.url.replace("thing.bin", "pictures.tar.gz"), hashlib.sha256(GOOD).hexdigest()
    said = download.download(Source("pictures/", "some", url=address, checksum=f"sha256:{digest}"), tmp_path)
    assert said.endswith("checksum as expected") and not served.asked


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (packed(("../evil", b"x")), "refused, as '../evil' does not lie in the folder pictures"),
        (packed(("pictures/../../evil", b"x")), "does not lie in the folder"),
        (packed(("/tmp/evil", b"x")), "refused, as '/tmp/evil' does not lie"),
        (packed(("elsewhere/a", b"x")), "refused, as 'elsewhere/a' does not lie"),
        (packed(("picturesque/a", b"x")), "refused, as 'picturesque/a' does not lie"),
        (packed(("pictures", None), linked("pictures/l", "/etc/passwd", tarfile.SYMTYPE)), "is a link or a device"),
        (packed(linked("pictures", "/tmp", tarfile.SYMTYPE), ("pictures/a", b"x")), "is a link or a device"),
        (packed(linked("pictures/h", "../secret", tarfile.LNKTYPE)), "is a link or a device"),
        (packed(linked("pictures/d", "", tarfile.CHRTYPE)), "is a link or a device"),
        (packed(linked("pictures/f", "", tarfile.FIFOTYPE)), "is a link or a device"),
        (packed(), "holds no folder pictures"),
        (GOOD[:-30], "a damaged archive"),
        (GOOD[:40] + b"\xff" * 20 + GOOD[60:], "a damaged archive"),
        (b"<html>not found</html>", "a damaged archive"),
        (gzip.compress(b"not a tar", mtime=0), "a damaged archive"),
        (b"", "a damaged archive"),
    ],
    ids=range(16),
)
def test_archives_that_are_refused(tmp_path, content, said):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "p.tar.gz").write_bytes(content)
    with pytest.raises(UserError) as error:
        download.unpack(folder / "p.tar.gz", folder / "pictures")
    assert said in str(error.value) and "\n" not in str(error.value)
    assert [path.name for path in folder.iterdir()] == ["p.tar.gz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "secret"]


def test_an_archive_that_grows_too_large_is_not_unpacked(tmp_path, monkeypatch):
    (tmp_path / "p.tar.gz").write_bytes(packed(("pictures/a", bytes(5_000_000)), ("pictures/b", b"B")))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4_000_000))
    with pytest.raises(UserError, match="not enough disk space: 5 MB needed"):
        download.unpack(tmp_path / "p.tar.gz", tmp_path / "pictures")
    assert [path.name for path in tmp_path.iterdir()] == ["p.tar.gz"]
