"""Answers in a real Redis: shared, ended by time; and what a dead or slow one costs."""

import asyncio
import logging
import time
import uuid
from contextlib import asynccontextmanager

import pytest
from tests.redis_here import redis_url

from gatewright.stores.answers_redis import RedisAnswers
from gatewright.stores.redis_link import IN_A_ROW, REST_S


@asynccontextmanager
async def store(url: str, **more):
    answers = RedisAnswers(url, **more)
    try:
        yield answers
    finally:
        await answers.close()


async def test_what_one_leaves_another_finds_until_it_ends():
    """Two processes' worth of clients, one store. A generous deadline: the machine may be busy."""
    prefix, key = f"gatewright:test:{uuid.uuid4()}:", b"\x00\xff" * 16
    async with (
        store(redis_url(), prefix=prefix, deadline_s=5) as one,
        store(redis_url().replace("redis:", "valkey:"), prefix=prefix, deadline_s=5) as two,
    ):
        assert await two.get(key) is None
        await one.put(key, b"\x00\x01answer\xff", 0.5)
        assert await two.get(key) == b"\x00\x01answer\xff"
        assert await two.get(key[::-1]) is None
        await asyncio.sleep(0.6)
        assert await two.get(key) is None


async def test_many_at_once_are_served():
    """More than there are connections: they wait for one, and none fails."""
    prefix = f"gatewright:test:{uuid.uuid4()}:"
    async with store(redis_url(), prefix=prefix, deadline_s=10) as answers:
        keys = [b"%032d" % i for i in range(200)]
        await asyncio.gather(*(answers.put(key, key, 30) for key in keys))
        assert await asyncio.gather(*(answers.get(key) for key in keys)) == keys


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_dead_store_is_left_alone_and_told_of_once(caplog):
    """It costs no error; after a few failures it is not even asked, longer each time."""
    clock = Clock()
    async with store("redis://127.0.0.1:1/0", clock=clock) as answers:
        with caplog.at_level(logging.WARNING, logger="gatewright"):
            for _ in range(IN_A_ROW):
                assert not answers.resting
                assert await answers.get(b"k") is None
            assert answers.resting
            await answers.put(b"k", b"v", 60)
            clock.now += REST_S
            assert not answers.resting
            assert await answers.get(b"k") is None
            clock.now += REST_S
            assert answers.resting, "twice as long the second time"
        assert len([r for r in caplog.records if "does not answer" in r.message]) == 1


async def test_a_slow_store_costs_its_deadline_and_is_told_of_when_it_is_back(caplog):
    """It takes connections and says nothing, then it answers again."""
    silent = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                if not silent:
                    writer.write(b"+OK\r\n" * max(1, data.count(b"SETINFO")) if b"GET" not in data else b"$2\r\nhi\r\n")
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clock = Clock()
    try:
        with caplog.at_level(logging.WARNING, logger="gatewright"):
            async with store(f"redis://127.0.0.1:{port}/0", deadline_s=0.05, clock=clock) as answers:
                began = time.monotonic()
                for _ in range(IN_A_ROW):
                    assert await answers.get(b"k") is None
                assert time.monotonic() - began < 5
                assert answers.resting
                silent = False
                answers._deadline_s = 5
                clock.now += REST_S
                assert await answers.get(b"k") == b"hi"
                assert not answers.resting
        assert [r.message for r in caplog.records][-1].endswith("is back")
    finally:
        server.close()


def test_an_address_that_is_none_is_refused():
    """When the configuration is read, not when the first request comes."""
    with pytest.raises(ValueError, match="scheme"):
        RedisAnswers("http://127.0.0.1:6379")
