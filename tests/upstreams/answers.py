"""What an API gives back to the server: a whole answer, a stream, or a refusal. No sockets here."""

import dataclasses
import json
import random
import string
from collections.abc import Iterable, Mapping

KEYS = {
    "openai": "sk-upstream-openai",
    "anthropic": "sk-ant-upstream",
    "gemini": "AIzaUpstream",
    "bedrock": "bedrock-api-key-upstream",
}
"""The credentials that are accepted, per provider."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it arrived, for tests to assert on."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case; the last of equal names wins."""
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    """A stream: each chunk leaves alone. None: `body` is the whole answer."""
    cut: bool = False
    """The connection closes after the last chunk without the end of the body."""


class Refused(Exception):
    """The request breaks a rule of the API; carries the API's own error document."""

    def __init__(self, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(json.dumps(document))
        self.answer = whole(document, status, headers or {})


def whole(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    merged = {"content-type": "application/json"} | dict(headers or {})
    return Answer(status=status, headers=tuple(merged.items()), body=json.dumps(document, ensure_ascii=False).encode())


def stream(chunks: Iterable[bytes], headers: Mapping[str, str] | None = None, *, cut: bool = False) -> Answer:
    merged = {"content-type": "text/event-stream; charset=utf-8"} | dict(headers or {})
    return Answer(headers=tuple(merged.items()), chunks=tuple(chunks), cut=cut)


def dump(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Ids:
    """Ids of the shapes that the providers give, in a fixed order."""

    def __init__(self) -> None:
        self._random = random.Random(20261121)

    def alnum(self, prefix: str, length: int) -> str:
        return prefix + "".join(self._random.choices(string.ascii_letters + string.digits, k=length))

    def hex(self, prefix: str, length: int) -> str:
        return prefix + "".join(self._random.choices("0123456789abcdef", k=length))
