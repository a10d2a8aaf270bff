"""Redaction: no credential is written, however it stands in a body; and what needs no change is left alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.record.exchanged import exchanged

from gatewright.guards.kinds import compile_kind
from gatewright.record.trace_batch import Made, batch_of
from gatewright.record.trace_capture import Finished, Leg, Pieces
from gatewright.record.trace_redaction import Redactor
from gatewright.record.traces import Batch
from gatewright.stores.trace_document import Documents, document_of
from gatewright.stores.trace_terms import Message, Trace, TracedAttempt, UpstreamCall
from gatewright.wire.http import Call

SECRET = 'pa/ss"wörd+ü-1234'
KEYS = [
    "sk-proj-" + "a1B2" * 10,
    "sk-ant-api03-" + "x" * 40,
    "gw-" + "k" * 43,
    "AIza" + "b" * 35,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "c" * 36,
    "xoxb-1234567890-abcdef",
    "hf_" + "d" * 34,
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "Bearer abcdefghijklmnopqrstuvwxyz",
]


def trace(body: bytes = b"", **more: object) -> Trace:
    message = Message(body=body, size=len(body))
    return Trace(**{"id": "req_1", "at": 1, "request": message, "answer": message, **more})


def test_a_trace_without_secrets_is_the_very_same_object():
    """It costs a look, and no copy."""
    ours = trace(b'{"messages":[{"role":"user","content":"hello, task-runner sk- and key"}]}', problem="nothing")
    assert Redactor([SECRET]).redacted(ours) is ours


@pytest.mark.parametrize("key", KEYS)
def test_credentials_of_every_form_are_replaced_wherever_they_stand(key):
    """In bodies, headers, paths, errors and session names."""
    body = json.dumps({"messages": [{"role": "user", "content": f"use {key} now"}]}).encode()
    ours = trace(
        body,
        problem=f"refused {key}",
        path=f"/v1/{key}",
        query=(("x", key),),
        session=f"ci:{key}",
        asked=key,
        tried=(TracedAttempt(target="a/b", dialect="openai_chat", message=f"bad {key}"),),
        upstream=(
            UpstreamCall(attempt=0, target="a/b", dialect="openai_chat", path=key, request=Message(headers=(("a", key),))),
        ),
    )
    cleaned = Redactor().redacted(ours)
    told = repr(cleaned)
    assert key not in told
    assert json.dumps(key)[1:-1] not in told
    assert cleaned.redacted >= 8
    assert "use [redacted:secret] now" in json.loads(cleaned.request.body)["messages"][0]["content"]


WORDS = KEYS[:8]
"""Those that are one word of the letters of url-safe base64."""


@pytest.mark.parametrize("key", WORDS)
def test_what_stands_within_a_run_of_base64_is_left_as_it_is(key):
    """Sealed content that was changed opens no more, and its provider refuses the conversation."""
    for sealed in (f"CAESxw{key}", f"-__x{key}", f"a1-{key}"):
        ours = trace(json.dumps({"encrypted_content": sealed}).encode(), problem=sealed)
        assert Redactor().redacted(ours, b"gw-own") is ours
    rules = [compile_kind("patterns", {"patterns": ["x{99}"]}).detector]
    assert Redactor([], rules).text(f"CAES{key}") == (f"CAES{key}", 0)


BEFORE = [
    '"',
    "'",
    " ",
    "\\n",
    "\\\\n",
    "\\t",
    "\\u003d",
    "%20",
    "%3D",
    "=",
    ":",
    ",",
    "\n",
    "",
    "é",
    "/",
    "Bearer ",
    "__",
    "\x1b[1;31m",
    "\\u001b[31m",
]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("key", WORDS)
def test_a_key_at_the_beginning_of_a_run_is_replaced(key, before):
    """Behind quotes, blanks, escapes of JSON, URLs and terminals; and the next one behind it, too."""
    cleaned, count = Redactor().raw(f"{before}{key},{key}".encode())
    assert key.encode() not in cleaned
    assert count >= 2
    assert key not in Redactor().text(f"{before}{key}")[0]


def test_what_is_known_is_replaced_within_a_run_too():
    """A configured secret and the client's own key are looked for letter by letter, whatever stands before them."""
    own = "gw-" + "k" * 43
    known = "sk-known/with+more" + "x" * 20
    body = json.dumps({"a": f"CAES{own}", "b": f"CAES{known}", "c": f"{known}"}).encode()
    cleaned = Redactor([known]).redacted(trace(body, problem=f"x{own}"), own.encode())
    assert json.loads(cleaned.request.body) == {
        "a": "CAES[redacted:secret]",
        "b": "CAES[redacted:secret]",
        "c": "[redacted:secret]",
    }
    assert cleaned.problem == "x[redacted:secret]"


