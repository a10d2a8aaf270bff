r"""Kind `tools`: which tools may be offered, called and heard, by name and by arguments.

    deny: [delete_*, {tool: send_email, arguments: {to: {not_matches: "@example\.com$"}}}]
    allow: [search, {tool: read_file, arguments: {path: "^/work/"}}]

One rule: what is denied is found; where anything is allowed, all else is found too. In capitals or not is one name: what another
dialect writes must not slip through.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

import msgspec

from gatewright.guards.detect.arguments import Conditions, Said, conditions
from gatewright.guards.detect.conversation import Step, Unreadable, answered, steps
from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Compiled
from gatewright.guards.terms import Finding, Part
from gatewright.ir.request import Request, Tool
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject

Subject: TypeAlias = Literal["definitions", "calls", "results"]
_PARTS: Final[frozenset[Part]] = frozenset(("tool_call", "tool_result", "tool"))


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool, and what its arguments must be."""

    tool: str
    """Its name, or a glob of names."""
    arguments: Said = {}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"subjects": "in"}):
    deny: tuple[str | Named, ...] = ()
    allow: tuple[str | Named, ...] = ()
    """Empty: all that is not denied."""
    subjects: tuple[Subject, ...] = ("definitions", "calls")
    """Written `in`. Conditions on arguments are about calls alone."""


class Meant(msgspec.Struct, frozen=True):
    """A tool, and conditions."""

    glob: str
    conditions: Conditions

    def names(self, tool: str) -> bool:
        return fnmatchcase(tool.lower(), self.glob)


def meant(said: str | Named, path: str) -> Meant:
    """Raises ValueError."""
    named = Named(said) if isinstance(said, str) else said
    if not named.tool:
        raise wrong(path if isinstance(said, str) else f"{path}.tool", "a tool's name must not be empty; `*` means all")
    return Meant(named.tool.lower(), conditions(named.arguments, f"{path}.arguments"))


class ToolRules:
    """The judge."""

    def __init__(self, deny: Sequence[Meant], allow: Sequence[Meant], subjects: Sequence[Subject]) -> None:
        self._deny = tuple(deny)
        self._allow = tuple(allow)
        self._subjects = frozenset(subjects)

    def judge(self, request: Request, answer: Response | None) -> list[Finding]:
        if answer is not None:
            return [finding for step in answered(answer) for finding in self._of(step)]
        found = [finding for step in steps(request) for finding in self._of(step)]
        if "definitions" in self._subjects:
            for index, tool in enumerate(request.tools):
                found += self._defined(tool, tool.at or f"tools[{index}]")
        return found

    def _of(self, step: Step) -> list[Finding]:
        if step.kind == "call" and "calls" in self._subjects:
            return self._called(step)
        if step.kind == "result" and "results" in self._subjects:
            return self._unwanted(step.tool, step.path)
        return []

    def _defined(self, tool: Tool, path: str) -> list[Finding]:
        names = [name for name in (tool.name, tool.hosted) if name] or ["?"]
        found = [self._unwanted(name, path) for name in names]
        denied = [finding for each in found for finding in each if finding.kind == "tool_denied"]
        # A provider's own tool is allowed by either of its names.
        return denied[:1] or (found[0] if all(found) else [])

    def _unwanted(self, tool: str, path: str) -> list[Finding]:
        """By name alone."""
        if any(each.names(tool) and not each.conditions.wheres for each in self._deny):
            return [_finding("tool_denied", tool, path, "is denied")]
        if self._allow and not any(each.names(tool) for each in self._allow):
            return [_finding("tool_not_allowed", tool, path, "is not allowed")]
        return []

    def _called(self, step: Step) -> list[Finding]:
        for each in self._deny:
            if each.names(step.tool) and each.conditions.forbid(step.arguments):
                why = "is denied" if not each.conditions.wheres else "is denied with these arguments"
                why = (
                    "has arguments that cannot be read"
                    if isinstance(step.arguments, Unreadable) and each.conditions.wheres
                    else why
                )
                return [_finding("tool_denied", step.tool, step.path, why)]
        if not self._allow:
            return []
        fitting = [each for each in self._allow if each.names(step.tool)]
        if any(each.conditions.permit(step.arguments) for each in fitting):
            return []
        why = "is not allowed with these arguments" if fitting else "is not allowed"
        return [_finding("tool_not_allowed", step.tool, step.path, why)]


def _finding(kind: str, tool: str, path: str, why: str) -> Finding:
    return Finding(kind=kind, message=f"tool {tool[:64]!r} {why}", path=path)


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    if not said.deny and not said.allow:
        raise wrong("deny", "something must be denied or allowed")
    deny = [meant(each, f"deny[{index}]") for index, each in enumerate(said.deny)]
    allow = [meant(each, f"allow[{index}]") for index, each in enumerate(said.allow)]
    if not said.subjects:
        raise wrong("in", "expected some of definitions, calls, results")
    return Compiled(judge=ToolRules(deny, allow, said.subjects), parts=_PARTS)
