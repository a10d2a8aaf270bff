"""What a conversation clings to is the same at each of its turns, and another conversation's is another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.pipeline.stub_free import endpoint

from gatewright.dialects import BY_NAME
from gatewright.exchange import Exchange, Principal
from gatewright.ir.seal import Seal, pack
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.policy import DEFAULT, Policy
from gatewright.pipeline.ties import held_by, kept_at, opening, session_of, tie_of
from gatewright.wire.http import Call, HeaderView

LONG = "You are a careful engineer. " * 200
PATHS = {"gemini": "/v1beta/models/m:generateContent", "bedrock_converse": "/model/m/converse"}


def exchange(dialect: str, document: dict, *, tenant: str = "ann", headers: dict | None = None) -> Exchange:
    body = json.dumps(document).encode()
    raw = {name.encode(): value.encode() for name, value in (headers or {}).items()}
    made = Exchange(
        request_id="r",
        dialect=dialect,
        operation="generate",
        method="POST",
        call=Call(path=PATHS.get(dialect, "/v1/x"), body=body, headers=HeaderView(raw)),
        started=0.0,
    )
    made.principal = Principal(tenant)
    return made


def turns(dialect: str, first: str, more: int) -> dict:
    """A conversation after so many turns, with the cache marks that move on as it grows."""
    said = [f"answer {i}" for i in range(more)]
    match dialect:
        case "openai_chat":
            later = [m for text in said for m in ({"role": "assistant", "content": text}, {"role": "user", "content": "go on"})]
            return {"model": "m", "messages": [{"role": "system", "content": LONG}, {"role": "user", "content": first}, *later]}
        case "openai_responses":
            later = [m for text in said for m in ({"role": "assistant", "content": text}, {"role": "user", "content": "go on"})]
            return {"model": "m", "instructions": LONG, "input": [{"role": "user", "content": first}, *later]}
        case "anthropic":
            mark = {} if more else {"cache_control": {"type": "ephemeral"}}
            opened = [{"role": "user", "content": [{"type": "text", "text": first, **mark}]}]
            later = [m for text in said for m in ({"role": "assistant", "content": text}, {"role": "user", "content": "go on"})]
            return {"model": "m", "max_tokens": 9, "system": LONG, "messages": [*opened, *later]}
        case "gemini":
            later = [{"role": r, "parts": [{"text": t}]} for text in said for r, t in (("model", text), ("user", "go on"))]
            return {"systemInstruction": {"parts": [{"text": LONG}]}, "contents": [{"parts": [{"text": first}]}, *later]}
        case _:
            later = [{"role": r, "content": [{"text": t}]} for text in said for r, t in (("assistant", text), ("user", "go on"))]
            return {"system": [{"text": LONG}], "messages": [{"role": "user", "content": [{"text": first}]}, *later]}


@pytest.mark.parametrize("dialect", list(BY_NAME))
def test_a_conversation_has_one_beginning_at_all_its_turns(dialect):
    """However long it has become; and another first message is another conversation."""
    ties = [tie_of(exchange(dialect, turns(dialect, "one", more)), DEFAULT, BY_NAME) for more in (0, 1, 5)]
    assert ties[0] is not None
    assert ties[0].kind == "prefix"
    assert ties[0] == ties[1] == ties[2]
    assert tie_of(exchange(dialect, turns(dialect, "two", 1)), DEFAULT, BY_NAME) != ties[0]
    assert tie_of(exchange(dialect, turns(dialect, "one", 1), tenant="bob"), DEFAULT, BY_NAME) != ties[0]


@pytest.mark.parametrize("dialect", list(BY_NAME))
def test_a_long_conversation_is_not_read_to_its_end(dialect):
    """What is parsed for the beginning holds no later turn; and a request read already gives the same tie."""
    asked = exchange(dialect, turns(dialect, "one", 50))
    assert b"go on" not in opening(asked.call, dialect).body
    tie = tie_of(asked, DEFAULT, BY_NAME)
    assert asked.neutral is None
    asked.understood(BY_NAME)
    assert tie_of(asked, DEFAULT, BY_NAME) == tie


def test_short_prompts_are_free():
    """No provider caches them, so there is nothing to keep."""
    assert (
        tie_of(exchange("openai_chat", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}), DEFAULT, BY_NAME) is None
    )


UUID = "4d3a5a1e-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("headers", "fields", "session"),
    [
        ({"x-session-id": "s1"}, {}, "s1"),
        ({"session_id": "s1"}, {}, "s1"),
        ({"session-id": "s1"}, {}, "s1"),
        ({"x-claude-code-session-id": "s1", "x-session-id": "s2"}, {}, "s1"),
        ({"x-gatewright-session": "s1", "session_id": "s2"}, {"prompt_cache_key": "k"}, "s1"),
        ({}, {"prompt_cache_key": "k"}, "k"),
        ({}, {"metadata": {"user_id": f"user_ab_account_cd_session_{UUID}"}}, UUID),
        ({}, {"metadata": {"user_id": json.dumps({"device_id": "d", "session_id": UUID})}}, UUID),
        ({}, {"metadata": {"user_id": "somebody"}}, ""),
        ({}, {"metadata": {"user_id": None}}, ""),
        ({}, {"metadata": ["user_id"], "user_id": 3}, ""),
        ({}, {"prompt_cache_key": 5}, ""),
        ({}, {}, ""),
    ],
)
def test_sessions_are_found_where_clients_tell_them(headers, fields, session):
    """A header first; then the body's own fields. What is of another type is no session, and no error."""
    assert session_of(exchange("anthropic", {"model": "m", "messages": [], **fields}, headers=headers).call) == session


