"""Recorded traffic in Invariant's form: what is traced of a client, and what Explorer is pushed, is what its converters make of it.

One rule: what is expected is made from the client's own JSON by a converter that knows nothing of the gateway
(`tests/invariant/oracle.py`); streams are put together here, by each API's own rule.
"""

import json

import pytest

from gatewright.record.explorer_sink import body_of
from gatewright.record.export_meaning import both
from tests.invariant import oracle
from tests.laws import cases
from tests.laws.framing import events_of
from tests.plays.invariant_scene import DATASET, DIALECTS, key_lines, path_of, scene
from tests.serving import call
from tests.traces.replaying import Asked, capture, every, request_of, wire_of

SHARE = 19
SEALED = "gw1."


def put_together(dialect, body):
    """The whole answer that a stream told; None: it told no good end."""
    events = [json.loads(data) for _, data in events_of(dialect, body) if data.startswith(b"{")]
    if any("error" in event and event["error"] for event in events):
        return None
    match dialect:
        case "openai_chat":
            said, calls = {"role": "assistant", "content": ""}, {}
            for event in events:
                for choice in event.get("choices") or ():
                    if choice.get("index"):
                        return None
                    delta = choice.get("delta") or {}
                    if isinstance(delta.get("content"), list):  # Mistral's thoughts, which no reference reads
                        return None
                    said["content"] += delta.get("content") or ""
                    for piece in delta.get("tool_calls") or ():
                        at = calls.setdefault(
                            piece.get("index", 0), {"type": "function", "function": {"name": "", "arguments": ""}}
                        )
                        at |= {"id": piece["id"]} if piece.get("id") else {}
                        for name in ("name", "arguments"):
                            at["function"][name] += (piece.get("function") or {}).get(name) or ""
            if calls:
                said["tool_calls"] = [calls[index] for index in sorted(calls)]
            return {"choices": [{"index": 0, "message": said}]}
        case "anthropic":
            blocks = {}
            for event in events:
                if event.get("type") == "content_block_start":
                    blocks[event["index"]] = {**event["content_block"], "partial": ""}
                elif event.get("type") == "content_block_delta":
                    block, delta = blocks[event["index"]], event["delta"]
                    if delta["type"] == "text_delta":
                        block["text"] += delta["text"]
                    elif delta["type"] == "input_json_delta":
                        block["partial"] += delta["partial_json"]
            for block in blocks.values():
                if partial := block.pop("partial"):
                    block["input"] = json.loads(partial)
            return {"role": "assistant", "content": [blocks[index] for index in sorted(blocks)]}
        case _:
            parts = []
            for event in events:
                for candidate in (event.get("candidates") or ())[:1]:
                    for part in (candidate.get("content") or {}).get("parts") or ():
                        if "text" in part and parts and "text" in parts[-1] and part.get("thought") == parts[-1].get("thought"):
                            parts[-1] = {**parts[-1], "text": parts[-1]["text"] + part["text"]}
                        else:
                            parts.append(part)
            return {"candidates": [{"content": {"role": "model", "parts": parts}}]}


def gist(messages, *, streamed):
    """Of a stream: what was said and called, in its order; of all else every key.

    Two things are the gateway's own, which no provider of the reference writes: reasoning with a seal, told to a Chat client in both
    spellings that there are, is one block once it is read; and the empty text that carries a seal for Gemini is no message.
    """
    if not streamed:
        said = [
            message for message in messages if (message["role"], message.get("content")) != ("assistant", "") or len(message) > 2
        ]
        return [
            {key: value for key, value in message.items() if not key.startswith("reasoning")}
            if SEALED in str(message)
            else message
            for message in said
        ]
    found = []
    for message in messages:
        text = message.get("content")
        if isinstance(text, str) and message["role"] == "assistant":
            found += [text] if text else []
        elif message["role"] != "assistant":
            found.append(message)
        found += [call["function"] for call in message.get("tool_calls") or ()]
    return found


def expected(dialect, asked, status, body, *, streamed):
    """What the reference makes of it. Raises oracle.Lost."""
    answer = None
    if status < 400:
        answer = put_together(dialect, body) if streamed else json.loads(body)
        if answer is None or (isinstance(answer, dict) and "error" in answer):
            raise oracle.Lost("no good answer")
        if any("error" in choice for choice in answer.get("choices") or ()):
            raise oracle.Lost("it broke off within a 200")
    return oracle.messages(dialect, asked, answer)


@pytest.fixture(scope="module")
def recordings():
    if cases.recordings_root() is None:
        pytest.skip("NO RECORDED TRAFFIC: nothing was pushed; set GATEWRIGHT_RECORDINGS")
    return list(every(place="recordings"))


@pytest.mark.parametrize("client", DIALECTS)
def test_what_explorer_is_pushed_of_ordinary_traffic_has_the_references_form(recordings, client, tmp_path):
    """Whoever answered, and however: what its client sent and was given, as Invariant's own gateway would have told it."""
    wanted = [Asked(place, path, client) for place, path, _ in recordings[DIALECTS.index(client) :: SHARE]]
    same, lost = 0, 0
    for asked, answered, trace in capture(tmp_path, wanted):
        _, sent = request_of(asked)
        streamed = b"data:" in answered.body[:2000]
        body = body_of(trace, *both(trace), dataset="harbours")
        try:
            wanted_messages = expected(client, sent, answered.status, answered.body, streamed=streamed)
        except oracle.Lost:
            lost += 1
            continue
        if body is None:
            assert answered.status >= 400, f"{asked.name} would not be pushed"
            continue
        [told] = json.loads(body)["messages"]
        assert gist(told, streamed=streamed) == gist(wanted_messages, streamed=streamed), asked.name
        same += 1
    assert same >= 20, (same, lost)
    assert same > lost


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_explorer_is_pushed_what_the_reference_would_push(recordings, dialect, tmp_path):
    """Recorded answers at Invariant's own paths, their bytes passing: one trace each, message for message."""
    chosen = [(path, case) for _, path, case in recordings if case.dialect == dialect and not case.failed and case.text is None]
    same, lost, pushes = 0, 0, 0
    async with scene(tmp_path, push="always") as s:
        for path, case in chosen[::6]:
            s.up.answers = [[wire_of(case)]]
            try:
                wanted = expected(dialect, case.request, case.status, case.body, streamed=False)
            except oracle.Lost:
                lost += 1
                continue
            body = json.dumps(case.request, ensure_ascii=False).encode("utf-8", "surrogatepass")
            got = await call(s.port, path_of(dialect), body, headers=key_lines(dialect))
            assert got.status == 200, (path.name, got.body)
            pushes += 1
            try:
                pushed = await s.explorer.trace(pushes)
            except TimeoutError:
                pytest.fail(f"{path.name} was not pushed: {got.body[:300]!r}")
            assert pushed["dataset"] == DATASET
            assert pushed["messages"] == [wanted], path.name
            same += 1
    assert same >= 5, (same, lost)
