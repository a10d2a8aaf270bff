"""The document's shape, and what can be saved of a misshapen one."""

from gatewright.config.shape import check_shape
from gatewright.config.tree import read_yaml


def shape(text):
    sections, problems = check_shape(read_yaml(text))
    return sections, [problem.show("g") for problem in problems]


def test_what_is_well_shaped_is_checked_though_a_neighbour_is_not():
    """One run tells everything; a wrong key must not hide a missing variable elsewhere."""
    sections, problems = shape(
        "server: {prot: 1}\nproviders: {openai: {api_key: 'env:X', kin: y}, z: 5}\nkeys: [{name: a, key: b, mod: c}]"
    )
    assert len(problems) == 4
    assert sections.providers["openai"].api_key.reveal() == "env:X"
    assert "z" not in sections.providers


def test_a_key_without_a_value_is_a_key_left_out():
    """YAML's way of saying nothing."""
    sections, problems = shape("server:\nproviders: {demo: }\nmodels:\ntimeouts: {idle_s: }")
    assert not problems
    assert sections.timeouts.idle_s == 120
    assert list(sections.providers) == ["demo"]


def test_values_are_not_bent():
    """`"4000"` is text; guessing hides slips."""
    assert shape('server: {port: "4000", workers: 2.0}')[1] == [
        "g:1:16 server.port: expected a whole number, got text",
        "g:1:33 server.workers: expected a whole number, got a number",
    ]


def test_secrets_of_the_wrong_type_are_not_shown():
    """A number may well be somebody's PIN."""
    assert shape("keys: [{name: a, key: 12345678}]")[1] == ["g:1:23 keys[0].key: expected text, got a number"]