def test_a_session_is_its_tenants():
    """Two keys that use the same id share nothing."""
    ties = [
        tie_of(exchange("anthropic", {"messages": []}, tenant=t, headers={"x-session-id": "s"}), DEFAULT, BY_NAME) for t in "ab"
    ]
    assert ties[0] != ties[1]


def sealed(issuer: str) -> dict:
    word = pack(Seal(dialect="anthropic", data="EqQB", issuer=issuer))
    return {
        "model": "m",
        "input": [
            {"role": "user", "content": "q"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": word},
            {"role": "user", "content": "go on"},
        ],
    }


def test_a_seal_of_ours_names_its_issuer():
    """The request is read for it, and its bytes pass all the same."""
    asked = exchange("openai_responses", sealed("claude"))
    held = held_by(asked, DEFAULT, BY_NAME)
    assert held is not None
    assert (held.kind, held.issuer) == ("seal", "claude")
    assert asked.request is None
    plain = exchange("openai_responses", {"model": "m", "input": "hi"})
    assert held_by(plain, DEFAULT, BY_NAME) is None
    assert plain.neutral is None


def test_a_route_that_wants_no_ties_reads_nothing():
    """Each kind can be left out."""
    nothing = Policy(affinity=frozenset())
    asked = exchange("openai_chat", turns("openai_chat", "one", 1), headers={"x-session-id": "s"})
    assert tie_of(asked, nothing, BY_NAME) is None
    assert held_by(exchange("openai_responses", sealed("claude")), nothing, BY_NAME) is None
    only_prefix = tie_of(asked, Policy(affinity=frozenset({"prefix"})), BY_NAME)
    assert only_prefix is not None
    assert only_prefix.kind == "prefix"


def test_nonsense_is_free():
    """Whoever renders it tells the client what is wrong."""
    assert tie_of(exchange("openai_chat", {"messages": [5, "x" * 5000]}), DEFAULT, BY_NAME) is None
    assert (
        tie_of(exchange("openai_chat", {"messages": [{"role": "user", "content": {"x": "y" * 5000}}]}), DEFAULT, BY_NAME) is None
    )


class Down:
    def __init__(self, *names):
        self.names = names

    def standing(self, candidate):
        return "open" if candidate.name in self.names else "closed"

    def rests_s(self, candidate):
        return 0.0


def test_a_kept_response_leads_to_who_gave_it():
    """The target itself, else its endpoint; unless it is down."""
    one, two, three = (Candidate(endpoint(name), model) for name, model in (("a", "x"), ("b", "y"), ("b", "z")))
    assert kept_at([one, two, three], "b/z", Down()) == [three, one, two]
    assert kept_at([one, two, three], "b/gone", Down()) == [two, three, one]
    assert kept_at([one, two, three], "b/z", Down("b/z")) == [one, two, three]
    assert kept_at([one, two, three], "c/z", Down()) == [one, two, three]


ELSEWHERE = """
from gatewright.dialects import BY_NAME
from gatewright.pipeline.policy import DEFAULT
from gatewright.pipeline.ties import tie_of
from gatewright.routing.affinity import rendezvous
from tests.pipeline.test_ties import exchange, turns
ties = [tie_of(exchange("openai_chat", turns("openai_chat", str(i), 1)), DEFAULT, BY_NAME) for i in range(8)]
print([rendezvous(tie.key, ["a/x", "b/x", "c/x"]) for tie in ties])
"""


def test_every_process_finds_the_same_target():
    """Workers and machines share no table and no hash seed."""
    told = {
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (orders,) = told
    assert len({order[0] for order in json.loads(orders)}) > 1
