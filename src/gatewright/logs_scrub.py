"""What must not be in a log, taken out of it: the last net beneath code that should not have said it.

Known are the secrets of the configuration, by value; others are known by their form: credentials in headers and URLs, and the
keys of well-known vendors. One rule: a line is never kept back, only what it must not say.
"""

import re
from collections.abc import Iterable
from typing import Final

from gatewright.config.secrets import HIDDEN

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
