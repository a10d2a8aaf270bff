"""Code is read, never run."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.invariant.detectors.python_code import MAX_CHARS, python_code


def test_imports_calls_and_builtins_are_told():
    read = python_code("import os, sys as s\nfrom a.b import c\nfrom . import d\nos.system(input())\n(lambda: 1)()\nx[0].y()")
    assert read["imports"] == ["os", "sys", "a.b", "."]
    assert set(read["function_calls"]) == {"os.system", "input", "…", "….y"}
    assert read["builtins"] == ["input"]
    assert read["syntax_error"] is False


def test_what_is_no_python_is_a_syntax_error():
    for text in ("Reply to Peter's message", " print(1)", "(" * 500, "x = \0"):
        read = python_code(text)
        assert read["syntax_error"] is True
        assert read["syntax_error_exception"]
        assert read["function_calls"] == []


def test_magic_lines_are_ipythons():
    text = "%matplotlib inline\n!ls\nimport os\nos?"
    assert python_code(text)["syntax_error"] is True
    assert python_code(text, ipython=True)["imports"] == ["os"]


@pytest.mark.parametrize(
    "text", ["-" * 90_000 + "1", "a." * 40_000 + "b", "f(" * 30_000, "x" * (MAX_CHARS + 1), "[" * 99_000, "1+" * 40_000 + "1"]
)
def test_hostile_code_is_answered(text):
    assert isinstance(python_code(text)["syntax_error"], bool)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_answered(text):
    assert isinstance(python_code(text)["syntax_error"], bool)


def test_threads_leave_the_filters_of_warnings_as_they_are():
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        assert not any(read["syntax_error"] for read in threads.map(python_code, ['"\\d"\n' * 200] * 200))
    assert list(warnings.filters) == before


def test_code_warns_nobody():
    assert python_code('"\\d" is 1')["syntax_error"] is False
