"""YAML with places: what is read, and what is said about bad YAML."""

import pytest

from gatewright.config.tree import Place, read_file, read_yaml, show_path


def test_yaml_1_2_words_stay_text():
    """`yes`, `on` and dates are text: a model may be called so."""
    tree = read_yaml("{a: yes, b: on, c: 2026-11-21, d: true, e: 0x1f, f: 1_000, g: 2.5e3, h: ~, i: '5', j: .5}")
    assert tree.value == {
        "a": "yes", "b": "on", "c": "2026-11-21", "d": True, "e": 31, "f": 1000, "g": 2500.0, "h": None, "i": "5", "j": 0.5,
    }  # fmt: skip


def test_places_are_of_the_value_and_of_the_key():
    """An error points at what must be changed."""
    tree = read_yaml("models:\n  fast:\n    targets: [a/b,\n      c/d]\n")
    assert tree.place(("models", "fast", "targets", 1)) == Place(4, 7)
    assert tree.place(("models", "fast"), key=True) == Place(2, 3)
    assert tree.place(("models", "fast", "nothing", "here")) == Place(3, 5)


def test_every_duplicate_key_is_told():
    """YAML readers keep the last one silently; here the operator hears of each."""
    tree = read_yaml("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [(t.place, show_path(t.path)) for t in tree.troubles] == [(Place(2, 11), "b.c"), (Place(3, 1), "a")]
    assert tree.value == {"a": 1, "b": {"c": 1}}


def test_merge_keys_fill_in_and_do_not_override():
    """Anchors keep large files dry."""
    tree = read_yaml("base: &b {x: 1, y: 2}\nmore: &m {z: 3}\none: {<<: *b, y: 9}\ntwo: {<<: [*b, *m]}\n")
    assert tree.value["one"] == {"x": 1, "y": 9}
    assert tree.value["two"] == {"x": 1, "y": 2, "z": 3}
    assert not tree.troubles


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x {b: *x}", "a: &x {<<: *x}", "a: &x {b: {<<: *x}}"])
def test_alias_loops_are_refused(text):
    """A loop must end in a message, not in a hang."""
    assert ["contains itself" in t.message for t in read_yaml(text).troubles] == [True]


def test_alias_bombs_are_refused():
    """Nine lines of YAML can mean a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    troubles = read_yaml("\n".join(lines)).troubles
    assert len(troubles) == 1
    assert "more than 100000 values" in troubles[0].message


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: [1\nb: 2", 2, 2, "not valid YAML"),
        ("a: 1\n b: 3", 2, 3, "mapping values are not allowed here"),
        ("a: 1\n\tb: 3", 2, 1, "not valid YAML"),
        ("a: *nope", 1, 4, "undefined alias 'nope'"),
        ("a: 1\nb: \x07c", 2, 4, "U+0007"),
        ("- 1", 1, 1, "expected a mapping"),
        ("just text", 1, 1, "expected a mapping"),
        ("a: 1\n---\nb: 2", 3, 1, "expected one YAML document"),
        ("a: !!python/object:os.system x", 1, 4, "a tag that has no meaning here"),
        ("a: !include x", 1, 4, "a tag that has no meaning here"),
        ("? [a, b]\n: c", 1, 3, "expected a plain key"),
        ("a: 'b", 1, 6, "not valid YAML"),
        ("a: {<<: 5}", 1, 9, 'after "<<"'),
    ],
)
def test_bad_yaml_is_told_with_its_place(text, line, column, said):
    """The first thing to fix is where the cursor must go."""
    (trouble,) = read_yaml(text).troubles
    assert said in trouble.message
    assert trouble.place == Place(line, column)


def test_deep_nesting_is_refused():
    """The reader recurses; a hostile or broken file must not end the process."""
    troubles = read_yaml("a: " + "[" * 100_000).troubles
    assert len(troubles) == 1


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~"])
def test_an_empty_document_is_an_empty_mapping(text):
    """A file of comments is the start of every configuration."""
    tree = read_yaml(text)
    assert (tree.value, tree.troubles) == ({}, ())


def test_files_may_have_a_byte_order_mark_but_must_be_utf8(tmp_path):
    """Windows editors write BOMs; Latin-1 would turn secrets into other secrets."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\n")
    bad.write_bytes(b"a: 1\nb: \xe9\n")
    assert read_file(good).value == {"a": "é"}
    (trouble,) = read_file(bad).troubles
    assert (trouble.place, trouble.message) == (Place(2, 4), "not UTF-8 text")


def test_paths_are_shown_as_people_write_them():
    """Names with dots and stars are quoted, or the path would lie."""
    assert show_path(("models", "claude-*", "targets", 0, "weight")) == 'models["claude-*"].targets[0].weight'
    assert show_path(("gpt-4.1", "x")) == '["gpt-4.1"].x'
