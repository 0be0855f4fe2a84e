"""One file over HTTP: continued where it was cut off, checked, and under its name only when it is complete.

What was received lies next to the target as NAME.part, and in NAME.part.json what the server said of it. It is
continued (Range with If-Range, RFC 9110) only where a strong ETag or a date says that the file is still the same.
"""

import contextlib
import http.client
import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.errors import Progress, UserError
from benchmarks.files.sources import readable_size
from benchmarks.files.write import digest, put_in_place

BLOCK = 1 << 18
TIMEOUT = 60.0
"""Seconds without a byte."""
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class NoConnectionError(UserError):
    """The server was not reached."""


def fetch(url: str, target: Path, checksum: str | None = None, on_progress: Progress | None = None) -> None:
    """Download `url` to `target`.

    `checksum` is "md5:..." or "sha256:...", hexadecimal. Raises UserError for what cannot be downloaded; what was
    received is kept, for the next call to continue, unless its checksum is wrong.
    """
    part, facts = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    try:
        _receive(url, part, facts, on_progress)
        if checksum and not has_checksum(part, checksum):
            kind, _, wanted = checksum.partition(":")
            received = digest(part, kind)
            part.unlink()
            facts.unlink(missing_ok=True)
            raise UserError(f"{url}: not the expected file: its {kind} is {received}, expected {wanted}; removed")
        put_in_place(part, target)
        facts.unlink(missing_ok=True)
    except urllib.error.HTTPError as error:
        raise UserError(f"{url}: the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise NoConnectionError(f"{url}: no connection ({_reason(error.reason)}); is there a network?") from None
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise UserError(f"{url}: the connection broke ({_reason(error)}); repeat the command to continue") from None
    except OSError as error:
        raise UserError(f"cannot write {part} ({_reason(error)}); repeat the command to continue") from None


def has_checksum(path: Path, checksum: str | None) -> bool:
    """Whether a file has a checksum "md5:..." or "sha256:..."; not where there is none to compare with."""
    kind, _, wanted = (checksum or "").partition(":")
    return bool(kind) and digest(path, kind) == wanted


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise UserError where a folder's disk has no room for `needed` bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        room = f"{readable_size(needed)} needed in {folder}, {readable_size(free)} free"
        raise UserError(f"{what}: not enough disk space: {room}")


def _receive(url: str, part: Path, facts: Path, on_progress: Progress | None) -> None:
    """Append to `part` what it lacks; `facts` is where the server's description of the file is kept."""
    have, size, validator = _kept(url, part, facts)
    if have and have == size:
        return
    with contextlib.ExitStack() as stack:
        answer = stack.enter_context(_open(url, have, validator))
        if url.startswith("https:") and not answer.url.startswith("https:"):
            raise UserError(f"{url}: the server leads to an address without encryption, {answer.url}; refused")
        start, total = _extent(answer, have, part)
        check_room(part.parent, (total or start) - start, url)
        if not start:
            facts.unlink(missing_ok=True)  # it describes bytes that are overwritten now
        with open(part, "ab" if start else "wb") as file:
            etag = answer.headers.get("ETag")
            strong = etag and not etag.startswith("W/")
            named = (etag if strong else answer.headers.get("Last-Modified")) or (validator if start else None)
            facts.write_text(json.dumps({"url": url, "validator": named, "size": total}))
            done = start
            while True:
                if on_progress is not None:
                    on_progress(done, total)
                try:
                    block = b"" if done == total else answer.read(BLOCK)
                except OSError as error:  # of the network; one of the disk goes on as it is
                    raise ConnectionError(_reason(error)) from None
                if not block:
                    break
                file.write(block)
                done += len(block)
    if total is not None and done != total:
        raise ConnectionError(f"{done:,} of {total:,} bytes received")
    if part.stat().st_size != done:
        raise UserError(f"{part}: another download is writing there too; end one and repeat the command")


def _kept(url: str, part: Path, facts: Path) -> tuple[int, int | None, str | None]:
    """Return how many bytes of this file are there, how many there should be, and what the server has to confirm.

    (0, None, None) where it has to start again.
    """
    try:
        known = json.loads(facts.read_text())
        if known["url"] == url and isinstance(known["validator"], str):
            return part.stat().st_size, known["size"], known["validator"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, None, None


def _open(url: str, have: int, validator: str | None) -> Any:
    """Ask for the file, from byte `have` on if it is still the one that `validator` names."""
    opener = urllib.request.build_opener()  # with the proxies of the environment as it is now
    headers = {"User-Agent": "nas-proxy-harness", "Accept-Encoding": "identity"}
    if have and validator:
        try:
            rest = {"Range": f"bytes={have}-", "If-Range": validator}
            return opener.open(urllib.request.Request(url, headers=headers | rest), timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
    return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)


def _extent(answer: Any, have: int, part: Path) -> tuple[int, int | None]:
    """Return the first byte that the answer brings and the size of the file; UserError where it does not fit."""
    if answer.status == http.client.PARTIAL_CONTENT:
        extent = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if extent is None or int(extent[1]) != have:
            part.unlink(missing_ok=True)
            raise UserError(f"{answer.url}: the server sent another part than requested; repeat the command")
        return have, None if extent[2] == "*" else int(extent[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _reason(error: Any) -> str:
    """Return what an error says, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
