"""TFRecord files and protocol-buffer messages without TensorFlow: framing with checked sums, and the wire format.

A record is: length (8 bytes, little-endian), masked CRC32C of those 8 bytes (4), the data, masked CRC32C of the data
(4). masked(crc) = rotate right by 15, plus 0xa282ead8. Nothing in a file is executed.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError

POLYNOMIAL = 0x82F63B78
"""Castagnoli, reflected."""
LONGEST = 1 << 14
"""Bytes of the longest record that is taken for one; those of NAS-Bench-101 have less than 1,000. A batch is padded to
its longest."""
BATCH = 4096
"""Records whose checksums are computed together."""


TABLE = np.arange(256, dtype=np.uint32)
for _ in range(8):
    TABLE = np.where(TABLE & 1, (TABLE >> 1) ^ np.uint32(POLYNOMIAL), TABLE >> 1)
_PLAIN_TABLE = TABLE.tolist()


def crc32c(data: bytes) -> int:
    """Return the CRC32C of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _PLAIN_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def crc32c_many(records: list[bytes]) -> np.ndarray:
    """Return the CRC32C of each record, (records,) uint32, byte by byte over all records at once."""
    length = np.array([len(record) for record in records])
    order = np.argsort(-length, kind="stable")
    padded = np.zeros((len(records), int(length.max(initial=0))), dtype=np.uint8)
    for row, at in enumerate(order):
        padded[row, : length[at]] = np.frombuffer(records[at], dtype=np.uint8)
    columns = np.ascontiguousarray(padded.T)
    crc = np.full(len(records), 0xFFFFFFFF, dtype=np.uint32)
    longer = np.searchsorted(-length[order], -np.arange(len(columns)), side="left")  # records longer than each position
    for column, n in zip(columns, longer, strict=True):
        crc[:n] = TABLE[(crc[:n] ^ column[:n]) & 0xFF] ^ (crc[:n] >> 8)
    result = np.empty_like(crc)
    result[order] = crc ^ np.uint32(0xFFFFFFFF)
    return result


def masked(crc: int) -> int:
    """Return a checksum as TFRecord files store it."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def starts_record(start: bytes) -> bool:
    """Whether some bytes begin like a TFRecord file: a length and its right checksum."""
    return len(start) >= 12 and struct.unpack_from("<I", start, 8)[0] == masked(crc32c(start[:8]))


def records(path: str | Path) -> Iterator[tuple[bytes, int]]:
    """Yield (data, bytes read so far) of every record, each checked; a few thousand are held at a time.

    Raises UserError for a file that ends within a record, a checksum that is wrong, or an absurd length.
    """
    done = first = 0
    with open(path, "rb") as file:
        while True:
            batch: list[bytes] = []
            sums: list[int] = []
            ends: list[int] = []
            while len(batch) < BATCH and (head := file.read(12)):
                at = f"{path}: record {first + len(batch) + 1}"
                if len(head) < 12:
                    raise UserError(f"{at} is cut short; the file is truncated, get it again")
                length, length_sum = struct.unpack("<QI", head)
                if length_sum != masked(crc32c(head[:8])) or length > LONGEST:
                    raise UserError(f"{at} has a damaged length; not a TFRecord file, or get it again")
                body = file.read(length + 4)
                if len(body) < length + 4:
                    raise UserError(f"{at} is cut short; the file is truncated, get it again")
                done += 12 + len(body)
                batch.append(body[:-4])
                sums.append(int.from_bytes(body[-4:], "little"))
                ends.append(done)
            if not batch:
                return
            for i, crc in enumerate(crc32c_many(batch).tolist()):
                if masked(crc) != sums[i]:
                    at = f"{path}: record {first + i + 1}"
                    raise UserError(f"{at} has a wrong checksum; the file is damaged, get it again")
            yield from zip(batch, ends, strict=True)
            first += len(batch)


def message_fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield (number, value) of the fields of a protocol-buffer message: whole numbers, floats (4 or 8 bytes), bytes.

    Raises ValueError for bytes that are no message.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of unknown wire type {kind}")
        chunk = data[at : at + size]
        if len(chunk) < size:
            raise ValueError("a field that is cut short")
        at += size
        yield key >> 3, chunk if kind == 2 else struct.unpack("<d" if kind == 1 else "<f", chunk)[0]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return (value, position behind it)."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number that does not end")
