"""Following what a file refers to."""

from pathlib import Path

import pytest

from gatewright.config.references import Desk, url_fault
from gatewright.config.secrets import Secret
from gatewright.config.tree import read_yaml


def desk(text="a: {b: x}", environ=()):
    return Desk(read_yaml(text), "g.yaml", Path("/nowhere"), dict(environ))


@pytest.mark.parametrize("url", ["https://h", "http://127.0.0.1:9101/v1", "http://[::1]:80/x", "https://h/openai/v1"])
def test_bases_of_apis_are_good(url):
    """Whatever paths can be added to."""
    assert url_fault(url) is None


@pytest.mark.parametrize(
    "url", ["", "h", "//h", "ftp://h", "http://", "http://h:x", "http://h:99999", "http://h/a b", "http://h?x", "http://h#x"]
)
def test_other_urls_are_told_why(url):
    """Before a request finds out."""
    assert url_fault(url)


def test_credentials_in_a_url_are_refused_and_not_shown():
    """They would stand in every log line that names the endpoint."""
    fault = url_fault("https://user:sk-1@h/v1")
    assert "credentials" in fault
    assert "sk-1" not in fault


def test_a_problem_stands_where_the_value_stands():
    """Or at the key, where the key is what is wrong."""
    here = desk()
    here.wrong(("a", "b"), "bad")
    here.wrong(("a", "b"), "worse", key=True)
    assert [problem.show("g.yaml") for problem in here.problems] == ["g.yaml:1:8 a.b: bad", "g.yaml:1:5 a.b: worse"]


def test_a_warning_is_told_once():
    """A base that serves two dialects is one slip."""
    here = desk()
    here.warn(("a",), "hm")
    here.warn(("a",), "hm")
    assert here.warnings == ["g.yaml:1:4 a: hm"]


def test_secrets_are_resolved_and_literals_warned_about():
    """A reference is silent; what leads nowhere is a problem and no value."""
    here = desk(environ={"KEY": "sk-1"})
    assert here.secret(Secret("env:KEY"), ("a",)).reveal() == "sk-1"
    assert not here.warnings
    assert here.secret(Secret("sk-2"), ("a",)).reveal() == "sk-2"
    assert len(here.warnings) == 1
    assert here.secret(Secret("env:NOPE"), ("a",)) is None
    assert len(here.problems) == 1


def test_keys_of_a_section_are_known_whole_or_not():
    """A key whose value was refused is there all the same: its absence must not be told beside it."""
    here = desk("a: {b: {}, c: 5}\nd: 1")
    assert here.keys_at(("a",)) == {"b", "c"}
    assert here.keys_at(()) == {"a", "d"}
    assert here.keys_at(("d",)) == set()
