"""Login by browser."""

import os
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from tests.plays.workos import CLIENT_ID, WorkOS, listening

from gatewright.providers.oauth import pkce
from gatewright.providers.oauth.answers import NoGrant
from gatewright.providers.oauth.descriptions import Description
from gatewright.transport.plain_fetch import PlainFetch

HERE = "http://127.0.0.1:5555/callback"
ANY = Description(
    name="any",
    title="Any",
    client_id=CLIENT_ID,
    authorize_url="https://id.example/authorize?tenant=t",
    scopes=("openid", "offline_access"),
    parameters={"audience": "api"},
)


def test_the_challenge_is_that_of_the_standard():
    """RFC 7636, appendix B."""
    assert pkce.challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_what_the_browser_is_sent_with():
    """Everything that the description says, and what the URL had already."""
    started = pkce.start(ANY, HERE, bytes(range(64)))
    query = {name: values[0] for name, values in parse_qs(urlsplit(started.url).query).items()}
    assert query == {
        "tenant": "t",
        "audience": "api",
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": HERE,
        "state": started.state,
        "code_challenge": pkce.challenge(started.verifier),
        "code_challenge_method": "S256",
        "scope": "openid offline_access",
    }
    assert len(started.verifier) == 43
    assert started.verifier not in started.url
    assert started.verifier not in repr(started)


@pytest.mark.parametrize(
    ("query", "told_so"),
    [
        ("code=c", "another login"),
        ("code=c&state=forged", "another login"),
        ("code=c&state=…", "another login"),
        ("error=access_denied&error_description=No%0A&state={state}", "id.example refused the login: access_denied: No "),
        ("state={state}", "without a code"),
    ],
)
def test_what_comes_back_must_be_ours(query, told_so):
    """Another page can send a browser here too."""
    started = pkce.start(ANY, HERE, os.urandom(64))
    with pytest.raises(NoGrant) as caught:
        pkce.code_in(query.format(state=started.state), started, ANY)
    assert told_so in str(caught.value)
    assert started.state not in str(caught.value)


async def test_a_code_is_redeemed_with_its_verifier_only():
    """Who stole the code alone has nothing."""
    workos = WorkOS()
    async with listening(workos):
        description = msgspec.structs.replace(
            ANY, authorize_url=f"{workos.url}/authorize", token_url=f"{workos.url}/token", client_secret="hush"
        )
        started = pkce.start(description, HERE, os.urandom(64))
        status, headers, _ = await PlainFetch({})("GET", started.url)
        assert status == 302
        code = pkce.code_in(urlsplit(headers["location"]).query, started, description)
        thief = msgspec.structs.replace(started, verifier="v" * 43)
        with pytest.raises(NoGrant, match="invalid_grant"):
            await pkce.redeem(description, thief, code, PlainFetch({}))
        started = pkce.start(description, HERE, os.urandom(64))
        _, headers, _ = await PlainFetch({})("GET", started.url)
        code = pkce.code_in(urlsplit(headers["location"]).query, started, description)
        granted = await pkce.redeem(description, started, code, PlainFetch({}))
        assert granted["access_token"] == "at-ann-1"
        assert b"client_secret=hush" in workos.seen[-1][3]
        assert "hush" not in started.url
