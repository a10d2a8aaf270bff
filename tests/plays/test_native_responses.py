"""Responses that the provider keeps itself: its own ids pass, its own words come back, and only their maker sees them."""

import json

from tests.plays.scene import events, frames, get, providers, send, whole
from tests.serving import END, answer, chunk, gateway, stream_head, upstream


def response(**more) -> bytes:
    return answer(json.dumps(whole("openai_responses", **more)).encode())


async def test_a_background_response_is_followed_to_its_end(tmp_path):
    """The provider runs it; its progress is asked of the provider, and what came of it can be continued elsewhere."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [
            [response(id="resp_bg", status="queued", output=[], background=True)],
            [response(id="resp_bg", background=True)],
            [answer(json.dumps(whole("openai_chat", "yes")).encode())],
        ]
        made = await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "long work", "background": True})
        assert made.json["status"] == "queued"
        done = await get(gw, "/v1/responses/resp_bg")
        assert (done.json["status"], up.head().split(b"\r\n")[0]) == ("completed", b"GET /v1/responses/resp_bg HTTP/1.1")
        more = {"model": "to-openai_chat", "input": "go on", "previous_response_id": "resp_bg"}
        assert (await send(gw, "/v1/responses", more)).status == 200
        assert [m["content"] for m in json.loads(up.body())["messages"]] == ["long work", "hello", "go on"]


async def test_a_background_stream_can_be_taken_up_again(tmp_path):
    """The client left early; `GET ?stream=true&starting_after=` goes on, as a stream, with its query."""
    beginning, content, end = frames("openai_responses")
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(beginning), 0.05, None], [stream_head(), chunk(content + end), END]]
        body = {"model": "to-openai_responses", "input": "x", "background": True, "stream": True}
        cut = await send(gw, "/v1/responses", body)
        assert events(cut.body)[-1]["type"] == "error"
        got = await get(gw, "/v1/responses/resp_up1?stream=true&starting_after=0&include[]=a.b&include[]=c_d")
        assert (got.status, got.body) == (200, content + end)
        assert got.headers["content-type"].startswith("text/event-stream")
        target = up.head().split(b" ")[1]
        assert target == b"/v1/responses/resp_up1?stream=true&starting_after=0&include%5B%5D=a.b&include%5B%5D=c_d"


async def test_pages_of_input_items_are_asked_of_the_provider(tmp_path):
    """`after` names an item: underscores and all."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[response()], [answer(b'{"object":"list","data":[]}')]]
        await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "x"})
        got = await get(gw, "/v1/responses/resp_up1/input_items?after=msg_1&limit=3&order=asc")
        assert got.json == {"object": "list", "data": []}
        assert up.head().split(b" ")[1] == b"/v1/responses/resp_up1/input_items?after=msg_1&limit=3&order=asc"


async def test_what_the_provider_has_forgotten_we_have_not(tmp_path):
    """A compatible server that keeps nothing answers 404: the gateway's own record stands in, whole and for what follows."""
    gone = answer(
        json.dumps({"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}}).encode(),
        status=404,
    )
    lost = {
        "message": "gone",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[response()], [gone], [answer(json.dumps({"error": lost}).encode(), status=400)], [response(id="resp_up2")]]
        await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "first"})
        assert (await get(gw, "/v1/responses/resp_up1")).json == whole("openai_responses")
        more = {"model": "to-openai_responses", "input": "then", "previous_response_id": "resp_up1"}
        assert (await send(gw, "/v1/responses", more)).json["id"] == "resp_up2"
        assert json.loads(up.body(2))["previous_response_id"] == "resp_up1"
        sent = json.loads(up.body(3))
        assert "previous_response_id" not in sent
        assert [item.get("role") for item in sent["input"]] == ["user", "assistant", "user"]


async def test_cancel_is_the_providers_to_answer(tmp_path):
    """Its status and words come back."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[response(status="in_progress", background=True)], [response(status="cancelled")]]
        await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "x", "background": True})
        got = await send(gw, "/v1/responses/resp_up1/cancel")
        assert (got.status, got.json["status"]) == (200, "cancelled")
        assert up.head().startswith(b"POST /v1/responses/resp_up1/cancel HTTP/1.1")


async def test_reading_back_costs_nothing(tmp_path):
    """The usage of a stored response was counted when it was made."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[response()]]
        await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "x"})
        for _ in range(3):
            await get(gw, "/v1/responses/resp_up1")
        tallies = gw.house.current.books.usage.tallies
        assert sum(t.input_tokens for t in tallies.values()) == 10
        assert sum(t.unknown for t in tallies.values()) == 0
