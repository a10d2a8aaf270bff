"""HTTP messages as values: what a dialect may see of a call, and what it answers."""

from collections.abc import Iterator, Mapping

import msgspec

KEY_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")
_CREDENTIALS = frozenset((*KEY_HEADERS, b"authorization"))


class HeaderView(Mapping[str, str]):
    """Headers decoded when asked for: most are never read."""

    __slots__ = ("_raw", "lines")

    def __init__(self, raw: Mapping[bytes, bytes]) -> None:
        self._raw = raw
        self.lines: dict[str, bytes] = {}
        """What others have made of these headers, by names of their own, for the next request with the same head."""

    def __getitem__(self, name: str) -> str:
        return self._raw[name.encode("latin-1")].decode("latin-1")

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override] # of str values only
        """As for any mapping; without the exception that a missing name costs."""
        value = self._raw.get(name.encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def pick(self, names: tuple[tuple[str, bytes], ...]) -> tuple[tuple[str, str], ...]:
        """Of these, each in both types, the ones that are there."""
        raw = self._raw
        found: tuple[tuple[str, str], ...] = ()
        for name, key in names:
            if key in raw:
                found += ((name, raw[key].decode("latin-1")),)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw if name not in _CREDENTIALS)

    def __len__(self) -> int:
        return len(self._raw)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sent, as far as a dialect may see it."""

    path: str
    """Decoded and normalised, without query: `/v1beta/models/gemini-2.5-pro:generateContent`."""
    body: bytes
    query: Mapping[str, str] = {}
    """The last of several wins. The client's key is not in here."""
    pairs: tuple[tuple[str, str], ...] = ()
    """The whole query in order, repeated names included; without the key."""
    headers: Mapping[str, str] = {}
    """Names in lower case; the first of several wins. Credentials are not in here."""
    notes: dict[str, object] = {}
    """What a dialect has read of this call already, so that it reads it once. Private to the dialect."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Beside content-type (JSON) and length, which the server adds."""
