"""Responses that are kept: conversations go on by id, whoever answers, and only for the key that began them."""

import pytest

from tests.plays.scene import DIALECTS, OTHER, ask, events, get, last_response, send, strict

TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
FOREIGN = tuple(d for d in DIALECTS if d != "openai_responses")


async def turn(gw, model: str, given, *, stream: bool = False, **more) -> dict:
    """One turn; its response object, however it came."""
    got = await send(gw, "/v1/responses", {"model": model, "input": given, "stream": stream, **more})
    assert got.status == 200, got.body
    return last_response(got.body) if stream else got.json


def text_of(response: dict) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", DIALECTS)
async def test_a_conversation_goes_on_by_id_over_three_turns(tmp_path, api, stream):
    """Each turn sends only what is new; a call and its result are among it."""
    async with strict(tmp_path) as gw:
        first = await turn(gw, f"{api}-plain", "[[call]] weather?", stream=stream, tools=[TOOL])
        (call,) = [item for item in first["output"] if item["type"] == "function_call"]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sun"}
        second = await turn(gw, f"{api}-plain", [result], stream=stream, previous_response_id=first["id"], tools=[TOOL])
        assert "The tools said: sun." in text_of(second)
        assert second["previous_response_id"] == first["id"]
        third = await turn(gw, f"{api}-plain", "Thanks.", stream=stream, previous_response_id=second["id"])
        assert "heard: Thanks." in text_of(third)
        assert len({first["id"], second["id"], third["id"]}) == 3
        if api != "openai_responses":
            sent = gw.upstream.requests[-1].body
            assert [sent.count(word) for word in (b"weather?", b"The tools said", b"Thanks.")] == [1, 1, 1], (
                "each turn once, in full"
            )


@pytest.mark.parametrize("api", FOREIGN)
async def test_ids_never_collide_even_where_the_provider_repeats_its_own(tmp_path, api):
    """Some hosts give every answer the same id, or none; two conversations must not become one."""
    async with strict(tmp_path) as gw:
        one, two = [await turn(gw, f"{api}-plain", "same words") for _ in range(2)]
        assert one["id"] != two["id"]
        assert {i["id"] for i in one["output"]}.isdisjoint(i["id"] for i in two["output"])
        assert one["created_at"] > 1_700_000_000


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", DIALECTS)
async def test_what_is_not_to_be_stored_is_not(tmp_path, api, stream):
    """`store: false` leaves nothing behind: not to be read, not to be continued."""
    async with strict(tmp_path) as gw:
        made = await turn(gw, f"{api}-plain", "hush", stream=stream, store=False)
        assert made["store"] is False
        assert (await get(gw, f"/v1/responses/{made['id']}")).status == 404
        got = await ask(gw, "openai_responses", f"{api}-plain", previous_response_id=made["id"])
        assert (got.status, got.json["error"]["code"]) == (400, "previous_response_not_found")


@pytest.mark.parametrize("api", FOREIGN)
async def test_a_stored_response_is_read_back_as_it_was(tmp_path, api):
    """GET gives the very document; DELETE ends it; both say so in the API's words."""
    async with strict(tmp_path) as gw:
        for stream in (False, True):
            made = await turn(gw, f"{api}-plain", "Keep this", stream=stream)
            path = f"/v1/responses/{made['id']}"
            assert (await get(gw, path)).json == made
            gone = await send(gw, path, method="DELETE")
            assert gone.json == {"id": made["id"], "object": "response", "deleted": True}
            again = await get(gw, path)
            assert again.status == 404
            assert made["id"] in again.json["error"]["message"]


@pytest.mark.parametrize("api", DIALECTS)
async def test_another_key_knows_nothing_of_it(tmp_path, api):
    """Providers know one credential, not our tenants: an id is its maker's alone."""
    async with strict(tmp_path) as gw:
        made = await turn(gw, f"{api}-plain", "mine")
        path = f"/v1/responses/{made['id']}"
        seen = len(gw.upstream.requests)
        assert (await get(gw, path, key=OTHER)).status == 404
        assert (await get(gw, f"{path}/input_items", key=OTHER)).status == 404
        assert (await send(gw, path, key=OTHER, method="DELETE")).status == 404
        assert (await send(gw, f"{path}/cancel", key=OTHER)).status == 404
        got = await ask(gw, "openai_responses", f"{api}-plain", key=OTHER, previous_response_id=made["id"])
        assert (got.status, got.json["error"]["code"]) == (400, "previous_response_not_found")
        reference = {"type": "item_reference", "id": made["output"][-1]["id"]}
        got = await send(gw, "/v1/responses", {"model": f"{api}-plain", "input": [reference]}, key=OTHER)
        assert got.status == 400
        assert len(gw.upstream.requests) == seen, "nothing of this reached the provider"
        assert await turn(gw, f"{api}-plain", "still here?", previous_response_id=made["id"])


@pytest.mark.parametrize("api", FOREIGN)
async def test_input_items_come_in_pages(tmp_path, api):
    """`order`, `after` and `limit` as the API has them, newest first; the input is this response's own."""
    async with strict(tmp_path) as gw:
        first = await turn(gw, f"{api}-plain", "one")
        words = [{"role": "user", "content": word} for word in ("two", "three", "four")]
        made = await turn(gw, f"{api}-plain", words, previous_response_id=first["id"])
        path = f"/v1/responses/{made['id']}/input_items"

        def said(page: dict) -> list[str]:
            return [item["content"][0]["text"] for item in page["data"]]

        newest = (await get(gw, path)).json
        assert said(newest) == ["four", "three", "two"]
        assert (newest["first_id"], newest["last_id"]) == (newest["data"][0]["id"], newest["data"][-1]["id"])
        assert newest["has_more"] is False
        page = (await get(gw, f"{path}?order=asc&limit=2")).json
        assert (said(page), page["has_more"]) == (["two", "three"], True)
        rest = (await get(gw, f"{path}?order=asc&limit=2&after={page['last_id']}")).json
        assert (said(rest), rest["has_more"]) == (["four"], False)


