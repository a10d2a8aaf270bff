"""What may share an answer: which requests, which answers, and what tells two requests apart."""

import json
import time

import msgspec
import pytest
from tests.plays.same import CLIENTS, parsed, path_of, saying

from gatewright.exchange import Exchange, Narrowed, Principal
from gatewright.ir.blocks import Text
from gatewright.ir.response import Finish, FinishReason, Response
from gatewright.pipeline.cacheable import KEPT_FINISHES, Keys, Wishes, why_not_asked, why_not_kept, wishes
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.providers.auth.client_key import ClientKey
from gatewright.wire.http import Call


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Wishes()),
        ("", Wishes()),
        ("no-store", Wishes(use=False)),
        ("No-Cache", Wishes(fresh=True)),
        ("max-age=30", Wishes(max_age_s=30)),
        ('max-age="30", private', Wishes(max_age_s=30)),
        ("max-age=0", Wishes(max_age_s=0)),
        ("max-age=-5", Wishes(max_age_s=0)),
        ("max-age=soon", Wishes(max_age_s=0)),
        ("no-cache,no-store", Wishes(use=False, fresh=True)),
        ("public, stale-while-revalidate=5", Wishes()),
    ],
)
def test_cache_control_is_read_as_http_says(header, expected):
    """RFC 9111, 5.2.1: words in any case; an age that is no number is stale at once."""
    assert wishes(header) == expected


def chat(**more):
    return parsed("openai_chat", {**saying("openai_chat", "m", "hi"), **more})


def responses(**more):
    return parsed("openai_responses", {**saying("openai_responses", "m", "hi"), **more})


def claude(**more):
    return parsed("anthropic", {**saying("anthropic", "m", "hi"), **more})


