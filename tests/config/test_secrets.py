"""Secrets: they do not print, and references find them."""

import json
import pickle

import msgspec
import pytest
from pydantic import BaseModel

from gatewright.config.secrets import BadReference, Secret, resolve


class Holder(BaseModel):
    secret: Secret


class Frozen(msgspec.Struct, frozen=True):
    secret: Secret


def test_a_secret_prints_nowhere():
    """Whatever turns it into text gives stars: logs and error pages are made of such text."""
    secret = Secret("sk-12345")
    holder = Holder.model_validate({"secret": "sk-12345"})
    shown = [
        repr(secret), str(secret), f"{secret}", f"{secret:>20}", f"{secret!r}", f"{secret} {secret!r}", repr([secret]),
        repr(Frozen(secret)), repr(holder), str(holder), holder.model_dump_json(), repr(holder.model_dump()),
        json.dumps({"k": secret}, default=str), repr(vars(holder)),
    ]  # fmt: skip
    assert all("***" in text and "12345" not in text for text in shown)
    assert holder.secret.reveal() == "sk-12345"


def test_a_secret_cannot_be_written_as_json_by_accident():
    """Encoders that do not know it fail rather than guess."""
    for encode in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError):
            encode({"secret": Secret("x")})


def test_secrets_compare_and_travel_to_workers():
    """Worker processes get the configuration by pickle."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert pickle.loads(pickle.dumps(Secret("a"))).reveal() == "a"
    assert not Secret("")


def test_references_are_followed(tmp_path):
    """A variable, a mounted file (its last line break is not part of it), or the text itself."""
    (tmp_path / "key").write_text("sk-file\n")
    (tmp_path / "windows").write_bytes(b"sk-win\r\n")
    environ = {"KEY": "sk-env"}
    assert resolve("env:KEY", environ, tmp_path) == "sk-env"
    assert resolve("file:key", environ, tmp_path) == "sk-file"
    assert resolve(f"file:{tmp_path}/windows", environ, tmp_path) == "sk-win"
    assert resolve("sk-plain:env", environ, tmp_path) == "sk-plain:env"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:OPENAI_KEY", 'environment variable "OPENAI_KEY" is not set; did you mean "OPENAI_API_KEY"?'),
        ("env:EMPTY", 'environment variable "EMPTY" is empty'),
        ("env:", "expected the name of an environment variable"),
        ("env:a b", "expected the name of an environment variable"),
        ("file:missing", "No such file or directory"),
        ("file:.", "Is a directory"),
        ("file:empty", "is empty"),
        ("file:binary", "is not UTF-8 text"),
        ("file:large", "not a secret"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(tmp_path, reference, said):
    """The name is told, the value never."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    with pytest.raises(BadReference) as caught:
        resolve(reference, {"OPENAI_API_KEY": "sk-1", "EMPTY": " "}, tmp_path)
    assert said in str(caught.value)
    assert "sk-1" not in str(caught.value)
