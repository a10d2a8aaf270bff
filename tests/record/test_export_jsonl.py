"""Lines of an export: every body in the form that keeps all of it, and a file that is whole or not there."""

import base64
import gzip
import json

import pytest
import zstandard
from tests.record.tracing import meaning, message, trace

from gatewright.record.export_jsonl import SCHEMA, body, document, instant, line, opened, summary_document, write_lines
from gatewright.record.traces import Message


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"a":[1,2.5,null]}', {"json": {"a": [1, 2.5, None]}}),
        (b"data: {}\n\n", {"text": "data: {}\n\n"}),
        ("Tide: 1½ m".encode(), {"text": "Tide: 1½ m"}),
        (b"\x00\xff\xfe", {"base64": base64.b64encode(b"\x00\xff\xfe").decode()}),
        (b"", {"text": ""}),
    ],
)
def test_a_body_is_a_document_a_text_or_bytes(data, told):
    """Whichever says all of it in the way that is easiest to read."""
    assert body(message(data)) == told


def test_a_cut_document_is_a_text():
    """Half of a document is none, even where what is left could be read as one."""
    assert body(Message(body=b"12", size=99)) == {"text": "12"}


def test_a_line_is_one_line():
    """Line breaks within texts are escaped; the line ends in one."""
    told = line(document(trace(problem="two\nlines", title="a\u2028b"), *meaning(trace())))
    assert told.count(b"\n") == 1
    assert json.loads(told)["problem"] == "two\nlines"


def test_a_list_is_the_beginning_of_an_export():
    """The same names with the same values, so that one reader reads both."""
    whole = document(trace(), *meaning(trace()))
    short = summary_document(trace())
    assert short["schema"] == SCHEMA == 1
    assert {name: whole[name] for name in short} == short


def test_times_are_rfc_3339_to_the_microsecond():
    """In UTC."""
    assert instant(1_795_000_000_123_456) == "2026-11-18T11:06:40.123456Z"


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("t.jsonl", bytes),
        ("t.jsonl.gz", gzip.decompress),
        ("t.jsonl.zst", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
def test_a_file_holds_what_was_written(tmp_path, name, read):
    """Whatever its compression."""
    with opened(tmp_path / name) as file:
        assert write_lines((b"%d\n" % n for n in range(10_000)), file) == 10_000
    assert read((tmp_path / name).read_bytes()) == b"".join(b"%d\n" % n for n in range(10_000))


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "t.jsonl.zst"])
def test_a_failure_leaves_the_file_that_was_there(tmp_path, name):
    """Half an export is none."""
    (tmp_path / name).write_bytes(b"before")

    def lines():
        yield b"1\n"
        raise OSError("the store went away")

    with pytest.raises(OSError, match="went away"), opened(tmp_path / name) as file:
        write_lines(lines(), file)
    assert (tmp_path / name).read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == [name]
