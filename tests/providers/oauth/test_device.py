"""Login by device flow, against a loopback server."""

import asyncio
import time

import msgspec
import pytest
from tests.plays.workos import Http, WorkOS, answer, listening, told

from gatewright.providers.oauth import device
from gatewright.providers.oauth.answers import NoGrant
from gatewright.providers.oauth.descriptions import BY_NAME
from gatewright.transport.plain_fetch import PlainFetch

FETCH = PlainFetch({})


def ob1(server: Http, **changes):
    return msgspec.structs.replace(BY_NAME["ob1"], device_url=f"{server.url}/device", token_url=f"{server.url}/token", **changes)


class Pace:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def play(workos: WorkOS, **changes):
    pace = Pace()
    async with listening(workos):
        begun = await device.begin(ob1(workos, **changes), FETCH)
        try:
            return begun, pace, await device.wait(ob1(workos), begun, FETCH, clock=pace, sleep=pace.sleep)
        except NoGrant as error:
            return begun, pace, error


async def test_a_code_is_shown_and_confirmed():
    """Asked at the server's pace, slower when it says so."""
    workos = WorkOS()
    workos.interval = 2
    workos.polls = ["authorization_pending", "slow_down", "authorization_pending"]
    begun, pace, granted = await play(workos)
    assert (begun.user_code, begun.url) == ("ABCD-EFGH", f"{workos.url}/activate?code=ABCD-EFGH")
    assert "dc-ann" not in repr(begun)
    assert granted["access_token"] == "at-ann-1"
    assert pace.slept == [2, 2, 7, 7]


async def test_scopes_and_parameters_are_said_at_the_beginning():
    """As the description has them."""
    workos = WorkOS()
    await play(workos, scopes=("openid", "offline_access"), parameters={"audience": "api"})
    form = workos.seen[0][3].decode()
    assert "scope=openid+offline_access" in form
    assert "audience=api" in form


@pytest.mark.parametrize(("code", "terminal"), [("access_denied", True), ("expired_token", True), ("invalid_client", False)])
async def test_a_refusal_ends_it(code, terminal):
    """In the server's words."""
    workos = WorkOS()
    workos.polls = ["authorization_pending", code]
    _, _, error = await play(workos)
    assert isinstance(error, NoGrant)
    assert error.error == code
    assert error.terminal is terminal
    assert f"it is {code}" in str(error)


async def test_nobody_confirms():
    """It ends with the code's life, without asking once more."""
    workos = WorkOS()
    workos.interval = 20
    workos.polls = ["authorization_pending"] * 10
    _, pace, error = await play(workos)
    assert (error.error, pace.slept) == ("expired_token", [20, 20, 20])
    assert "within 60 s" in str(error)


async def test_trouble_on_the_way_slows_down_and_does_not_end_it():
    """A proxy hiccups, the server is restarted: the code still lives."""
    workos = WorkOS()
    workos.interval = 2
    workos.polls = [answer(b"<html>", status=502, content_type="text/html"), b"", told({"error": "server_error"}, 500)]
    _, pace, granted = await play(workos)
    assert granted["access_token"] == "at-ann-1"
    assert pace.slept == [2, 4, 8, 16]


async def test_trouble_to_the_end_is_told():
    """With what was heard last."""
    workos = WorkOS()
    workos.interval = 10
    workos.polls = [answer(b"<html>", status=502, content_type="text/html")] * 10
    _, _, error = await play(workos)
    assert "the last thing heard: 127.0.0.1" in str(error)
    assert "answered 502 with text/html" in str(error)


class Odd(Http):
    def __init__(self, reply_bytes: bytes) -> None:
        super().__init__()
        self.reply_bytes = reply_bytes

    async def reply(self, method, path, headers, body):
        return self.reply_bytes


GOOD = {"device_code": "d", "user_code": "u", "verification_uri": "https://x"}


@pytest.mark.parametrize(
    ("reply", "told_so"),
    [
        (answer(b"<html>", content_type="text/html"), "did not give a device code"),
        (answer(b"<html>", status=403, content_type="text/html"), "answered 403 with text/html"),
        (told({"error": "invalid_client", "error_description": "who?"}, 400), "invalid_client: who?"),
        (told({"code": "not_found", "message": "no"}, 404), "not_found: no"),
        (told({"user_code": "u"}), "missing required field `device_code`"),
        (told({**GOOD, "verification_uri": "javascript:alert(1)"}), "no web page"),
        (told({**GOOD, "verification_uri_complete": "file:///etc/passwd"}), "no web page"),
        (b"", "127.0.0.1"),
    ],
)
async def test_a_server_that_begins_nothing_is_named(reply, told_so):
    """Bad configuration is the usual cause."""
    server = Odd(reply)
    async with listening(server):
        with pytest.raises(NoGrant) as caught:
            await device.begin(ob1(server), FETCH)
    assert told_so in str(caught.value)
    assert f"127.0.0.1:{server.port}" in str(caught.value)


async def test_numbers_are_read_as_text_too_and_bounded():
    """A server must not make us ask without a pause, or for ever."""
    server = Odd(told({**GOOD, "interval": "-3", "expires_in": 1e12, "user_code": "A\x1b[2JB"}))
    async with listening(server):
        begun = await device.begin(ob1(server), FETCH)
    assert (begun.interval, begun.expires_in, begun.user_code) == (0.1, 3600, "A [2JB")


async def test_a_server_that_is_not_there_is_named_soon():
    """Nobody waits for long."""
    server = Odd(b"")
    async with listening(server):
        pass
    began = time.monotonic()
    with pytest.raises(NoGrant, match=f"127.0.0.1:{server.port}"):
        await device.begin(ob1(server), FETCH)
    assert time.monotonic() - began < 5
