"""Forms: the field `model` is found by the form's own boundary, and nothing else is touched."""

import pytest

from gatewright.dialects.forms import Field, model_field, rename
from gatewright.errors import Refused

TYPE = "multipart/form-data; boundary=abc"


def form(*parts: bytes, boundary: bytes = b"abc") -> bytes:
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary


MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper'
FILE = b'Content-Disposition: form-data; name="file"; filename="model"\r\nContent-Type: audio/wav\r\n\r\n\x00\r\n\r\n--ab\r\n'


def test_the_field_is_found_wherever_it_stands():
    """First, last, after a preamble, with more headers, with its name unquoted or in other case."""
    for body in (form(MODEL, FILE), form(FILE, MODEL), b"preamble\r\n" + form(FILE, MODEL)):
        field = model_field(body, TYPE)
        assert field is not None
        assert (field.value, body[field.start : field.end]) == ("whisper", b"whisper")
    spelt = b"content-type: text/plain\r\nCONTENT-DISPOSITION: form-data; NAME=model\r\n\r\nwhisper"
    assert model_field(form(spelt), 'Multipart/Form-Data; charset=x; Boundary="abc"').value == "whisper"


def test_a_form_without_a_model_has_none():
    """A file called `model` is a file."""
    assert model_field(form(FILE), TYPE) is None


def test_renaming_touches_nothing_else():
    """Every other byte stays, a longer name included."""
    body = form(FILE, MODEL, FILE)
    field = model_field(body, TYPE)
    assert rename(body, field, "gpt-4o-transcribe") == body.replace(b"whisper", b"gpt-4o-transcribe")
    assert rename(b"abc", Field("b", 1, 2), "") == b"ac"


def test_an_empty_value_is_read_as_empty():
    """And the part after it is still found."""
    empty = b'Content-Disposition: form-data; name="model"\r\n\r\n'
    field = model_field(form(empty), TYPE)
    assert (field.value, field.start) == ("", field.end)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(MODEL, MODEL), TYPE),
        (form(MODEL), "multipart/form-data"),
        (form(MODEL, boundary=b"other"), TYPE),
        (form(MODEL)[:-6], TYPE),
        (b"", TYPE),
        (form(MODEL + b"x" * 2000), TYPE),
        (form(*[b"a: b\r\n\r\nc"] * 1001), TYPE),
        (form(MODEL).replace(b"--abc\r\n", b"--abcd\r\n"), TYPE),
    ],
    ids=["twice", "no boundary", "another boundary", "cut", "empty", "long name", "too many parts", "prefix of a boundary"],
)
def test_what_may_be_read_in_two_ways_is_refused(body, content_type):
    """The provider might find another model than we did."""
    with pytest.raises(Refused):
        model_field(body, content_type)