GOOD_ONCE = {
    "several answers": chat(n=2),
    "kept by the provider": chat(store=True),
    "web search": chat(web_search_options={}),
    "plugins": chat(plugins=[{"id": "web"}]),
    "live search": chat(search_parameters={"mode": "auto"}),
    "a hosted tool": responses(tools=[{"type": "web_search"}]),
    "a response that goes on": responses(previous_response_id="resp_1"),
    "a conversation": responses(conversation="conv_1"),
    "in the background": responses(background=True),
    "a kept prompt": responses(prompt={"id": "pmpt_1"}),
    "a server tool": claude(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
    "servers of its own": claude(mcp_servers=[{"type": "url", "url": "https://x", "name": "x"}]),
    "a container": claude(container="c_1"),
    "Google's search": parsed("gemini", {**saying("gemini", "m", "hi"), "tools": [{"googleSearch": {}}]}),
}


@pytest.mark.parametrize("what", GOOD_ONCE)
def test_what_is_good_once_is_not_shared(what):
    """State at the provider, tools that it runs, several answers: the same words do not make the same answer."""
    assert why_not_asked(GOOD_ONCE[what])


@pytest.mark.parametrize("client", CLIENTS)
def test_plain_questions_may_be_shared(client):
    """With functions of the client's own, too, and at any temperature: that is the operator's to say, per model."""
    assert why_not_asked(parsed(client, saying(client, "m", "hi", tool=True, temperature=1))) == ""
    assert why_not_asked(responses(background=False, store=True)) == ""


def test_a_response_to_be_stored_needs_somebody_who_stores_it():
    """The gateway keeps responses itself; where that is switched off, only the provider can."""
    assert why_not_asked(responses(), keeps_responses=False)
    assert why_not_asked(responses(store=False), keeps_responses=False) == ""
    assert why_not_asked(chat(), keeps_responses=False) == ""


def answer(reason: FinishReason | None) -> Response:
    finish = None if reason is None else Finish(reason=reason)
    return Response(origin="anthropic", id="", model="m", blocks=(Text(text="hi"),), finish=finish)


@pytest.mark.parametrize("reason", [*FinishReason.__args__, None])
def test_only_answers_that_ended_well_are_kept(reason):
    """Refusals and filters are opinions of the moment; a pause waits; an error is no answer."""
    assert (why_not_kept(answer(reason)) == "") == (reason in KEPT_FINISHES)


def test_an_answer_without_content_or_with_several_is_not_kept():
    """Nothing to give, or more than another dialect can say."""
    assert why_not_kept(msgspec.structs.replace(answer("stop"), blocks=()))
    assert why_not_kept(msgspec.structs.replace(answer("stop"), others=({"index": 1},)))


def endpoint(name: str, **more) -> Endpoint:
    return Endpoint(
        name=name,
        dialects=("anthropic",),
        transports={"anthropic": None},
        base_paths={"anthropic": ""},
        auth={"anthropic": "x-api-key"},
        secret="",
        **more,
    )


CLAUDE = endpoint("claude")


def exchange(
    client: str = "anthropic",
    *,
    text: str = "hi",
    who: str = "ann",
    model: str = "m",
    headers: dict | None = None,
    query: dict | None = None,
    plan: tuple[Candidate, ...] | None = None,
) -> Exchange:
    path = path_of(client, model).partition("?")[0]
    call = Call(path=path, body=json.dumps(saying(client, model, text)).encode(), headers=headers or {}, query=query or {})
    made = Exchange(request_id="req_1", dialect=client, operation="generate", method="POST", call=call, started=time.monotonic())
    made.principal = Principal(who)
    made.model = model
    made.plan = plan if plan is not None else (Candidate(CLAUDE, "m"),)
    return made


def key(made: Exchange, route: str = "r", hosts: dict | None = None) -> bytes:
    return Keys(hosts or {"claude": "a"}).key(made, parsed(made.dialect, json.loads(made.call.body), model=made.model), route)


def test_one_question_has_one_key():
    """However often, in whatever dialect, in whatever order the targets are to be tried."""
    two = (Candidate(CLAUDE, "m"), Candidate(CLAUDE, "n"))
    assert len({key(exchange(client)) for client in CLIENTS}) == 1
    assert key(exchange(plan=two)) == key(exchange(plan=two[::-1]))
    noise = {"user-agent": "x", "x-stainless-retry-count": "1", "anthropic-version": "2026-10-21", "idempotency-key": "z"}
    assert key(exchange(headers=noise)) == key(exchange())
    assert key(exchange("gemini", query={"alt": "sse"})) == key(exchange())


def of(**more) -> Exchange:
    """The same request, by a key that is another, or asks for more."""
    made = exchange()
    made.principal = msgspec.structs.replace(made.principal, key_id=more.pop("key_id", ""))
    made.narrowed = Narrowed(**more) if more else None
    return made


OTHERS = {
    "who asks": key(exchange(who="bob")),
    "a key that was made anew under an old name": key(of(key_id="k2")),
    "what the key fills in": key(of(defaults={"temperature": 0.1}, max_tokens=None)),
    "what else the key fills in": key(of(defaults={"temperature": 0.2}, max_tokens=None)),
    "how long the key's answers may be": key(of(defaults={}, max_tokens=7)),
    "what is asked": key(exchange(text="ho")),
    "the name asked for": key(exchange(model="n")),
    "the route": key(exchange(), route="s"),
    "a target": key(exchange(plan=(Candidate(CLAUDE, "n"),))),
    "one target more": key(exchange(plan=(Candidate(CLAUDE, "m"), Candidate(CLAUDE, "n")))),
    "what the route sets": key(exchange(plan=(Candidate(CLAUDE, "m", overrides={"temperature": 0}),))),
    "what the route fills in": key(exchange(plan=(Candidate(CLAUDE, "m", defaults={"temperature": 0}),))),
    "how long an answer may be": key(exchange(plan=(Candidate(CLAUDE, "m", max_tokens=5),))),
    "whether losses are refused": key(exchange(plan=(Candidate(CLAUDE, "m", "refuse"),))),
    "the host behind a provider's name": key(exchange(), hosts={"claude": "b"}),
    "a beta flag": key(exchange(headers={"anthropic-beta": "context-1m-2025-08-07"})),
    "a guardrail": key(exchange(headers={"x-amzn-bedrock-guardrailidentifier": "g"})),
    "a query": key(exchange(query={"beta": "true"})),
}


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_may_change_an_answer_changes_the_key(what):
    """Around the request, too: who, where to, and what travels beside the body."""
    assert OTHERS[what] != key(exchange())
    assert len(set(OTHERS.values())) == len(OTHERS)


def test_keys_of_the_client_s_own_keep_accounts_apart():
    """Two people behind one gateway key, each with an account at the provider: neither is given the other's answers."""
    theirs = endpoint("claude", credential=ClientKey("claude", "x-api-key", is_ours=lambda _: False))
    plan = (Candidate(theirs, "m"),)
    keys = {key(exchange(plan=plan, headers={"x-api-key": name})) for name in ("sk-ann", "sk-bob")}
    assert len(keys) == 2
    assert len({key(exchange(headers={"x-api-key": name})) for name in ("sk-ann", "sk-bob")}) == 1
