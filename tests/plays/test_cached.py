"""An answer that one client had is another's, whole or as a stream, in whatever dialect each of them speaks."""

import json

import pytest

from tests.plays.same import CLIENTS, ask, said, saying, understood
from tests.plays.scene import DIALECTS, MODELS, PROVIDER, only_tally, send, strict

KEPT = "\n".join(
    f"  kept-{api}: {{targets: [{PROVIDER[api]}/{MODELS[api]['plain']}], cache: {{ttl_s: 600}}}}" for api in DIALECTS
)


def used(response) -> tuple[int, int]:
    assert response.usage is not None
    return response.usage.total_input, response.usage.total_output


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("filler", CLIENTS)
@pytest.mark.parametrize("api", DIALECTS)
async def test_every_client_reads_what_any_client_had(tmp_path, api, filler, stream):
    """One call fills; ten readings, five dialects whole and streamed, say the same, and nobody is called for them."""
    async with strict(tmp_path, more=KEPT) as gw:
        for text, tool in (("Tell me a story", False), ("[[call]] weather?", True)):
            before = len(gw.upstream.requests)
            first = await ask(gw, filler, f"kept-{api}", text, stream=stream, tool=tool)
            assert first.headers["x-gatewright-cache"] == "miss"
            assert len(gw.upstream.requests) == before + 1
            told = understood(filler, first, stream=stream)
            for reader in CLIENTS:
                for streamed in (False, True):
                    got = await ask(gw, reader, f"kept-{api}", text, stream=streamed, tool=tool)
                    assert got.headers["x-gatewright-cache"] == "hit"
                    assert got.headers["x-gatewright-target"] == first.headers["x-gatewright-target"]
                    assert int(got.headers["age"]) >= 0
                    again = understood(reader, got, stream=streamed)
                    assert said(again) == said(told)
                    assert used(again) == used(told)
            assert len(gw.upstream.requests) == before + 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("api", DIALECTS)
async def test_a_hit_reads_like_a_fresh_answer(tmp_path, api, client, stream):
    """Beside the ids nothing tells a client that nobody was called; the header does."""
    async with strict(tmp_path, more=KEPT) as gw:
        fresh = await ask(gw, client, f"kept-{api}", "same", stream=stream, headers="cache-control: no-store\r\n")
        assert fresh.headers["x-gatewright-cache"] == "bypass"
        await ask(gw, client, f"kept-{api}", "same", stream=not stream)
        hit = await ask(gw, client, f"kept-{api}", "same", stream=stream)
        assert hit.headers["x-gatewright-cache"] == "hit"
        assert hit.headers["content-type"].partition(";")[0] == fresh.headers["content-type"].partition(";")[0]
        one, other = understood(client, fresh, stream=stream), understood(client, hit, stream=stream)
        assert said(one) == said(other)
        assert used(one) == used(other)
        assert one.finish == other.finish
        if not stream:
            assert set(json.loads(hit.body)) == set(json.loads(fresh.body))


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "anthropic", "gemini"])
async def test_every_answer_has_an_id_of_its_own(tmp_path, client):
    """Programs take two answers with one id for one, and put the second in the place of the first."""
    async with strict(tmp_path, more=KEPT) as gw:
        ids = set()
        for streamed in (False, False, True, True):
            got = await ask(gw, client, f"kept-{client}", "who?", stream=streamed)
            ids.add(understood(client, got, stream=streamed).id)
        assert len(ids) == 4
        assert "" not in ids


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", DIALECTS)
async def test_a_hit_costs_nothing_and_is_counted(tmp_path, api, stream):
    """Three requests, the tokens of one."""
    async with strict(tmp_path, more=KEPT) as gw:
        first = await ask(gw, "openai_chat", f"kept-{api}", "count", stream=stream)
        paid = only_tally(gw).input_tokens, only_tally(gw).output_tokens
        assert paid == used(understood("openai_chat", first, stream=stream))
        assert paid[0]
        assert paid[1]
        await ask(gw, "anthropic", f"kept-{api}", "count", stream=stream)
        await ask(gw, "gemini", f"kept-{api}", "count", stream=not stream)
        tally = only_tally(gw)
        assert (tally.requests, tally.errors, tally.unknown) == (3, 0, 0)
        assert (tally.input_tokens, tally.output_tokens) == paid


