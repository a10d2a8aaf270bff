"""The family ladder: a model name that a provider does not list → the nearest one that it does. Pure.

One rule: the first rung that holds decides, and the rung is told, so that nobody wonders why another model answered.
Clients ask for `claude-sonnet-4-5-20250929` where a host lists `anthropic/claude-sonnet-4.5`, or for a model that a host has not
yet or no longer; the newest of its family is what they mean.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

Rung = Literal["exact", "vendor", "spelling", "family", "preferred", "newest", "unchanged"]

_DATE: Final = re.compile(r"(?<!\d)(20\d{2})-?([01]\d)-?([0-3]\d)(?!\d)")
_VERSION: Final = re.compile(r"(?<![\d.])v?(\d{1,2})(?:[-.](\d{1,2}))?(?:[-.](\d{1,2}))?(?![\dbk])")
_REVISION: Final = re.compile(r"-v\d+(:\d+\w*)?$|@\w+$")
"""How Bedrock and Vertex number their own copies: `-v1:0`, `@20250929`. Says nothing of the model's age."""
_PASSING: Final = frozenset({"preview", "beta", "exp", "experimental", "free", "extended", "latest"})
"""Words of a variant that nobody gets who did not ask for it."""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """A rule for names that may not be there."""

    provider: str
    vendors: tuple[str, ...] = ("anthropic",)
    """Prefixes under which the provider lists what clients ask for bare: `anthropic/claude-…`, `us.anthropic.claude-…`."""
    families: tuple[str, ...] = ("haiku", "sonnet", "opus")
    """Words of which a name holds one; tried in this order."""
    preferred: tuple[str, ...] = ()
    """Names for those that belong to no family, the first that is listed."""


class Step(msgspec.Struct, frozen=True):
    """Where a name came out."""

    model: str
    rung: Rung


def climb(asked: str, listed: Iterable[str], ladder: Ladder) -> Step:
    """The provider's model for the name `asked`, of those it lists.

    exact → under a vendor's name → the same but for spelling (`4-5` for `4.5`, a date more or less) → newest of its family →
    preferred → newest of the vendor's → unchanged, so that the provider itself says that it has no such model.
    """
    names = dict.fromkeys(listed)
    if asked in names:
        return Step(asked, "exact")
    for vendor in ladder.vendors:
        for joint in "/.":
            if (named := f"{vendor}{joint}{asked}") in names:
                return Step(named, "vendor")
    ours = [name for name in names if _is_vendors(name, asked, ladder.vendors)]
    if same := [name for name in ours if spelling(name) == spelling(asked)]:
        return Step(newest(same), "spelling")
    family = next((word for word in ladder.families if word in words(asked)), None)
    if family is not None and (kin := [name for name in ours if family in words(name)]):
        return Step(newest(kin), "family")
    if (wanted := next((name for name in ladder.preferred if name in names), None)) is not None:
        return Step(wanted, "preferred")
    if ours:
        return Step(newest(ours), "newest")
    return Step(asked, "unchanged")


def newest(names: Iterable[str]) -> str:
    """The newest by version, then by date; the plain model before its variants. `names` must not be empty.

    Versions are numbers, not text: 4.10 comes after 4.9, and `4-20250514` is a 4 of that date.
    """
    return max(names, key=_age)


def words(name: str) -> frozenset[str]:
    """The words of a name: what stands between punctuation, in lower case."""
    return frozenset(re.split(r"[^a-z0-9]+", name.lower()))


def spelling(name: str) -> str:
    """A name without what hosts write differently: the vendor before it, the date, the host's revision, dots for dashes."""
    bare = bare_name(name)
    bare = _REVISION.sub("", bare)
    bare = _DATE.sub("", bare)
    dashed = re.sub(r"[^a-z0-9:]+", "-", bare).strip("-").removesuffix("-latest")
    return re.sub(r"(?<=\d)-0$", "", dashed)  # `claude-sonnet-4-0` is Anthropic's own other name of `claude-sonnet-4`


def bare_name(name: str) -> str:
    """The model's own name, in lower case: `claude-opus-4-1` of `us.anthropic.claude-opus-4-1` and `vendor/claude-opus-4-1`."""
    last = name.lower().rpartition("/")[2]
    while (dot := re.match(r"[a-z]+\.(?=[a-z])", last)) is not None:
        last = last[dot.end() :]
    return last


def version_of(name: str) -> tuple[int, ...]:
    """The version in a name, as numbers; zeros when there is none."""
    found = _VERSION.search(_DATE.sub("", _REVISION.sub("", bare_name(name))))
    return (0, 0, 0) if found is None else tuple(int(part or 0) for part in found.groups())


def _age(name: str) -> tuple[tuple[int, ...], bool, int, str, str]:
    bare = bare_name(name)
    date = _DATE.search(bare)
    variant = len(words(_REVISION.sub("", bare)) & _PASSING) + (":" in _REVISION.sub("", bare))
    words_more = -len(re.split(r"[^a-z0-9]+", spelling(name)))
    return version_of(name), variant == 0, words_more, "".join(date.groups()) if date else "", name


def _is_vendors(name: str, asked: str, vendors: tuple[str, ...]) -> bool:
    """Whether a listed name is one of those meant: the vendor's, or of the line that `asked` begins with."""
    if any(f"{vendor}/" in name or f"{vendor}." in name for vendor in vendors):
        return True
    line = re.split(r"[^a-z]", asked.lower(), maxsplit=1)[0]
    return bool(line) and bare_name(name).startswith(line)