def test_a_key_that_is_streamed_behind_other_blocks_is_found():
    """Each block begins anew, though the first look reads them all in one."""
    events = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "letters"}},
        *({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": piece}} for piece in KEYS[0]),
    ]
    body = b"".join(b"event: content_block_delta\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events)
    asked = Message(body=b'{"previous_response_id":"resp_1"}', size=33)
    cleaned = Redactor().redacted(trace(body, request=asked)).answer.body
    said = [json.loads(line[6:])["delta"]["text"] for line in cleaned.split(b"\n") if line.startswith(b"data: ")]
    assert "".join(said) == "letters[redacted:secret]"


@pytest.mark.parametrize(
    "written",
    [SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], "pa%2Fss%22w%C3%B6rd%2B%C3%BC-1234"],
)
def test_a_known_secret_is_found_as_json_and_urls_write_it(written):
    """Providers' errors tell requests in their own spelling."""
    cleaned = Redactor([SECRET]).redacted(trace(f"before {written} after".encode()))
    assert cleaned.request.body == b"before [redacted:secret] after"


def test_the_clients_own_key_is_replaced_though_its_form_is_nobodys():
    """A key of the file may be any word."""
    cleaned = Redactor().redacted(trace(b'{"echo":"my-plain-word"}'), b"my-plain-word")
    assert cleaned.answer.body == b'{"echo":"[redacted:secret]"}'


def of(trace_: Trace, own: bytes = b"") -> Made:
    exchange = exchanged()
    exchange.credential = own
    call = Call(path="/", headers={}, body=b"")
    ended = Finished(exchange, call, 200, None, b"", Pieces(), 101.0)
    return Made(ended, trace_)


def batched(made: list[Made], redactor: Redactor) -> Batch:
    return batch_of(made, Documents([one.trace for one in made]), redactor)


def test_several_are_looked_at_together_and_each_is_cleaned_of_its_own_clients_key():
    """What is no secret of a trace's own client is a word like any other; those with nothing to hide are left as they are."""
    traces = [
        trace(b'{"a":"first-own-word second-own-word"}'),
        trace(b"{}"),
        trace(f'{{"a":"{KEYS[0]}"}}'.encode()),
        trace(b"[]"),
    ]
    owns = [b"first-own-word", b"second-own-word", b"", b"short"]
    cleaned = batched([of(one, own) for one, own in zip(traces, owns, strict=True)], Redactor())
    assert cleaned.documents.joined == b"".join(document_of(one) for one in cleaned.traces)
    assert [one.request.body for one in cleaned.traces] == [
        b'{"a":"[redacted:secret] second-own-word"}', b"{}", b'{"a":"[redacted:secret]"}', b"[]",
    ]  # fmt: skip
    clean = [trace(b"{}"), trace(b"[]")]
    kept = batched([of(one) for one in clean], Redactor())
    assert all(one is other for one, other in zip(kept.traces, clean, strict=True))


def test_what_a_provider_was_shown_is_replaced_though_no_configuration_has_it_any_more():
    """An answer that began before a reload may end behind it."""
    made = of(trace(b'{"echo":"word-of-the-old-provider"}'))
    (attempt,) = made.of.exchange.attempts
    leg = Leg(dialect="openai_chat", method="POST", path="/", sent=b"", body=b"", secrets=(b"word-of-the-old-provider",))
    attempt.leg = leg
    for redactor in (Redactor(), Redactor(["word-of-the-old-provider"])):
        (cleaned,) = batched([made], redactor).traces
        assert cleaned.answer.body == b'{"echo":"[redacted:secret]"}'


@pytest.mark.parametrize("key", WORDS)
@pytest.mark.parametrize("more", [0, 20, 60, 300, 70_000])
def test_a_text_that_begins_with_a_key_is_found_in_a_document(key, more):
    """Whatever the bytes that tell its length look like: they may be letters."""
    for length in range(len(key) + more, len(key) + more + (128 if more < 100 else 1)):
        text = key + " " * (length - len(key))
        for one in (trace(text.encode()), trace(problem=text)):
            assert Redactor().shows(document_of(one))
    assert not Redactor().shows(document_of(trace(b"nothing" * more)))


@pytest.mark.parametrize("key", WORDS)
def test_a_key_behind_a_byte_that_is_no_text_is_replaced(key):
    """As it stands in sound, pictures and frames."""
    for before in (b"\xff", b"\x80", b"\xc3", b"\xe2\x82"):
        cleaned, count = Redactor().raw(before + key.encode() + b" ")
        assert (key.encode() in cleaned, count) == (False, 1)


def test_one_that_was_streamed_in_pieces_is_found_among_others():
    """Where what the model was told is not all there to be read."""
    streamed = trace(b'{"previous_response_id":"resp_1"}', answer=Message(body=sse(list(KEYS[0]))))
    first, second, third = batched([of(trace(b"{}")), of(streamed), of(trace(b"[]"))], Redactor()).traces
    assert (first.request.body, third.request.body) == (b"{}", b"[]")
    assert KEYS[0] not in told(second.answer.body)


def sse(pieces: list[str], path: str = "content") -> bytes:
    events = [{"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {path: piece}}]} for piece in pieces]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def told(body: bytes, path: str = "content") -> str:
    lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    return "".join(json.loads(line)["choices"][0]["delta"][path] for line in lines)


@given(st.integers(0, 10), st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_a_secret_that_is_streamed_in_pieces_is_replaced_all_the_same(which, cuts):
    """A model that repeats a key tells it a few letters at a time."""
    text = f"the key is {KEYS[which]} indeed"
    pieces, at = [], 0
    while at < len(text):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(text[at : at + size])
        at += size
    for request in (json.dumps({"content": text}), '{"previous_response_id":"resp_1"}', '{"content":[{"type":"image_url"}]}'):
        asked = Message(body=request.encode(), size=len(request.encode()))
        cleaned = Redactor().redacted(trace(sse(pieces), request=asked))
        assert told(cleaned.answer.body) == "the key is [redacted:secret] indeed"
    assert cleaned.answer.body.endswith(b"data: [DONE]\n\n")


def test_streams_that_are_told_side_by_side_are_not_mixed_up():
    """Two answers at once: the pieces of each are its own."""
    events = []
    for a, b in zip("sk-aaaaaaaaaaaaaaaaaaaaaaaa", "plain text that says little", strict=True):
        events += [{"choices": [{"index": 0, "delta": {"content": a}}]}, {"choices": [{"index": 1, "delta": {"content": b}}]}]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    asked = Message(body=b'{"previous_response_id":"resp_1"}', size=33)
    cleaned = Redactor().redacted(trace(body, request=asked)).answer.body
    said = {0: "", 1: ""}
    for line in cleaned.split(b"\n"):
        if line.startswith(b"data: "):
            choice = json.loads(line[6:])["choices"][0]
            said[choice["index"]] += choice["delta"]["content"]
    assert said == {0: "[redacted:secret]", 1: "plain text that says little"}


def test_rules_of_the_operator_are_asked_about_every_text():
    """Also in streams, where no event holds all of what they look for; documents stay documents."""
    rule = compile_kind("patterns", {"patterns": [{"pattern": "[a-z]+@example\\.com", "name": "mail"}]}).detector
    redactor = Redactor([], [rule])
    body = json.dumps({"a": ["x\nbob@example.com", {"b": "é bob@example.com"}], "n": 1}).encode()
    cleaned = redactor.redacted(trace(body))
    assert json.loads(cleaned.request.body) == {"a": ["x\n[redacted:mail]", {"b": "é [redacted:mail]"}], "n": 1}
    assert told(redactor.redacted(trace(sse(["mail bo", "b@exam", "ple.com", " now"]))).answer.body) == "mail [redacted:mail] now"
    assert redactor.redacted(trace(b"not json bob@example.com \xff")).request.body == b"not json [redacted:mail] \xff"
    assert redactor.redacted(trace(b'{"a":1 }')).request.body == b'{"a":1 }'


def test_frames_with_checksums_that_would_open_no_more_are_taken_out_whole():
    """Bedrock's event streams are binary."""
    body = b"\x00\x00\x01\x00 frame " + KEYS[0].encode()
    assert Redactor().redacted(trace(body)).answer.body == b"[redacted:secret]"


@pytest.mark.parametrize(
    "body", [b"[" * 5000, b"data: " + b"[" * 100_000 + b"\n\n", b"data: {\n\n", b"\xff\xfe", b"data: \xff\n\n"]
)
def test_hostile_bodies_cost_no_more_than_their_length(body):
    """Nothing raises."""
    rule = compile_kind("patterns", {"patterns": ["x{3}"]}).detector
    for redactor in (Redactor(), Redactor([], [rule])):
        redactor.redacted(trace(body + KEYS[0].encode()))
