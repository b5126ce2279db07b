"""Damaged and hostile bundles: each kind of damage has its own error, which says what is wrong and where."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import msgpack
import numpy as np
import pytest

from edge_rt.bundle import Bundle, read, to_bytes
from edge_rt.bundle._format import MAX_HEADER, PREAMBLE
from edge_rt.errors import (
    BundleChecksumError,
    BundleError,
    BundleHeaderError,
    BundleLayoutError,
    BundleLimitError,
    BundleMagicError,
    BundleSchemaError,
    BundleTruncatedError,
    BundleVersionError,
)
from edge_rt.graph import Graph
from tests.damage import LARGE, SMALL, refused, with_field
from tests.fuzz_bundle import Target


def test_any_flipped_bit_of_preamble_and_header() -> None:
    for at in range(PREAMBLE.size + len(SMALL.header)):
        for bit in range(8):
            with pytest.raises(BundleError) as caught:
                read(with_field(at, bytes([SMALL.data[at] ^ (1 << bit)])))
            if at >= PREAMBLE.size - 32:
                assert type(caught.value) is BundleChecksumError


def test_any_flipped_byte_behind_the_header() -> None:
    start = PREAMBLE.size + len(SMALL.header)
    for at in range(start, len(SMALL.data)):
        with pytest.raises((BundleLayoutError, BundleChecksumError)):
            read(with_field(at, bytes([SMALL.data[at] ^ 0x40])), verify="all")


def test_any_length_of_truncation() -> None:
    for target in (SMALL, LARGE):
        for length in range(len(target.data)):
            refused(target.data[:length], BundleTruncatedError, f"{length}")


def test_bytes_at_the_end() -> None:
    refused(SMALL.data + b"\0", BundleLayoutError, f"end with its tensor section at byte {len(SMALL.data)}")


def test_other_files() -> None:
    refused(b"PK\3\4" + bytes(100), BundleMagicError, "not a .edge file", "PK")
    refused(b"PK", BundleMagicError)
    refused(b"", BundleTruncatedError, "at least 64 bytes, got 0")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "m.edge")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(BundleTruncatedError):
        read(tmp_path / "empty")


def test_newer_formats_are_refused_by_name() -> None:
    refused(with_field(8, b"\2\0\0\0"), BundleVersionError, "version 2", "reads versions up to 1")
    refused(with_field(8, b"\0\0\0\0"), BundleVersionError, "must be 1 to 1, got 0")
    refused(with_field(12, b"\1"), BundleSchemaError, "byte 12", "got 1")


def test_a_header_that_claims_to_be_huge() -> None:
    refused(with_field(16, (2**63).to_bytes(8, "little")), BundleLimitError, "byte 16", str(MAX_HEADER), str(2**63))
    refused(with_field(16, MAX_HEADER.to_bytes(8, "little")), BundleTruncatedError)


def test_padding_must_be_zero() -> None:
    end = PREAMBLE.size + len(SMALL.header)
    assert SMALL.data[end] == 0
    refused(with_field(end, b"\1"), BundleLayoutError, f"bytes {end} to", "padding, must be zero")
    refused(with_field(len(SMALL.data) - 9, b"\1"), BundleLayoutError, "padding")


def test_contents_of_tensors_are_checked_on_request() -> None:
    data = with_field(len(SMALL.data) - 1, b"\1")
    read(data)
    refused(data, BundleChecksumError, "tensors[2] (float32[1, 2]", "SHA-256", verify="all")


def test_booleans_are_zero_or_one() -> None:
    graph = Graph()
    graph.output(graph.constant(np.array([True, False, True])), "y")
    target = Target(to_bytes(Bundle({"main": graph})))
    section = b"\1\2\1"
    header = msgpack.unpackb(target.header)
    header["tensors"][0][4] = hashlib.sha256(section).digest()
    data = target.with_header(msgpack.packb(header), section)
    refused(data, BundleSchemaError, "tensors[0]", "bytes 0 and 1", verify="all")


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"", "not valid msgpack"),
        (b"\xc1", "not valid msgpack"),
        (b"\x81", "not valid msgpack"),
        (b"\x80\x80", "1 bytes follow"),
        (b"\x81\xa1a\xd4\x01\x00", "extension types are not allowed, got type 1"),
        (b"\x82\xa1a\x01\xa1a\x01", "'a' is there twice"),
        (b"\x82\xa1b\x01\xa1a\x01", "'a' is there after 'b', but keys must be sorted"),
        (b"\x81\x01\x01", "keys must be strings, got one of type int"),
        (b"\x81\xc4\x01a\x01", "keys must be strings, got one of type bytes"),
        (b"\x81\x90\x01", "keys must be strings, got one of type list"),
        (b"\x81\xa1\xff\x01", "not valid msgpack: 'utf-8'"),
        (b"\x81\xa1a\xcc\x01", "not in canonical form at byte 3"),
        (b"\x81\xd9\x01a\x01", "not in canonical form at byte 1"),
        (b"\xde\x00\x01\xa1a\x01", "not in canonical form at byte 0"),
        (b"\x81\xa1a\xca\x00\x00\x00\x00", "not in canonical form at byte 3"),
        (b"\x91" * 1000 + b"\x90", "must be a map, got a list"),
        (b"\x91" * 100_000 + b"\x90", "nested too deep"),
        (b"\x81\xa1a" * 100_000 + b"\x90", "nested too deep"),
        (b"\xdd\xff\xff\xff\xff", "not valid msgpack"),
        (b"\xdf\xff\xff\xff\xff", "not valid msgpack"),
        (b"\xc6\xff\xff\xff\xff", "not valid msgpack"),
        (b"\xdc\xff\xff" * 1000, "not valid msgpack"),
    ],
)
def test_what_the_subset_of_msgpack_lacks(header: bytes, says: str) -> None:
    error = BundleSchemaError if "map" in says and "keys" not in says else BundleHeaderError
    refused(SMALL.with_header(header), error, says)


def test_a_header_of_nothing_but_lists() -> None:
    row = b"\xdc\xff\xff" + b"\x90" * 0xFFFF
    refused(SMALL.with_header(b"\xdc\x00\x20" + row * 32), BundleLimitError, "at most 524288 maps and lists")


def test_fuzzer() -> None:
    """10,000 mutations, in a process of its own with limited memory."""
    command = [sys.executable, "-m", "tests.fuzz_bundle", "--mutations", "10000", "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10000 mutations of 2 bundles, 0 failures" in done.stdout
