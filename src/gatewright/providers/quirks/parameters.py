"""Parameters that a host refuses, spells in its own way, or takes a part of.

One rule: tables. A value that asks for what happens anyway goes without a word that matters (a hint).
"""

from collections.abc import Callable, Iterable, Mapping

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.quirks.seam import Mend, Tell

ASKS_NOTHING: Mapping[str, tuple[JsonValue, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "store": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
}
"""Values that are every host's default."""

LABELS = frozenset(
    ("user", "metadata", "store", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "stream_options")
)
"""Fields that change nothing in the answer."""


def _tell_dropped(tell: Tell, field: str, value: JsonValue, why: str) -> None:
    if field == "stream_options":
        return  # the gateway's own wish, as a rule; usage comes all the same
    hint = value is None or field in LABELS or any(value == v and type(value) is type(v) for v in ASKS_NOTHING.get(field, ()))
    (tell.losses.hint if hint else tell.losses.dropped)(tell.where(field), why, value)


def without(host: str, fields: Iterable[str], *, unless: Mapping[str, tuple[JsonValue, ...]] | None = None) -> Mend:
    """Leaves out `fields`; those of `unless` only where their value is another."""
    dropped, kept = tuple(fields), unless or {}

    def mend(body: JsonObject, tell: Tell) -> None:
        for field in dropped:
            if field in body and body[field] not in kept.get(field, ()):
                _tell_dropped(tell, field, body.pop(field), f"{host} refuses it")

    return mend


def only(host: str, fields: Iterable[str]) -> Mend:
    """Leaves out all but `fields`, for hosts that refuse what they do not know."""
    known = frozenset(fields)

    def mend(body: JsonObject, tell: Tell) -> None:
        for field in [field for field in body if field not in known]:
            _tell_dropped(tell, field, body.pop(field), f"{host} refuses what it does not know")

    return mend


def spelt(names: Mapping[str, str]) -> Mend:
    """Fields under the host's own names. Where both are there, the client knew the host: its own word stays."""
    spellings = tuple(names.items())

    def mend(body: JsonObject, _tell: Tell) -> None:
        for theirs, ours in spellings:
            if theirs in body:
                value = body.pop(theirs)
                if value is not None:
                    body.setdefault(ours, value)

    return mend


def effort_of(host: str, words: Mapping[str, str]) -> Mend:
    """`reasoning_effort` in the host's words; one that it has no word for is left out."""

    def mend(body: JsonObject, tell: Tell) -> None:
        asked = body.get("reasoning_effort")
        if not isinstance(asked, str) or words.get(asked) == asked:
            return
        where = tell.where("reasoning_effort")
        if asked in words:
            body["reasoning_effort"] = words[asked]
            tell.losses.approximated(where, f"{host} says {words[asked]}", asked)
        else:
            del body["reasoning_effort"]
            tell.losses.dropped(where, f"{host} has no such effort", asked)

    return mend


_NO_EFFORT = "this model takes no effort"


def without_effort(body: JsonObject, tell: Tell) -> None:
    """For models that reason, or do not, without being asked."""
    if "reasoning_effort" in body:
        tell.losses.dropped(tell.where("reasoning_effort"), _NO_EFFORT, body.pop("reasoning_effort"))


def without_effort_in_responses(body: JsonObject, tell: Tell) -> None:
    """The same where it is `reasoning.effort`."""
    reasoning = body.get("reasoning")
    if not isinstance(reasoning, dict) or "effort" not in reasoning:
        return
    tell.losses.dropped(tell.where("reasoning"), _NO_EFFORT, reasoning["effort"])
    rest = {key: value for key, value in reasoning.items() if key != "effort"}
    if rest:
        body["reasoning"] = rest
    else:
        del body["reasoning"]


def unless_default(host: str, fields: Iterable[str], *, when: Callable[[JsonObject], bool] = bool) -> Mend:
    """Leaves out settings that differ from the one value that the host takes beside reasoning: 1, 0, false."""
    names = tuple(fields)

    def mend(body: JsonObject, tell: Tell) -> None:
        if not when(body):
            return
        for field in names:
            value = body.get(field)
            if value is not None and not any(value == v and type(value) is type(v) for v in TAKEN.get(field, ())):
                tell.losses.dropped(tell.where(field), f"{host}: this model takes none while it reasons", body.pop(field))

    return mend


TAKEN: Mapping[str, tuple[JsonValue, ...]] = {
    "temperature": (1, 1.0),
    "top_p": (1, 1.0),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "logprobs": (False,),
    "top_logprobs": (0,),
}


def reasons(body: JsonObject) -> bool:
    """Whether a chat request asks for an effort; models that need not reason do so then only."""
    return _is_effort(body.get("reasoning_effort"))


def reasons_in_responses(body: JsonObject) -> bool:
    reasoning = body.get("reasoning")
    return isinstance(reasoning, dict) and _is_effort(reasoning.get("effort"))


def _is_effort(effort: JsonValue) -> bool:
    return isinstance(effort, str) and effort != "none"


def several(*mends: Mend) -> Mend:
    """One after the other."""

    def mend(body: JsonObject, tell: Tell) -> None:
        for one in mends:
            one(body, tell)

    return mend
