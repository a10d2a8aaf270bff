"""What a policy may ask of texts that it cannot look for itself.

One rule: the language knows the names and the shapes; who finds anything is told by whoever reads the policy.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from gatewright.jsontypes import JsonObject, JsonValue

Options: TypeAlias = Mapping[str, JsonValue]
"""What the policy gave beside the text, by name."""


class Hit(msgspec.Struct, frozen=True, gc=False):
    """`text[start:end]` is of a kind."""

    kind: str
    start: int
    end: int


class Detector(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the policy language. Its calls never raise, and cost about as much as the text is long."""

    gives: Literal["kinds", "flag", "record"]
    """`kinds`: the kinds found, as `pii`. `flag`: whether anything was, as `prompt_injection`. `record`: an object, as
    `python_code`."""
    find: Callable[[str, Options], Sequence[Hit]] | None = None
    record: Callable[[str, Options], JsonObject] | None = None
    options: tuple[str, ...] = ()
    """Names of what may follow the text, in their order."""
    kinds: frozenset[str] = frozenset()
    """What it can find, where that is known: asking for anything else is an error of the policy. Empty: not known."""
    listed: str = ""
    """The option that lists kinds (`entities`)."""


Detectors: TypeAlias = Mapping[str, Detector]

MODULES = frozenset(
    (
        "invariant",
        "invariant.access_control",
        "invariant.builtins",
        "invariant.detectors",
        "invariant.detectors.code",
        "invariant.detectors.copyright",
        "invariant.detectors.fuzzy_matching",
        "invariant.detectors.image",
        "invariant.detectors.moderation",
        "invariant.detectors.pii",
        "invariant.detectors.prompt_injection",
        "invariant.detectors.secrets",
        "invariant.detectors.sentence_similarity",
        "invariant.detectors.unicode",
        "invariant.errors",
        "invariant.files",
        "invariant.llm",
        "invariant.message",
        "invariant.nodes",
        "invariant.parsers",
        "invariant.parsers.html",
        "invariant.parsers.ocr",
        "invariant.policies",
        "invariant.quantifiers",
    )
)

_MODEL = "needs a model, which nothing waits for while a policy is evaluated"
_JUDGE = "ask one by a rule of its own (kind: judge)"
UNSERVED: dict[str, tuple[str, str]] = {
    "moderated": (_MODEL, _JUDGE),
    "llm": (_MODEL, _JUDGE),
    "llm_confirm": (_MODEL, _JUDGE),
    "is_similar": (_MODEL, _JUDGE),
    "language": (_MODEL, _JUDGE),
    "ocr": (_MODEL, "images can be looked at by a webhook (kind: webhook)"),
    "semgrep": ("runs a program, which nothing here does", "python_code(…).function_calls and .imports see Python code"),
    "ipython_code": ("is not served", "use python_code(…, ipython_mode=True)"),
    "bash_code": ("is not served", 'match the command: match(r"curl .*\\|\\s*(ba)?sh", call.function.arguments.command)'),
    "html_code": ("is not served", "use find and match"),
    "should_allow_rbac": ("is not served", "write the roles as constants and compare them"),
    "is_sensitive": ("is not served", "use find and match"),
    "contains": ("is not served", 'use `"…" in text`'),
    "fuzzy_contains": ("is not served", "use match with the spellings you expect"),
}
"""Names of Invariant's library that a policy may import, and that only whoever binds them can serve."""

_NOT_BY_FORM = "names and places are not known by their form: a rule of kind presidio looks for them, or this one with names: {…}"
UNSERVED_KINDS: dict[str, str] = {
    "DATE_TIME": _NOT_BY_FORM,
    "LOCATION": _NOT_BY_FORM,
    "NRP": _NOT_BY_FORM,
    "ORGANIZATION": _NOT_BY_FORM,
    "PERSON": _NOT_BY_FORM,
}
"""What Presidio finds by a model of language → what to do."""

KIND_DETECTORS: dict[str, str] = {"MODERATED": "moderated"}
"""`<KIND>` in the arguments of a tool → the detector; the others are kinds of `pii`."""
DEFAULT_KIND_DETECTOR = "pii"
