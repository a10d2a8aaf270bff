"""Documents that the vendors' types allow go through the laws: a share of them here, all by `python -m tests.laws.typed`.

One rule: the share is chosen by a checksum of the document's name, so that a run is like the one before.
"""

import zlib

import pytest

from tests.laws import cases
from tests.laws.seen import see
from tests.laws.typed.judged import SIDES, every, judge
from tests.laws.typed.novel import novelties
from tests.laws.typed.samples import Sampler

SHARE = 24
"""One document of so many is judged."""
NAMED = [(name, side) for name in cases.MODEL for side in SIDES]
CORPUS = [file for file in cases.files() if file[0] == "corpus"]


def chosen(name: str) -> bool:
    return zlib.crc32(name.encode()) % SHARE == 0


@pytest.mark.parametrize(("dialect", "side"), NAMED, ids=[f"{name}-{side}" for name, side in NAMED])
def test_what_the_types_allow_keeps_the_laws(dialect: str, side: str):
    """Every union member and optional field of the SDKs: nothing is lost at home, and abroad nothing in silence."""
    share = [(case, which) for case, which in every(dialect, side, full=False) if chosen(case.id)]
    assert share
    found = [violation for case, which in share for violation in judge(case, which)]
    assert not found, "\n".join(f"{violation} [{violation.case}]" for violation in found[:20])


@pytest.mark.parametrize("dialect", cases.MODEL)
def test_a_field_that_nobody_knows_yet_is_told(dialect: str):
    """Providers add fields without asking: in any object of a request, an answer or a stream's event."""
    files = [file for file in CORPUS if cases.load(*file).dialect == dialect and zlib.crc32(file[1].stem.encode()) % 4 == 0]
    assert files
    found = [violation for file in files for violation in novelties(see(*file))]
    assert not found, "\n".join(f"{violation} [{violation.case}]" for violation in found[:20])


def test_every_member_and_field_is_visited():
    """A schema's documents show each member of a union and each optional field, at any depth."""
    text = {"type": "object", "properties": {"kind": {"const": "text"}, "note": {"type": "string"}}, "required": ["kind"]}
    image = {"type": "object", "properties": {"kind": {"const": "image"}, "wide": {"type": "boolean"}}, "required": ["kind"]}
    root = {
        "type": "object",
        "properties": {"parts": {"type": "array", "items": {"anyOf": [text, image]}}},
        "required": ["parts"],
    }
    seen = [document["parts"][0] for _, document in Sampler(root).documents() if document["parts"]]
    assert {part["kind"] for part in seen} == {"text", "image"}
    assert {key for part in seen for key in part} == {"kind", "note", "wide"}
    assert {part["wide"] for part in seen if "wide" in part} == {True, False}
