"""Reading traces after they were written: a conversation is known as one, and each of its words is found once."""

import json

import pytest
from tests.record.tracing import message, trace

from gatewright.record.trace_index import LONGEST_WORD, TITLE, Indexer, words
from gatewright.stores.trace_terms import TraceFilter
from gatewright.stores.traces import open_traces


@pytest.fixture
def store(tmp_path):
    found = open_traces(tmp_path)
    yield found
    found.close()


def turn(number: int, messages: list[dict], said: str = "", **more):
    """A Chat client's request, and what it was answered; no session was named."""
    asked = json.dumps({"model": "m", "messages": messages}).encode()
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    told = json.dumps({"id": f"c{number}", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}).encode()
    plain = {"session": "", "link": "", "upstream": (), "tried": (), "found": (), "lost": (), "rules": ()}
    given = {"id": f"req_{number}", "at": 1_000 + number, "request": message(asked), "answer": message(told if said else b"")}
    return trace(**{**plain, **given, **more})


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict:
    return {"role": "assistant", "content": text}


FIRST = turn(1, [user("the harbour of Cobh")], "high water at noon")
SECOND = turn(2, [user("the harbour of Cobh"), assistant("high water at noon"), user("and Kinsale")], "an hour later")


def found(store, text: str) -> list[str]:
    return [hit.summary.id for hit in store.search(text).items]


@pytest.mark.parametrize("at_once", [1, 10])
def test_a_conversation_that_goes_on_is_one_session_and_its_words_are_found_once(store, at_once):
    """Whether its turns are read together or one after the other."""
    store.write([FIRST, SECOND])
    indexer, read = Indexer(store), 0
    while some := indexer.some(at_once):
        read += some
    assert read == 2
    one, other = store.get("req_1"), store.get("req_2")
    assert (one.session, other.session, other.link) == ("req_1", "req_1", "prefix")
    assert found(store, "harbour") == ["req_1"]
    assert found(store, "noon") == ["req_1"]
    assert found(store, "kinsale") == ["req_2"]
    assert indexer.some() == 0


def test_what_another_key_said_is_no_beginning(store):
    """Two people that say the same have two conversations."""
    store.write(
        [FIRST, turn(2, [user("the harbour of Cobh"), assistant("high water at noon"), user("go on")], "so", key_id="k2")]
    )
    Indexer(store).some()
    assert store.get("req_2").session == "req_2"


def test_a_session_that_was_named_stays(store):
    """Whoever its client says it belongs to."""
    store.write(
        [FIRST, turn(3, [user("the harbour of Cobh"), assistant("high water at noon"), user("more")], "x", session="k1:run")]
    )
    Indexer(store).some()
    assert store.get("req_3").session == "k1:run"
    assert [one.id for one in store.list(TraceFilter(session="k1:run")).items] == ["req_3"]


def test_a_response_that_goes_on_by_its_id_is_linked(store):
    """Though nothing that was said before stands in it."""
    said = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": []}
    told = {"id": "resp_first1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [said]}
    more = {"client_dialect": "openai_responses", "path": "/v1/responses"}
    begun = turn(1, [], **more, request=message(b'{"model":"m","input":"begin"}'), answer=message(json.dumps(told).encode()))
    asked = b'{"model":"m","input":"go on","previous_response_id":"resp_first1"}'
    store.write([begun, turn(2, [], **more, request=message(asked))])
    Indexer(store).some()
    assert (store.get("req_2").session, store.get("req_2").link) == ("req_1", "response")


def test_the_title_is_what_its_user_said_last(store):
    """In a line, and not what an agent has put in between."""
    store.write(
        [
            turn(
                1,
                [user("first"), assistant("x"), user("what\n about   this"), user("<system-reminder>no</system-reminder>")],
                "y",
            ),
            turn(2, [user("long " * 100)], "y"),
            turn(3, [], request=message(b"\xff")),
        ]
    )
    Indexer(store).some()
    titles = {one.id: one.title for one in store.list().items}
    assert titles["req_1"] == "what about this"
    assert len(titles["req_2"]) == TITLE
    assert titles["req_3"] == ""


def test_what_is_no_word_is_not_looked_for():
    """An image or a seal, without a space."""
    long = "x" * (LONGEST_WORD + 1)
    document = message(json.dumps({"input": f"short {long} words", "n": 1}).encode())
    assert words(turn(1, [], request=document), None, None).split() == ["short", "words"]


def test_what_failed_is_found_by_its_failure(store):
    """Also where the request is no model call, or cannot be read."""
    store.write([turn(1, [], request=message(b"{"), status=502, outcome="error", problem="upstream is unreachable")])
    Indexer(store).some()
    assert found(store, "unreachable") == ["req_1"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"messages":' + b"[" * 5_000, b"\xff\xfe", b"{}", b""])
def test_a_hostile_body_is_read_or_left(store, body):
    """It never stops what comes behind it."""
    store.write([turn(1, [], request=message(body), answer=message(body)), FIRST.__class__(id="req_9", at=2_000)])
    assert Indexer(store).some() == 2
    assert Indexer(store).some() == 0
