"""Kind `cel`: an expression in the Common Expression Language over what is asked and answered. The extra `cel` brings it.

    expression: size(tools) > 20 && !("platform" in principal.tags)
    expression: answer != null && texts.exists(t, t.part == "assistant" && t.text.contains("internal"))

One rule: true is a finding, false is none; anything else, an error too, is a finding of kind `cel_failed`.
https://cel.dev
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

import msgspec

from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Asker, Compiled
from gatewright.guards.terms import Finding, Text
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject

NAMES: Final = ("request", "answer", "messages", "tools", "principal", "texts")
"""What an expression may speak of."""
_OF_PRINCIPAL: Final = ("name", "key_id", "user", "team", "organization", "role", "tags", "metadata")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expression: str
    """True where the rule has something to say."""


class Program(Protocol):
    """One of `cel.compile`."""

    def execute(self, context: dict[str, object]) -> object: ...

    def variables(self) -> list[str]: ...


class _Cel(Protocol):
    def compile(self, expression: str) -> Program: ...


class Expression:
    """Who is asked. It never waits."""

    def __init__(self, program: Program, wanted: frozenset[str]) -> None:
        self._program = program
        self._wanted = wanted

    async def ask(self, request: Request, answer: Response | None, texts: Sequence[Text], asker: Asker) -> Sequence[Finding]:
        try:
            result = self._program.execute(self._context(request, answer, texts, asker))
        except Exception as error:  # noqa: BLE001 - whatever it raises, and it raises Rust's panics too
            return (Finding(kind="cel_failed", message=f"the expression failed: {type(error).__name__}"),)
        if result is False:
            return ()
        if result is not True:
            return (Finding(kind="cel_failed", message=f"the expression gave a {type(result).__name__}, not true or false"),)
        return (Finding(kind="cel"),)

    def _context(self, request: Request, answer: Response | None, texts: Sequence[Text], asker: Asker) -> dict[str, object]:
        """Only what the expression speaks of: what else there is need not be turned into CEL's values."""
        wanted = self._wanted
        context: dict[str, object] = {}
        if wanted & {"request", "messages", "tools"}:
            whole = cast("JsonObject", msgspec.to_builtins(request))
            context = {"request": whole, "messages": whole.get("messages", []), "tools": whole.get("tools", [])}
        if "answer" in wanted:
            context["answer"] = None if answer is None else msgspec.to_builtins(answer)
        if "texts" in wanted:
            context["texts"] = [{"part": each.part, "path": each.path, "text": each.text, "tool": each.tool} for each in texts]
        if "principal" in wanted:
            context["principal"] = _principal(getattr(asker, "principal", None))
        return context


def _principal(principal: object) -> dict[str, object]:
    """Who calls, by what is no secret. Nobody has empty fields."""
    found: dict[str, object] = {name: getattr(principal, name, "") for name in _OF_PRINCIPAL}
    tags, metadata = getattr(principal, "tags", ()), getattr(principal, "metadata", {})
    return {**found, "tags": list(tags), "metadata": dict(metadata)}


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError; also where the extra is not installed."""
    said = read(settings, Settings)
    try:
        cel = cast("_Cel", import_module("cel"))
    except ImportError:
        raise ValueError("kind `cel` needs the extra: pip install 'gatewright[cel]'") from None
    try:
        program = cel.compile(said.expression)
        spoken = frozenset(program.variables())
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise wrong("expression", f"not an expression in CEL: {_first_line(error)}") from None
    if not spoken & set(NAMES):
        raise wrong("expression", f"it speaks of none of {', '.join(NAMES)}, and says the same of every request")
    return Compiled(asked=Expression(program, spoken))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
