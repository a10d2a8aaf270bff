"""The small pieces: array splitter, JSON paths, seals, spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.dialects.gemini.json_array import JsonArraySplitter
from gatewright.dialects.gemini.partial_args import BadPath, put, steps_of
from gatewright.dialects.gemini.proto import Proto, camel, snake
from gatewright.dialects.gemini.seals import SKIP, open_signature, signature
from gatewright.ir.seal import Seal
from gatewright.wire.json import encode
from gatewright.wire.sse import OversizedEvent

VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | st.text('{}[]"\\ü,', max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text('a"\\}', max_size=2), inner, max_size=2),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=4), st.integers(1, 9))
def test_any_chunking_splits_an_array_alike(documents, size):
    """Braces and quotes in strings, escapes cut in two."""
    wire = b"[" + b",\r\n".join(encode(document) for document in documents) + b"]\n"
    splitter = JsonArraySplitter()
    found = [element for i in range(0, len(wire), size) for element in splitter.feed(wire[i : i + size])]
    assert found == [encode(document) for document in documents]
    assert (splitter.pending, splitter.broken) == (False, False)


def test_an_endless_element_is_refused():
    """The buffer is bounded."""
    splitter = JsonArraySplitter(max_bytes=64)
    splitter.feed(b'[{"a":"' + b"x" * 50)
    with pytest.raises(OversizedEvent):
        splitter.feed(b"x" * 50)


def test_what_is_no_array_is_broken():
    """Numbers, words, HTML."""
    splitter = JsonArraySplitter()
    splitter.feed(b"[1, {}]")
    assert splitter.broken


@pytest.mark.parametrize(
    ("path", "steps"),
    [("$.a", ["a"]), ("$.a[0].b", ["a", 0, "b"]), ("$['a b']", ["a b"]), ('$["x.y"][2]', ["x.y", 2]), (r"$['it\'s']", ["it's"])],
)
def test_json_paths(path, steps):
    """Dots, brackets and quotes."""
    assert steps_of(path) == steps


@pytest.mark.parametrize("path", ["a", "$", "$.", "$[", "$[x]", "$[99999]", "$.a.[0]x"])
def test_bad_paths_are_refused(path):
    """A list is not filled up to any index."""
    with pytest.raises(BadPath):
        put({}, {"jsonPath": path, "stringValue": "x"}, set())


def test_a_path_must_fit():
    """A number has no members."""
    with pytest.raises(BadPath):
        put({"a": 1}, {"jsonPath": "$.a.b", "stringValue": "x"}, set())


def test_own_signatures_are_raw_and_foreign_ones_base64():
    """Every SDK decodes the field as bytes, in one alphabet or the other."""
    own, foreign = Seal(dialect="gemini", data="CiQB/+=="), Seal(dialect="anthropic", data="Eq_-", issuer="a", kind="k")
    assert signature(own) == "CiQB/+=="
    word = signature(foreign)
    assert open_signature(word) == foreign
    assert open_signature(word.replace("+", "-").replace("/", "_").rstrip("=")) == foreign
    assert open_signature("CiQB/+==", "google") == Seal(dialect="gemini", data="CiQB/+==", issuer="google")
    assert open_signature(SKIP).data == SKIP
    assert open_signature("Z3cxLg").dialect == "gemini"


@pytest.mark.parametrize(
    ("plain", "spelt"),
    [("inlineData", "inline_data"), ("topK", "top_k"), ("name", "name"), ("parametersJsonSchema", "parameters_json_schema")],
)
def test_spellings_are_inverse(plain, spelt):
    """Both directions of proto JSON."""
    assert (camel(spelt), snake(plain)) == (plain, spelt)


def test_both_spellings_at_once_lose_nothing():
    """The camelCase one is read, the other one stays."""
    f = Proto({"topK": 1, "top_k": 2, "_hidden": 3})
    assert f.take("topK") == 1
    assert f.rest() == {"top_k": 2, "_hidden": 3}
