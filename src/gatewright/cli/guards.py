"""`gatewright guards test`: cases of a file held against the rules of a configuration. Nobody is called.

One rule: what a case expects is all that it expects; a rule that is not named must have found nothing.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text as Words

from gatewright.cli.source import give_up, read_config
from gatewright.config import Config
from gatewright.config.problems import ConfigError, ConfigProblem
from gatewright.config.tree import Tree, read_file
from gatewright.dialects import BY_NAME
from gatewright.errors import GatewrightError
from gatewright.exchange import Exchange, Principal
from gatewright.guards.check import Checker
from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Action, Finding
from gatewright.ir.blocks import DialectName, Message, Text
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.guard_book import RuleBook
from gatewright.wire.http import Call
from gatewright.wire.json import encode

guards_app = typer.Typer(help="Rules over what is asked and answered.", no_args_is_help=True)
UNMET = 1
"""Exit code where an expectation is not met."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is said, by whom, and what rules are to find: a `text` or a `request`, an `answer`, or both."""

    name: str
    text: str | None = None
    """A user's words."""
    request: JsonObject | None = None
    """A whole request, in `dialect`."""
    answer: str | JsonObject | None = None
    """A model's words, or a whole answer in `dialect`."""
    dialect: DialectName = "openai_chat"
    model: str = "model"
    key: str = "key"
    team: str = ""
    tags: tuple[str, ...] = ()
    expect: Literal["pass"] | dict[str, Action] = "pass"


class Outcome(msgspec.Struct, frozen=True):
    case: Case
    found: Mapping[str, Action]
    problem: str = ""
    """Why it could not be tried."""

    @property
    def met(self) -> bool:
        return not self.problem and self.found == ({} if self.case.expect == "pass" else self.case.expect)


@guards_app.callback()
def _group() -> None:
    """Keeps `test` a word of its own."""


@guards_app.command("test")
def try_cases(
    cases: Annotated[Path, typer.Argument(help="YAML: {cases: [{name, text|request|answer, expect}]}.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")] = None,
) -> None:
    """Hold cases against the rules. Ends with 1 where an expectation is not met, with 2 where a file is wrong."""
    settings = read_config(config)
    outcomes = [tried(case, settings) for case in read_cases(cases)]
    console = Console(soft_wrap=True, no_color=bool(os.environ.get("NO_COLOR")))
    console.print(_table(outcomes))
    waiting = [one.rule.name for one in settings.guards.rules if one.maker is not None]
    if waiting:
        typer.echo(f"not asked, because they call somebody: {', '.join(waiting)}", err=True)
    unmet = sum(not outcome.met for outcome in outcomes)
    typer.echo(f"{len(outcomes) - unmet} of {len(outcomes)} cases as expected")
    if unmet:
        raise typer.Exit(UNMET)


def read_cases(path: Path) -> list[Case]:
    """Exits with code 2 where the file is wrong, with file:line:column."""
    try:
        tree = read_file(path)
    except OSError as error:
        give_up(f"{path}: cannot be read: {error.strerror}")
    problems = [ConfigProblem(place=one.place, path=one.path, message=one.message) for one in tree.troubles]
    found: list[Case] = []
    listed = tree.value.get("cases")
    if not problems and not isinstance(listed, list):
        problems.append(ConfigProblem(place=tree.place(()), message='expected "cases", a list'))
    for i, document in enumerate(listed if isinstance(listed, list) else ()):
        try:
            found.append(msgspec.convert(document, Case))
        except msgspec.ValidationError as error:
            problems.append(_problem(tree, i, str(error)))
    if problems:
        give_up(str(ConfigError(str(path), tuple(problems))))
    return found


def _problem(tree: Tree, index: int, words: str) -> ConfigProblem:
    said, _, where = words.partition(" - at `$")
    steps = tuple(step for step in where.rstrip("`").split(".") if step and step.isidentifier())
    return ConfigProblem(place=tree.place(("cases", index, *steps)), path=("cases", index, *steps), message=said)


def tried(case: Case, config: Config) -> Outcome:
    """What the rules find."""
    book = RuleBook([one.rule for one in config.guards.rules if one.maker is None], config.guards.terms)
    try:
        request = _request(case)
        answer = _answer(case)
    except GatewrightError as error:
        return Outcome(case, {}, error.problem.message)
    rules = book.rules_for(_exchange(case))
    findings = _asked(rules, request) if case.text is not None or case.request is not None or answer is None else []
    if answer is not None:
        findings += _answered(rules, request, answer)
    return Outcome(case, {finding.rule: finding.action for finding in findings})


def _asked(rules: Sequence[Rule], request: Request) -> list[Finding]:
    checker = Checker(rules, "request", Redactor())
    checker.walk.request(request)
    checker.judge(request, None)
    return checker.findings


def _answered(rules: Sequence[Rule], request: Request, answer: Response) -> list[Finding]:
    checker = Checker(rules, "answer", Redactor())
    checker.walk.response(answer)
    checker.judge(request, answer)
    return checker.findings


def _request(case: Case) -> Request:
    if case.request is not None:
        return BY_NAME[case.dialect].parse_request(_call(case, case.request))
    words = (Text(text=case.text),) if case.text is not None else ()
    return Request(origin=case.dialect, model=case.model, messages=(Message(role="user", blocks=words),) if words else ())


def _answer(case: Case) -> Response | None:
    if isinstance(case.answer, dict):
        return BY_NAME[case.dialect].parse_response(encode(case.answer), Asked())
    if case.answer is None:
        return None
    return Response(origin=case.dialect, id="", model=case.model, blocks=(Text(text=case.answer),))


def _call(case: Case, body: JsonObject) -> Call:
    """A call as its path says it where the dialect names models there."""
    paths = {"gemini": f"/v1beta/models/{case.model}:generateContent", "bedrock_converse": f"/model/{case.model}/converse"}
    return Call(path=paths.get(case.dialect, "/"), body=encode(body))


def _exchange(case: Case) -> Exchange:
    named = case.request.get("model") if case.request is not None else None
    return Exchange(
        request_id="test",
        dialect=case.dialect,
        operation="generate",
        method="POST",
        call=Call(path="/", body=b""),
        started=0.0,
        model=named if isinstance(named, str) else case.model,
        principal=Principal(case.key, key_id=case.key, team=case.team, tags=case.tags),
    )


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("", "case", "expected", "found"):
        table.add_column(title)
    for outcome in outcomes:
        sign = Words("ok", "green") if outcome.met else Words("no", "bold red")
        found = outcome.problem or _shown(outcome.found)
        table.add_row(sign, outcome.case.name, _shown({} if outcome.case.expect == "pass" else outcome.case.expect), found)
    return table


def _shown(found: Mapping[str, Action]) -> str:
    return ", ".join(f"{rule}: {action}" for rule, action in sorted(found.items())) or "pass"
