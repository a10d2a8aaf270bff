"""Which rules hold for a request, and what clients are told of them."""

from gatewright.exchange import Exchange, Principal
from gatewright.guards.rules import Compiled, Rule, Scope
from gatewright.guards.terms import Finding
from gatewright.pipeline.guard_book import BLOCKED, RuleBook, blocked, told
from gatewright.pipeline.guard_terms import GuardTerms
from gatewright.wire.http import Call


def rule(name: str, **scope: tuple[str, ...]) -> Rule:
    return Rule(name=name, kind="test", action="block", check=Compiled(), scope=Scope(**scope))


def exchange(*, model: str = "gpt-5", operation: str = "generate", **more: object) -> Exchange:
    return Exchange(
        request_id="req_1",
        dialect="openai_chat",
        operation=operation,  # type: ignore[arg-type]
        method="POST",
        call=Call(path="/v1/embeddings", body=b""),
        started=0.0,
        model=model,
        principal=Principal("ci", key_id="key_7", team="red", tags=("batch",)),
        **more,  # type: ignore[arg-type]
    )


def names(of: Exchange, *rules: Rule) -> list[str]:
    return [one.name for one in RuleBook(rules, GuardTerms()).rules_for(of)]


def test_a_scope_fits_where_all_it_says_does() -> None:
    every = (
        rule("all"),
        rule("team", teams=("re*",)),
        rule("key", keys=("ci",)),
        rule("id", keys=("key_7",)),
        rule("tag", tags=("batch",)),
        rule("model", models=("gpt-*", "o3")),
        rule("operation", operations=("generate",)),
        rule("path", operations=("/v1/emb*",)),
        rule("other team", teams=("blue",)),
        rule("other model", teams=("red",), models=("claude-*",)),
        rule("other operation", operations=("forward",)),
    )
    assert names(exchange(), *every) == ["all", "team", "key", "id", "tag", "model", "operation", "path"]


def test_where_no_model_is_known_rules_for_some_hold() -> None:
    """In doubt a rule holds."""
    assert names(exchange(model=""), rule("model", models=("claude-*",))) == ["model"]


def test_rules_that_a_request_brings_are_asked_beside_the_operators() -> None:
    brought = exchange(rules=(rule("brought"),))
    assert names(brought, rule("own")) == ["own", "brought"]
    assert names(brought) == ["brought"]


def test_a_refusal_names_the_rule_and_the_request() -> None:
    problem = blocked(exchange(), rule("plans"), "answer")
    assert (problem.http_status, problem.code) == (400, BLOCKED)
    assert problem.message == "This answer was blocked by the rule 'plans'. (req_1)"


def test_only_what_is_flagged_is_told_and_a_header_stays_one() -> None:
    """Names are the operator's, and may hold anything; there are only so many of them."""
    found = [Finding(kind="a\r\nb", rule="ü", action="flag"), Finding(kind="k", rule="quiet", action="log")]
    assert told(found) == b"x-gatewright-guard: _;a__b\r\n"
    assert told(found[1:]) == b""
    assert told([Finding(kind="k", rule="r", action="flag", dry=True)]) == b""
    many = told([Finding(kind="k" * 100, rule=f"{i}" * 100, action="flag") for i in range(50)])
    assert len(many) < 1_100
