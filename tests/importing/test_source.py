"""Files of other gateways are read with their places, and whatever they are."""

import pytest

from gatewright.importing import CannotImport
from gatewright.importing.source import MAX_BYTES, read_source


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "f:1:1 expected a configuration, got an empty file"),
        (b"# nothing\n", "f:1:1 expected a configuration, got an empty file"),
        (b"\xff\xfe", "f:1:1 not UTF-8 text"),
        (b"a: 1\nb: \xff", "f:2:1 not UTF-8 text"),
        (b"- a\n- b\n", "f:1:1 expected a mapping of sections at the top of the file"),
        (b"just text", "f:1:1 expected a mapping of sections at the top of the file"),
        (b"a: 1\na: 2\n", "f:2:1 a: this key is already there, at line 1"),
        (b"a: !!python/object:os.system x\n", "f:1:4 a: a tag that has no meaning here"),
        (b"a: &a [*a]\n", "f:1:4 a[0]: an alias that contains itself"),
        (b"a: [1\n", "f:2:1 not valid YAML"),
        (b"x" * (MAX_BYTES + 1), "f:1:1 larger than 8 MiB: not a configuration"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(content, complaint):
    """One line, and nothing is run or fetched."""
    with pytest.raises(CannotImport) as caught:
        read_source("f", content)
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_json_that_is_none_is_told_where_it_breaks():
    """By JSON's own reading, for a file that calls itself so; deep nesting ends in words, too."""
    with pytest.raises(CannotImport, match=r"^f.json:2:\d+ not valid JSON"):
        read_source("f.json", b'{\n"a": }')
    for content in (b'{"a":' * 50_000, b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"):
        with pytest.raises(CannotImport):
            read_source("f.json", content)


def test_json_is_read_as_it_is_written():
    """Tabs, escapes and pairs of surrogates, with the places of an editor."""
    source = read_source("f.json", b'{\n\t"a": "\\u00e9\\ud83d\\ude00\\/",\n\t"b": {"c": null}}')
    assert source.top.text("a") == "é😀/"
    assert source.at(("b", "c")).line == 3
    assert (source.at(("a",)).line, source.at(("a",)).column) == (2, 7)


def test_flow_style_yaml_is_no_broken_json():
    """It begins with the same bracket."""
    assert read_source("f.yaml", b"{a: [x, y]}").top.texts("a") == ["x", "y"]


def test_what_is_taken_is_gone_and_the_rest_is_left():
    """So that nobody has to list what nobody understands."""
    top = read_source("f", b"a: 1\nb: two\nc: [x]\nd: {e: true}\nf: 0.5\ng: '7'\nh: os.environ/N\ni: \"true\"").top
    assert (top.number("a"), top.text("b"), top.texts("c"), top.number("f"), top.number("g"), top.number("h")) == (
        1,
        "two",
        ["x"],
        0.5,
        7,
        None,
    )
    inner = top.part("d")
    assert inner.flag("e") is True
    assert top.flag("i") is True
    assert (top.names(), inner.names()) == ((), ())
    assert (top.text("a"), top.part("zz"), top.items("zz"), list(top.parts("zz"))) == (None, None, [], [])
    assert read_source("f", b"a: 1.5\nb: false").top.text("a") == "1.5"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda top: top.text("list"), "list: expected text, got a list"),
        (lambda top: top.number("text"), "text: expected a number, got text"),
        (lambda top: top.number("flag"), "flag: expected a number, got a boolean"),
        (lambda top: top.flag("text"), "text: expected true or false, got text"),
        (lambda top: top.part("list"), "list: expected a mapping, got a list"),
        (lambda top: top.items("text"), "text: expected a list, got text"),
        (lambda top: list(top.parts("list")), "list[0]: expected a mapping, got a number"),
        (lambda top: top.texts("list"), "list[0]: expected text, got a number"),
    ],
)
def test_another_type_is_told_and_its_value_is_not(ask, message):
    """It may be a secret in the wrong place."""
    with pytest.raises(CannotImport) as caught:
        ask(read_source("f", b"list: [5]\ntext: sk-secret\nflag: true\n").top)
    assert message in str(caught.value)
    assert "sk-secret" not in str(caught.value)
