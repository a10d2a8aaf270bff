"""Format words and media types; seals in signatures and in bytes."""

import base64

import pytest

from gatewright.dialects.bedrock_converse.formats import FORMATS, format_of, media_type_of, sniffed
from gatewright.dialects.bedrock_converse.seals import NEXT, open_redacted, open_signature, redacted, signature
from gatewright.ir.seal import Seal, pack
from tests.laws import bedrock_oracle


def test_every_format_comes_back_and_is_one_of_the_service_models():
    block = bedrock_oracle.operation("Converse").input_shape.members["messages"].member.members["content"].member
    for kind, table in FORMATS.items():
        known = block.members[kind].members["format"].enum
        for word in table:
            assert word in known
            assert format_of(kind, media_type_of(kind, word)) == word


@pytest.mark.parametrize(
    ("kind", "media_type", "word"),
    [("image", "image/jpg", "jpeg"), ("document", "text/x-python; charset=utf-8", "txt"), ("document", "application/json", "txt"),
     ("image", "image/tiff", ""), ("audio", "audio/x-wav", "wav"), ("document", "application/zip", "")],
)  # fmt: skip
def test_other_spellings(kind, media_type, word):
    assert format_of(kind, media_type) == word


def test_a_format_of_tomorrow_is_not_taken_for_another():
    assert media_type_of("image", "heic") == "image/heic"
    assert media_type_of("document", "odt") == "application/odt"
    assert media_type_of("video", "") == ""
    assert (sniffed("iVBORw0"), sniffed("AAAA")) == ("image/png", "")


def test_own_seals_are_raw_and_foreign_ones_are_packed():
    own = Seal(dialect="bedrock_converse", data="EqQB")
    foreign = Seal(dialect="gemini", data="G", issuer="google")
    assert signature(own) == "EqQB"
    assert open_signature(signature(own)).data == "EqQB"
    assert open_signature(signature(foreign)) == foreign
    word = redacted(foreign)
    assert base64.b64decode(word) == pack(foreign).encode()
    assert open_redacted(word) == (foreign, "")
    assert open_redacted(redacted(own, NEXT)) == (own, NEXT)


def test_bytes_that_only_look_packed_are_raw():
    """`Z3cx` begins ordinary base64 too."""
    for word in ("Z3cxLg==", "Z3cxLm5vdGpzb24=", "Z3cx\xff", "QQ=="):
        seal, side = open_redacted(word)
        assert (seal.dialect, seal.data, side) == ("bedrock_converse", word, "")
