"""Asking an identity provider and, after the login, the API."""

import msgspec
import pytest
from tests.plays.workos import Ob1, WorkOS, listening

from gatewright.providers.oauth.answers import NoGrant
from gatewright.providers.oauth.descriptions import BY_NAME
from gatewright.providers.oauth.exchange import look_up, refresh
from gatewright.transport.plain_fetch import PlainFetch

(LOOKUP,) = BY_NAME["ob1"].lookups


async def looked_up(ob1: Ob1, bearer: str):
    return await look_up(
        LOOKUP,
        PlainFetch({}),
        base_url=f"{ob1.url}/api/v1",
        bearer=bearer,
        identity={"user_id": "user/1 &"},
        headers={"x-title": "t"},
    )


async def test_organisations_are_looked_up_with_the_token():
    """Parts of the identity are encoded; what has no id is left out."""
    workos = WorkOS()
    ob1 = Ob1(workos)
    ob1.organizations += [{"organizationName": "without id"}, "odd", {"organizationId": "org_8"}]
    async with listening(workos, ob1):
        granted = workos.grant("ann")
        assert await looked_up(ob1, granted["access_token"]) == ({"org_id": "org_7", "org_name": "Seven"}, {"org_id": "org_8"})
    method, path, headers, _ = ob1.seen[-1]
    assert (method, path) == ("GET", "/api/v1/auth/organizations?user_id=user%2F1+%26")
    assert headers["x-title"] == "t"


async def test_an_api_that_does_not_tell_is_named():
    """The caller decides whether to go on without."""
    workos = WorkOS()
    ob1 = Ob1(workos)
    async with listening(workos, ob1):
        with pytest.raises(NoGrant, match=r"127\.0\.0\.1:\d+ answered 401 when asked for the organizations"):
            await looked_up(ob1, "wrong")


async def test_a_server_that_is_not_there_was_asked_nothing(tmp_path):
    """The refresh token has not been used up."""
    workos = WorkOS()
    async with listening(workos):
        pass

    with pytest.raises(NoGrant) as caught:
        await refresh(msgspec.structs.replace(BY_NAME["ob1"], token_url=f"{workos.url}/token"), PlainFetch({}), "rt-secret")
    assert f"127.0.0.1:{workos.port}" in str(caught.value)
    assert "rt-secret" not in str(caught.value)
    assert not caught.value.heard


async def test_a_server_that_went_silent_may_have_heard():
    """The refresh token may be used up."""
    workos = WorkOS()
    async with listening(workos):
        description = msgspec.structs.replace(BY_NAME["ob1"], token_url=f"{workos.url}/token")

        async def cut():
            return b""

        workos.broken = cut
        with pytest.raises(NoGrant) as caught:
            await refresh(description, PlainFetch({}), "rt-secret")
    assert caught.value.heard
