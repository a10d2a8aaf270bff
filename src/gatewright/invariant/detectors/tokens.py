"""Keys and tokens by their shape alone, as Invariant's library tells them.

The kind `secrets` of guards looks closer (checksums, entropy) and therefore passes over the examples that people write into
policies' tests; whoever moves a policy here expects it to hold for those, too.

One rule: the names are Invariant's.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/secrets.md
"""

from collections.abc import Iterator

from gatewright.invariant.detectors.shapes import Shapes

_SHAPES: tuple[tuple[str, str], ...] = (
    ("GITHUB_TOKEN", r"(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9_]{36}"),
    ("AWS_ACCESS_KEY", r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}"),
    ("AZURE_STORAGE_KEY", r"AccountKey=[a-zA-Z0-9+/=]{88}"),
    ("SLACK_TOKEN", r"xox[abposr]-(?:\d{1,32}-){1,8}[a-z0-9]+"),
)
KINDS = frozenset(kind for kind, _ in _SHAPES)
_FORMS = Shapes(_SHAPES)


def find_tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end)."""
    return _FORMS.find(text)
