"""The official SDKs, unmodified, on a stream that breaks in the middle and is resumed: one answer, and none of them notices."""

import asyncio

import pytest

from tests.plays.breaking import (
    MODELS,
    OTHER_MODELS,
    OTHER_THINKERS,
    STORY,
    THINKERS,
    THOUGHT,
    Breaking,
    config,
    middle,
)
from tests.sdk.conftest import Clients
from tests.sdk.scenarios import APIS, Api
from tests.sdk.talk import Place, Wish
from tests.serving import KEY, gateway
from tests.upstreams.script import Say, Thought


@pytest.mark.sdk
@pytest.mark.parametrize("client", APIS)
@pytest.mark.parametrize("language", ["python", "node"])
async def test_an_official_sdk_reads_one_answer(tmp_path, language: str, client: Api, clients: Clients) -> None:
    """Its own dialect first and another's second, and the other way about; the tokens of both are counted."""
    other: Api = APIS[(APIS.index(client) + 1) % len(APIS)]
    routes = (("passing", MODELS[client], OTHER_MODELS[other]), ("foreign", MODELS[other], OTHER_MODELS[client]))
    with Breaking((Say(STORY),)).telling() as up:
        async with gateway(config(up.port, *routes), tmp_path) as gw:

            def place(name: str) -> Place:
                return Place(url=f"http://127.0.0.1:{gw.port}", key=KEY, model=name)

            with clients.opening(language, client, place) as talk:
                for name, first, _ in routes:
                    up.cuts = [middle()]
                    heard = await asyncio.to_thread(talk(name).send, "hi", Wish(stream=True))
                    assert (heard.text, heard.finish) == (STORY, "stop"), name
                    assert heard.pieces > 3
                    assert heard.output >= 17
                    assert up.cuts == [], first
    assert len(up.requests) == 4


@pytest.mark.sdk
@pytest.mark.parametrize("client", APIS)
@pytest.mark.parametrize("language", ["python", "node"])
async def test_the_conversation_goes_on_after_it(tmp_path, language: str, client: Api, clients: Clients) -> None:
    """What an SDK sends back of a resumed answer, thoughts and all, is taken by the provider that began it and by another."""
    other: Api = APIS[(APIS.index(client) + 1) % len(APIS)]
    routes = (("passing", THINKERS[client], OTHER_THINKERS[other]), ("foreign", THINKERS[other], OTHER_THINKERS[client]))
    with Breaking((Thought(THOUGHT), Say(STORY))).telling() as up:
        async with gateway(config(up.port, *routes), tmp_path) as gw:

            def place(name: str) -> Place:
                return Place(url=f"http://127.0.0.1:{gw.port}", key=KEY, model=name)

            with clients.opening(language, client, place) as talk:
                for name, *_ in routes:
                    up.cuts = [middle()]
                    one = talk(name)
                    for turn in ("hi", "and then?"):
                        heard = await asyncio.to_thread(one.send, turn, Wish(stream=True, think=True))
                        assert (heard.text, heard.finish) == (STORY, "stop"), (name, turn)
                    one.move("foreign" if name == "passing" else "passing")
                    heard = await asyncio.to_thread(one.send, "and elsewhere?", Wish(stream=True, think=True))
                    assert heard.text == STORY
    assert [answer.body for answer in up.answers if answer.status >= 400] == []
    assert len(up.requests) == 8
