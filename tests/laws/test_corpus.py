"""The corpus itself: of one form, broad enough, and written by us."""

import json
from collections import Counter
from functools import lru_cache

import pytest

from gatewright.jsontypes import JsonValue
from tests.laws import cases

FILES = [path for place, path in cases.files() if place == "corpus"]
IDS = [f"{path.parent.name}/{path.stem}" for path in FILES]
KEYS = {"id", "provider", "api", "stream", "features", "request", "response", "note"}
COPIED_LENGTH = 60
"""A text as long as this that stands in a recording too was copied from it."""


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_a_case_is_of_the_recordings_form(path):
    """One loader reads both; a case says in a sentence what it shows."""
    case = json.loads(path.read_text(encoding="utf-8"))
    assert set(case) <= KEYS | {"fidelity", "edits"}, f"unknown: {set(case) - KEYS}"
    assert set(case) >= KEYS, f"missing: {KEYS - set(case)}"
    assert case["id"] == path.stem
    assert cases.DIALECT_OF[case["api"]] == path.parent.name
    assert isinstance(case["stream"], bool)
    assert case["note"].strip().endswith((".", ")")), "the note is a sentence"
    assert set(case["request"]) <= {"method", "path", "headers", "json", "host"}
    assert set(case["response"]) <= {"status", "headers", "body_encoding", "body", "read_sizes"}
    assert case["response"]["body_encoding"] in ("text", "json", "eventstream")
    assert isinstance(case["response"]["body"], str) == (case["response"]["body_encoding"] == "text")
    if sizes := case["response"].get("read_sizes"):
        assert sum(sizes) == len(case["response"]["body"].encode())


def test_the_corpus_is_broad():
    """At least 150 cases, every dialect with whole answers, streams and errors."""
    kinds = Counter()
    for path in FILES:
        case = cases.load("corpus", path)
        kinds[case.dialect, "error" if case.failed else "stream" if case.text is not None else "whole"] += 1
    assert sum(kinds.values()) >= 150, kinds
    for dialect in cases.MODEL:
        for kind in ("whole", "stream", "error"):
            assert kinds[dialect, kind] >= 3, (dialect, kind, kinds)


@lru_cache(maxsize=1)
def _recorded_texts() -> frozenset[str]:
    """Every long string of the recordings."""
    found: set[str] = set()
    for place, path in cases.files():
        if place == "recordings":
            document = json.loads(path.read_text(encoding="utf-8"))
            _collect({"request": document["request"].get("json"), "response": document["response"]["body"]}, found)
    return frozenset(found)


def _collect(value: JsonValue, found: set[str]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, str) and len(value) >= COPIED_LENGTH:
        found.add(value)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_text_is_copied_from_the_recordings(path):
    """The recordings' texts belong to others; the corpus is our own. Error messages and fixed words of an API are its own."""
    document = json.loads(path.read_text(encoding="utf-8"))
    ours: set[str] = set()
    _collect({"request": document["request"].get("json")}, ours)
    if document["response"]["status"] < 400:
        _collect({"response": document["response"]["body"]}, ours)
    assert not ours & _recorded_texts()
