"""TFRecord framing and the wire format, against known sums and against files written here byte by byte."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from benchmarks import UserError
from benchmarks.readers.tfrecord import crc32c, crc32c_many, masked, message_fields, records, starts_record


def framed(data: bytes) -> bytes:
    """One record, as TensorFlow writes it."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(crc32c(length))) + data + struct.pack("<I", masked(crc32c(data)))


def test_known_checksums():
    """RFC 3720, section B.4, and the customary check value."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


def test_a_record_of_tensorflow():
    """The record TensorFlow writes for the bytes `foo`."""
    assert framed(b"foo").hex() == "0300000000000000" + struct.pack("<I", masked(crc32c(b"\3" + bytes(7)))).hex() + (
        b"foo".hex() + struct.pack("<I", ((crc32c(b"foo") >> 15 | crc32c(b"foo") << 17) + 0xA282EAD8) % 2**32).hex()
    )
    assert starts_record(framed(b"foo"))
    assert not starts_record(b"\0" * 12) and not starts_record(b"short")


def test_checksums_of_many_equal_those_of_each():
    rng = random.Random(0)
    data = [rng.randbytes(n) for n in (0, 1, 1, 7, 300, 299, 300, 64, 0)]
    assert crc32c_many(data).tolist() == [crc32c(each) for each in data]
    assert crc32c_many([]).tolist() == []


def test_records_come_back_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.readers.tfrecord.BATCH", 4)
    data = [bytes([i]) * (i * 7 % 11) for i in range(11)]
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"".join(map(framed, data)))
    read = list(records(path))
    assert [each for each, _ in read] == data
    assert read[-1][1] == path.stat().st_size
    assert [done for _, done in read] == sorted(done for _, done in read)


@pytest.mark.parametrize("kept", [5, 11, 12, 14, 18, 19 + 6, 19 + 12 + 3])
def test_a_truncated_file(tmp_path, kept):
    path = tmp_path / "x.tfrecord"
    path.write_bytes((framed(b"foo") + framed(b"bar"))[:kept])
    with pytest.raises(UserError, match=rf"x.tfrecord: record {1 + kept // 19} is cut short"):
        list(records(path))


@pytest.mark.parametrize("at", range(19))
def test_a_changed_byte_anywhere_is_noticed(tmp_path, at):
    content = bytearray(framed(b"foo"))
    content[at] ^= 0x10
    path = tmp_path / "x.tfrecord"
    path.write_bytes(framed(b"ahead") + bytes(content))
    with pytest.raises(UserError, match="record 2 has a (damaged length|wrong checksum)"):
        list(records(path))


def test_an_absurd_length_is_not_read(tmp_path):
    length = struct.pack("<Q", 1 << 60)
    path = tmp_path / "x.tfrecord"
    path.write_bytes(length + struct.pack("<I", masked(crc32c(length))) + b"x" * 100)
    with pytest.raises(UserError, match="record 1 has a damaged length"):
        list(records(path))


def test_an_empty_file_has_no_records(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"")
    assert list(records(tmp_path / "x")) == []


def test_wire_format():
    """The examples of the protocol-buffer documentation: 150 as a varint, "testing", nested; both kinds of float."""
    assert list(message_fields(bytes.fromhex("089601"))) == [(1, 150)]
    assert list(message_fields(bytes.fromhex("120774657374696e67"))) == [(2, b"testing")]
    ((number, inner),) = message_fields(bytes.fromhex("1a03089601"))
    assert number == 3 and list(message_fields(inner)) == [(1, 150)]
    floats = b"\x09" + struct.pack("<d", 0.1) + b"\x15" + struct.pack("<f", 0.5)
    assert list(message_fields(floats)) == [(1, 0.1), (2, 0.5)]


@pytest.mark.parametrize("text", ["08", "0896", "0b", "120a6162", "0900", "08" + "ff" * 12])
def test_what_is_no_message(text):
    with pytest.raises(ValueError):
        list(message_fields(bytes.fromhex(text)))