@pytest.mark.parametrize("api", ["openai_chat", "anthropic"])
async def test_usage_is_kept_though_the_first_client_did_not_ask_for_it(tmp_path, api):
    """A stream of Chat Completions tells usage only to who asks; the next client may."""
    async with strict(tmp_path, more=KEPT) as gw:
        await ask(gw, "openai_chat", f"kept-{api}", "count", stream=True, counted=False)
        paid = only_tally(gw).input_tokens, only_tally(gw).output_tokens
        for client in CLIENTS:
            for stream in (False, True):
                got = await ask(gw, client, f"kept-{api}", "count", stream=stream)
                assert got.headers["x-gatewright-cache"] == "hit"
                assert used(understood(client, got, stream=stream)) == paid


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("filler", CLIENTS)
async def test_a_signed_call_from_the_cache_can_be_answered(tmp_path, filler, stream):
    """Gemini 3 refuses a call without its signature, and Chat clients keep none: it is put by for them with the hit."""
    thinks = f"  kept-thinks: {{targets: [{PROVIDER['gemini']}/{MODELS['gemini']['thinks']}], cache: {{ttl_s: 600}}}}"
    async with strict(tmp_path, more=thinks) as gw:
        await ask(gw, filler, "kept-thinks", "[[call]] weather?", stream=stream, tool=True)
        hit = await ask(gw, "openai_chat", "kept-thinks", "[[call]] weather?", tool=True)
        assert hit.headers["x-gatewright-cache"] == "hit"
        (call,) = json.loads(hit.body)["choices"][0]["message"]["tool_calls"]
        asked = saying("openai_chat", "kept-thinks", "[[call]] weather?", tool=True)
        asked["messages"] += [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "sun"},
        ]
        got = await send(gw, "/v1/chat/completions", asked)
        assert got.status == 200, got.body
        assert "The tools said: sun." in got.json["choices"][0]["message"]["content"]


async def test_a_conversation_that_goes_on_by_id_is_whole_before_it_is_looked_up(tmp_path):
    """Beneath the gateway's own memory of responses: the same turns have the same answer, under an id that can be gone on from."""
    async with strict(tmp_path, more=KEPT) as gw:
        firsts = [await ask(gw, "openai_responses", "kept-anthropic", "one") for _ in range(2)]
        assert [got.headers["x-gatewright-cache"] for got in firsts] == ["miss", "hit"]
        ids = [json.loads(got.body)["id"] for got in firsts]
        assert ids[0] != ids[1]
        seconds = [
            await ask(gw, "openai_responses", "kept-anthropic", "two", stream=stream, previous=ids[1]) for stream in (False, True)
        ]
        assert [got.headers["x-gatewright-cache"] for got in seconds] == ["miss", "hit"]
        assert json.loads(seconds[0].body)["previous_response_id"] == ids[1]
        assert b"one" in gw.upstream.requests[-1].body
        other = await ask(gw, "openai_responses", "kept-anthropic", "two")
        assert other.headers["x-gatewright-cache"] == "miss", "the same words without the turn before"


async def test_a_provider_s_own_responses_can_be_gone_on_from_after_a_hit(tmp_path):
    """It never heard of the id that a hit has; the gateway knows the conversation."""
    async with strict(tmp_path, more=KEPT) as gw:
        for stream in (False, True):
            hits = [await ask(gw, "openai_responses", "kept-openai_responses", f"one {stream}", stream=stream) for _ in range(2)]
            assert hits[1].headers["x-gatewright-cache"] == "hit"
            hit = understood("openai_responses", hits[1], stream=stream)
            after = await ask(gw, "openai_responses", "kept-openai_responses", "two", previous=hit.id)
            assert after.status == 200, after.body
            assert after.headers["x-gatewright-cache"] in ("miss", "bypass")
            assert f"one {stream}".encode() in gw.upstream.requests[-1].body
