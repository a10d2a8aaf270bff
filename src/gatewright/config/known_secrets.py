"""What of a configuration must not be told: its secrets, and the parts of them that are secrets alone.

A whole secret is not all that gets out: a driver names the password of its URL, a parser the line of a key that it stumbled on,
and whoever quotes a webhook may leave its host away. One rule: logs and traces ask here, so that neither knows less.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from gatewright.config.secrets import Secret

LONG: Final = 16
"""Characters of a part of a URL's path or query that is taken for a secret: what makes a webhook private is longer than words."""
_NAMED: Final = re.compile(r"(?i)(?:key|secret|token|password|authorization)\Z")
"""What texts are called that are secrets, though no `Secret`: in credentials files, and in what lies below the configuration."""
_PASSWORD: Final = re.compile(r"://[^:/?#@]*:([^@]+)@")
"""As SQLAlchemy reads it: whatever is not an `@`. Unescaped, some of that ends the host for others, or is no URL to them."""
_SENT: Final = re.compile(r"(?i)(?:bearer|basic|token) +(\S+)\Z")


def secrets_in(config: object) -> Iterator[str]:
    """Every secret in a value of any depth, and what of each is secret by itself: in no order, some twice, of any length.

    Secrets are each `Secret`, and texts whose field or key says so. Of a URL: its password, and what is `LONG` of path and query.
    User, host and a database's name are words that must stay readable wherever else they stand; a word of `LONG` letters pays
    for the webhooks. Of several lines: each, but for the marks of PEM. Of `Bearer x`: `x`. Of a JSON document: as of anything.
    Whoever looks for them leaves out those of fewer than 6 characters, which would be found within words all over; a password
    that is a longer word, such as `postgres`, is one all the same.
    """
    return _within(config, "")


def _within(value: object, name: str) -> Iterator[str]:
    """`name`: of the field or the key that it is, or is in a list of."""
    match value:
        case Secret():
            yield from _of(value.reveal())
        case str():
            if _NAMED.search(name):
                yield from _of(value)
        case msgspec.Struct():
            for field in value.__struct_fields__:
                yield from _within(getattr(value, field), field)
        case Mapping():
            for key, one in value.items():
                yield from _within(one, key if isinstance(key, str) else "")
        case tuple() | list() | set() | frozenset():
            for one in value:
                yield from _within(one, name)


def _of(value: str) -> Iterator[str]:
    """One secret, and its parts."""
    yield value
    if (sent := _SENT.match(value)) is not None:
        yield sent[1]
    document = _document(value)
    yield from _within(document, "")
    if "://" in value:
        yield from _in_url(value)
    # A document with addresses has lines that are in every such one, and names for what is secret.
    if "\n" in value and (document is None or "://" not in value):
        lines = (line.strip() for line in value.splitlines())
        yield from (line for line in lines if line and not line.startswith("-----"))


def _document(value: str) -> dict[str, object] | None:
    """A credentials file, such as Google's. None: it is none."""
    if not value.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _in_url(value: str) -> Iterator[str]:
    found = _PASSWORD.findall(value)
    try:
        url = urlsplit(value)
        found.append(url.password)
    except ValueError:
        url = urlsplit("")
    parameters = [one.partition("=") for one in url.query.split("&")]
    found += [text for name, _, text in parameters if name.endswith("password")]  # as PostgreSQL's own URLs may have it
    parts = [url.path.rpartition("/")[2], url.query]
    if url.scheme in ("http", "https"):  # a webhook, whose token may stand anywhere; others have file names and options there
        parts += [*url.path.split("/"), *(text for _, _, text in parameters)]
    for part in (*filter(None, found), *(part for part in parts if len(part) >= LONG)):
        yield part
        yield unquote(part)
