"""What must not be in a log, taken out of it: the last net beneath code that should not have said it.

Known are the secrets of the configuration, by value; others are known by their form: credentials in headers and URLs, and the
keys of well-known vendors. One rule: a line is never kept back, only what it must not say.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from gatewright.config.secrets import HIDDEN, Secret

SHORTEST: Final = 6
"""Characters of a secret that is looked for by value; a shorter one is part of words."""
MOST: Final = 10_000
"""Secrets that are looked for."""

_FORMS: Final = re.compile(
    r"(?P<url>(?<=://)[^\s/@\"']+(?=@))"
    r"|(?P<bearer>(?i:(?<=\bbearer )|(?<=\bbasic ))[A-Za-z0-9._~+/=|-]{8,})"
    r"|(?P<named>(?i:(?<=authorization: )|(?<=api-key: )|(?<=api_key=)|(?<=apikey=)|(?<=goog-api-key: ))[^\s,;&\"']{6,})"
    r"|\b(?:sk|pk|rk|gw|gsk|xai|pplx|nvapi|key)-[A-Za-z0-9_-]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_.-]{10,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|xox[abprs]-|r8_|dapi)[A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
)


class Scrub:
    """What is known now."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True)[:MOST]
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _FORMS.sub(HIDDEN, text)


def secrets_of(config: object) -> Iterator[str]:
    """All secrets of a configuration, with the passwords in URLs, and the lines of keys of several."""
    if isinstance(config, Secret):
        value = config.reveal()
        yield value
        if "://" in value:
            yield from _in_url(value)
        elif "\n" in value:
            yield from (line for line in value.splitlines() if not line.startswith("-----"))
    elif isinstance(config, msgspec.Struct):
        for name in config.__struct_fields__:
            yield from secrets_of(getattr(config, name))
    elif isinstance(config, Mapping):
        for value in config.values():
            yield from secrets_of(value)
    elif isinstance(config, tuple | list | frozenset):
        for value in config:
            yield from secrets_of(value)


def _in_url(value: str) -> Iterator[str]:
    try:
        url = urlsplit(value)
        password = url.password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
    yield from (part for part in (url.path.rpartition("/")[2], url.query) if len(part) >= 16)  # webhooks have theirs here
