r"""Kind `flows`: what must not follow upon what, over the whole conversation.

    flows:
      - after: {result_of: [fetch_*, read_email], contains: "(?i)password"}
        deny: {call: send_*, arguments: {to: {not_matches: "@example\.com$"}}}
        unless: {user: "(?i)yes, send"}
      - before: {call: transfer}
        require: {call: confirm}

One rule: the order of the conversation is the order of things. A call is found where something that taints came before it and
nothing since has made it good; or where what is required has not come before it.
"""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from gatewright.guards.detect.arguments import Conditions, Said, conditions
from gatewright.guards.detect.conversation import Step, StepKind, answered, steps
from gatewright.guards.detect.scan import BadPattern, matcher
from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Compiled
from gatewright.guards.terms import Finding, Part
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject

_PARTS: Final[frozenset[Part]] = frozenset(("tool_call",))
Globs = str | tuple[str, ...]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of: a result, a call, something that was said."""

    result_of: Globs | None = None
    """A tool gave something: its name, or globs."""
    call: Globs | None = None
    """A tool was called."""
    user: str | bool | None = None
    """The user said something; a pattern: something with this in it."""
    assistant: str | bool | None = None
    contains: str | None = None
    """Of a result: a pattern that is found in it."""
    failed: bool | None = None
    """Of a result: whether the tool said that it failed."""
    arguments: Said = {}
    """Of a call."""


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """After this, not that, unless. Or: before this, that."""

    after: Event | None = None
    deny: Event | None = None
    """A call."""
    unless: Event | None = None
    """What, in between, makes it good."""
    before: Event | None = None
    """A call."""
    require: Event | None = None
    """What must have come before; with `after`, since that."""
    message: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    flows: tuple[Flow, ...]


Fits = Callable[[Step], bool]


class Compared(msgspec.Struct, frozen=True):
    """A flow, ready."""

    after: Fits | None
    call: Fits
    good: Fits | None
    message: str

    def findings(self, path: Sequence[Step], since: int) -> list[Finding]:
        """Of the calls from `path[since]` on. Each step is looked at once."""
        tainted, found = self.after is None, []
        for index, step in enumerate(path):
            if index >= since and tainted and step.kind == "call" and self.call(step):
                found.append(Finding(kind="flow", message=self.message, path=step.path))
            if self.good is not None and self.good(step):
                tainted = False
            if self.after is not None and self.after(step):
                tainted = True
        return found


class Flows:
    """The judge."""

    def __init__(self, flows: Sequence[Compared]) -> None:
        self._flows = tuple(flows)

    def judge(self, request: Request, answer: Response | None) -> list[Finding]:
        path = steps(request)
        since = 0
        if answer is not None:
            since = len(path)
            path += answered(answer)
        return [finding for flow in self._flows for finding in flow.findings(path, since)]


def _compared(flow: Flow, path: str) -> Compared:
    if (flow.deny is None) == (flow.before is None):
        raise wrong(path, "expected `after` and `deny`, or `before` and `require`")
    if flow.deny is not None and (flow.after is None or flow.require is not None):
        raise wrong(path, "`deny` needs `after`; what makes it good is said by `unless`")
    if flow.before is not None and (flow.require is None or flow.unless is not None):
        raise wrong(path, "`before` needs `require`, and takes no `unless`")
    call, name = (flow.deny, "deny") if flow.deny is not None else (flow.before, "before")
    assert call is not None
    if call.call is None:
        raise wrong(f"{path}.{name}", "expected a call: `call: send_*`")
    good = flow.unless or flow.require
    return Compared(
        after=None if flow.after is None else _fits(flow.after, f"{path}.after"),
        call=_fits(call, f"{path}.{name}"),
        good=None if good is None else _fits(good, f"{path}.{'unless' if flow.unless else 'require'}"),
        message=flow.message
        or ("what came before forbids this call" if flow.deny else "what this call requires did not come before"),
    )


def _fits(event: Event, path: str) -> Fits:
    said = [name for name in ("result_of", "call", "user", "assistant") if getattr(event, name) is not None]
    if len(said) != 1:
        raise wrong(path, "expected one of result_of, call, user, assistant")
    if (event.contains is not None or event.failed is not None) and event.result_of is None:
        raise wrong(path, "`contains` and `failed` are said of results (`result_of`)")
    if event.arguments and event.call is None:
        raise wrong(path, "`arguments` are said of calls (`call`)")
    if event.call is not None:
        return _call(event.call, conditions(event.arguments, f"{path}.arguments"))
    if event.result_of is not None:
        contains = None if event.contains is None else _pattern(event.contains, f"{path}.contains")
        return _result(event.result_of, contains, event.failed)
    kind: StepKind = "user" if event.user is not None else "assistant"
    word = event.user if event.user is not None else event.assistant
    if word is False:
        raise wrong(f"{path}.{kind}", "expected a pattern or `true`")
    return _said(kind, _pattern(word, f"{path}.{kind}") if isinstance(word, str) else None)


def _call(globs: Globs, where: Conditions) -> Fits:
    return lambda step: step.kind == "call" and _named(step.tool, globs) and where.forbid(step.arguments)


def _result(globs: Globs, contains: Callable[[str], bool] | None, failed: bool | None) -> Fits:  # noqa: FBT001 - a filter
    return lambda step: (
        step.kind == "result"
        and _named(step.tool, globs)
        and (contains is None or contains(step.text))
        and (failed is None or step.failed is failed)
    )


def _said(kind: StepKind, contains: Callable[[str], bool] | None) -> Fits:
    return lambda step: step.kind == kind and (contains is None or contains(step.text))


def _named(tool: str, globs: Globs) -> bool:
    """A result of an unknown tool fits any glob: who gives untrusted text need not say so."""
    every = (globs,) if isinstance(globs, str) else globs
    return not tool or any(fnmatchcase(tool.lower(), glob.lower()) for glob in every)


def _pattern(pattern: str, path: str) -> Callable[[str], bool]:
    try:
        return matcher(pattern)
    except BadPattern as error:
        raise wrong(path, str(error)) from None


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    if not said.flows:
        raise wrong("flows", "at least one flow is needed")
    return Compiled(judge=Flows([_compared(flow, f"flows[{index}]") for index, flow in enumerate(said.flows)]), parts=_PARTS)
