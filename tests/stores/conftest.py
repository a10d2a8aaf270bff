"""A place in the Redis that tests share."""

import secrets

import pytest
from redis.asyncio import Redis
from tests.redis_here import redis_url


@pytest.fixture
async def prefix():
    """Keys of this test's own, gone when it is over."""
    mine = f"gatewright:{{test-{secrets.token_hex(6)}}}:"
    url = redis_url()
    yield mine
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter(mine + "*"):
            await redis.delete(key)