@pytest.mark.parametrize("api", FOREIGN)
async def test_what_needs_a_provider_of_responses_is_refused_by_name(tmp_path, api):
    """`background` and `conversation` cannot be kept up by the gateway: an error that names the field, before any call."""
    async with strict(tmp_path) as gw:
        for field, value in (("background", True), ("conversation", "conv_1")):
            got = await ask(gw, "openai_responses", f"{api}-plain", **{field: value})
            assert (got.status, got.json["error"]["param"]) == (400, field)
            assert field in got.json["error"]["message"]
        assert gw.upstream.requests == []
        made = await turn(gw, f"{api}-plain", "x")
        assert (await send(gw, f"/v1/responses/{made['id']}/cancel")).status == 400
        streamed = await get(gw, f"/v1/responses/{made['id']}?stream=true")
        assert (streamed.status, streamed.json["error"]["param"]) == (400, "stream")


@pytest.mark.parametrize("end", FOREIGN)
@pytest.mark.parametrize("begin", DIALECTS)
async def test_a_conversation_moves_between_providers(tmp_path, begin, end):
    """Begun with one provider, gone on with another, and back: the id is enough."""
    async with strict(tmp_path) as gw:
        first = await turn(gw, f"{begin}-plain", "[[call]] weather?", tools=[TOOL])
        (call,) = [item for item in first["output"] if item["type"] == "function_call"]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sun"}
        second = await turn(gw, f"{end}-plain", [result], previous_response_id=first["id"], tools=[TOOL])
        assert "The tools said: sun." in text_of(second)
        third = await turn(gw, f"{begin}-plain", "Back again.", previous_response_id=second["id"])
        assert "heard: Back again." in text_of(third)


@pytest.mark.parametrize("api", FOREIGN)
async def test_an_item_may_be_named_by_its_id(tmp_path, api):
    """Some SDKs send references to items that are stored, instead of the items."""
    async with strict(tmp_path) as gw:
        first = await turn(gw, f"{api}-plain", "[[say-call]] weather?", tools=[TOOL])
        (call,) = [item for item in first["output"] if item["type"] == "function_call"]
        given = [
            {"role": "user", "content": "weather?"},
            *({"type": "item_reference", "id": item["id"]} for item in first["output"]),
            {"type": "function_call_output", "call_id": call["call_id"], "output": "sun"},
        ]
        second = await turn(gw, f"{api}-plain", given, tools=[TOOL])
        assert "The tools said: sun." in text_of(second)
        got = await send(
            gw, "/v1/responses", {"model": f"{api}-plain", "input": [{"type": "item_reference", "id": "msg_nobody"}]}
        )
        assert got.status == 400
        assert "msg_nobody" in got.json["error"]["message"]


async def test_references_pass_to_a_provider_that_keeps_items(tmp_path):
    """It knows them itself; that they are this key's own is checked here."""
    async with strict(tmp_path) as gw:
        first = await turn(gw, "openai_responses-plain", "hello")
        reference = {"type": "item_reference", "id": first["output"][0]["id"]}
        await turn(gw, "openai_responses-plain", [reference, {"role": "user", "content": "go on"}])
        assert gw.upstream.requests[-1].json["input"][0] == reference


async def test_a_response_ends_with_its_time(tmp_path):
    """After its TTL a response is as unknown as one that never was."""
    async with strict(tmp_path, more="responses_state: {ttl_s: 60}") as gw:
        made = await turn(gw, "anthropic-plain", "soon gone")
        store = gw.gateway.stacks.responses.keywords["following"].keywords["following"]
        while store.func.__class__.__name__ != "StateStage":
            store = store.keywords["following"]
        clock = store.func.store._clock
        store.func.store._clock = lambda: clock() + 61
        assert (await get(gw, f"/v1/responses/{made['id']}")).status == 404
        assert (await ask(gw, "openai_responses", "anthropic-plain", previous_response_id=made["id"])).status == 400


async def test_two_workers_share_what_is_kept(tmp_path):
    """A conversation goes on in whichever process the next request meets."""
    async with strict(tmp_path) as one, strict(tmp_path) as two:
        made = await turn(one, "openai_chat-plain", "first here")
        assert (await get(two, f"/v1/responses/{made['id']}")).json == made
        second = await turn(two, "openai_chat-plain", "then there", previous_response_id=made["id"])
        third = await turn(one, "openai_chat-plain", "and back", previous_response_id=second["id"])
        assert "heard: and back" in text_of(third)


@pytest.mark.parametrize("api", DIALECTS)
async def test_input_tokens_are_counted_for_any_provider(tmp_path, api):
    """POST /v1/responses/input_tokens answers in the API's shape, by count or by estimate."""
    async with strict(tmp_path) as gw:
        got = await send(gw, "/v1/responses/input_tokens", {"model": f"{api}-plain", "input": "How many tokens are these words?"})
        assert (got.status, got.json["object"]) == (200, "response.input_tokens")
        assert got.json["input_tokens"] > 4


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_that_failed_is_not_kept(tmp_path, stream):
    """There is nothing to go on from."""
    async with strict(tmp_path) as gw:
        got = await ask(gw, "openai_responses", "openai_chat-plain", "[[error:500]] x", stream=stream)
        assert got.status >= 500
        got = await ask(gw, "openai_responses", "openai_chat-plain", "[[cut]] x", stream=True)
        assert events(got.body)[-1]["type"] in ("error", "response.failed")
