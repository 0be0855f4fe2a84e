"""One file over HTTP: continued where it was cut off, checked, and under its name only when it is complete.

What came so far lies beside the target as NAME.part, and in NAME.part.json what the server said of it. It is continued
(Range with If-Range, RFC 9110) only where a strong ETag or a date says that the file is still the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError

BLOCK = 1 << 18
TIMEOUT = 60.0
"""Seconds without a byte."""
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and those there will be, None where the server does not say."""


def fetch(url: str, target: Path, checksum: str | None = None, on_progress: Progress | None = None) -> str:
    """Download `url` to `target`; return its sha256, hexadecimal.

    `checksum` is "md5:..." or "sha256:...", hexadecimal. Raises UserError for what cannot be had; what came is kept,
    for the next call to continue, unless its checksum is wrong.
    """
    part, facts = _beside(target)
    try:
        _receive(url, part, facts, on_progress)
        found = digests(part)
        _check(url, found, checksum, part, facts)
        os.replace(part, target)
        facts.unlink(missing_ok=True)
    except urllib.error.HTTPError as error:
        raise UserError(f"{url}: the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise UserError(f"{url}: no connection ({_reason(error.reason)}); is there a network?") from None
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise UserError(f"{url}: the connection broke ({_reason(error)}); repeat the command to continue") from None
    except OSError as error:
        raise UserError(f"cannot write {part} ({_reason(error)}); repeat the command to continue") from None
    return found["sha256"]


def digests(path: Path) -> dict[str, str]:
    """Return the md5 and sha256 of a file, hexadecimal."""
    sums = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            for each in sums.values():
                each.update(block)
    return {name: each.hexdigest() for name, each in sums.items()}


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raise UserError where a folder's disk has not room for `needed` bytes."""
    from benchmarks.files.sources import readable_size

    free = shutil.disk_usage(folder).free
    if needed > free:
        room = f"{readable_size(needed)} needed in {folder}, {readable_size(free)} free"
        raise UserError(f"{what}: not enough disk space: {room}")


def _beside(target: Path) -> tuple[Path, Path]:
    """Return where a download's bytes lie until it is complete, and what is known of them."""
    return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")


def _receive(url: str, part: Path, facts: Path, on_progress: Progress | None) -> None:
    """Bring `part` to its full length."""
    have, size, validator = _kept(url, part, facts)
    if have and have == size:
        return
    with contextlib.ExitStack() as stack:
        answer = stack.enter_context(_open(url, have, validator))
        if url.startswith("https:") and not answer.url.startswith("https:"):
            raise UserError(f"{url}: the server leads to an address without encryption, {answer.url}; refused")
        start, total = _extent(answer, have, part)
        check_space(part.parent, (total or start) - start, url)
        if not start:
            facts.unlink(missing_ok=True)  # it would be about bytes that go now
        with open(part, "ab" if start else "wb") as file:
            named = _validator(answer) or (validator if start else None)
            facts.write_text(json.dumps({"url": url, "validator": named, "size": total}))
            done = start
            while True:
                if on_progress is not None:
                    on_progress(done, total)
                if done == total or not (block := _next(answer)):
                    break
                file.write(block)
                done += len(block)
    if total is not None and done != total:
        raise ConnectionError(f"{done:,} of {total:,} bytes came")
    if part.stat().st_size != done:
        raise UserError(f"{part}: another download is writing there too; end one and repeat the command")


def _next(answer: Any) -> bytes:
    """Return the next bytes; what a network does wrong is a ConnectionError, unlike what a disk does."""
    try:
        return answer.read(BLOCK)
    except OSError as error:
        raise ConnectionError(_reason(error)) from None


def _kept(url: str, part: Path, facts: Path) -> tuple[int, int | None, str | None]:
    """Return how many bytes of this file are there, how many there should be, and what the server has to confirm.

    (0, None, None) where it has to begin anew.
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
    headers = {"User-Agent": "nas-proxy-harness", "Accept-Encoding": "identity"}
    if have and validator:
        try:
            rest = {"Range": f"bytes={have}-", "If-Range": validator}
            return urllib.request.urlopen(urllib.request.Request(url, headers=headers | rest), timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)


def _extent(answer: Any, have: int, part: Path) -> tuple[int, int | None]:
    """Return the first byte that the answer brings and the size of the file; UserError for an answer that fits not."""
    if answer.status == http.client.PARTIAL_CONTENT:
        told = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != have:
            part.unlink(missing_ok=True)
            raise UserError(f"{answer.url}: the server sent another part than was asked for; repeat the command")
        return have, None if told[2] == "*" else int(told[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _validator(answer: Any) -> str | None:
    """Return what names this state of the file: a strong ETag, otherwise its date, otherwise None."""
    etag = answer.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")


def _check(url: str, found: dict[str, str], checksum: str | None, part: Path, facts: Path) -> None:
    """Remove what came and raise UserError where its checksum is wrong."""
    if checksum is None:
        return
    kind, _, wanted = checksum.partition(":")
    if found[kind] != wanted:
        part.unlink()
        facts.unlink(missing_ok=True)
        came = f"its {kind} is {found[kind]}, expected {wanted}"
        raise UserError(f"{url}: not the file that was expected: {came}; it was removed")


def _reason(error: Any) -> str:
    """Return what an error says, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
