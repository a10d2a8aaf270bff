"""A token as a credential: signed with, refused, replaced, and failing in words."""

import asyncio

import pytest

from gatewright.errors import Problem, UpstreamFailed
from gatewright.providers.auth.bearer import BearerToken
from gatewright.providers.auth.refreshed import Lease, Pace
from gatewright.providers.auth.seam import CredentialFailed, Refusal, Unsigned

CALL = Unsigned("POST", "http://x", b"/", b"", b"")


class Source:
    def __init__(self):
        self.now = 1000.0
        self.asked = 0
        self.failure = None

    async def obtain(self):
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return Lease(f"t{self.asked}", self.now + 3600)

    def credential(self, **pace):
        return BearerToken(
            "cloud", "bot@x", self.obtain, clock=lambda: self.now, chance=lambda: 0.0, pace=Pace(**pace), extra=b"x-who: me\r\n"
        )


async def test_calls_carry_the_token_and_what_goes_with_it():
    """One line more where the account needs it."""
    assert await Source().credential().sign(CALL) == b"authorization: Bearer t1\r\nx-who: me\r\n"


async def test_a_refused_token_is_replaced_and_a_late_refusal_costs_nothing():
    """A call that was refused with the token before the last only has to be sent again."""
    source = Source()
    credential = source.credential()
    first = await credential.sign(CALL)
    assert await credential.refused(CALL, Refusal(401, first)) is True
    second = await credential.sign(CALL)
    assert second != first
    assert await credential.refused(CALL, Refusal(401, first)) is True
    assert source.asked == 2
    assert await credential.refused(CALL, Refusal(401, second)) is False, "too soon for another"
    assert source.asked == 2


async def test_a_refusal_after_which_nothing_can_be_obtained_tells_why():
    """A revoked login: the upstream's 401 would leave everybody guessing."""
    source = Source()
    credential = source.credential()
    signed = await credential.sign(CALL)
    source.failure = UpstreamFailed(Problem(kind="upstream", message="issuer answered 400: invalid_grant"))
    with pytest.raises(CredentialFailed, match=r"of bot@x for provider 'cloud' cannot be used: issuer answered 400"):
        await credential.refused(CALL, Refusal(401, signed))


async def test_waiting_is_bounded_and_named():
    """An issuer that never answers."""

    async def never():
        await asyncio.sleep(60)

    credential = BearerToken("cloud", "bot@x", never, clock=lambda: 0.0, chance=lambda: 0.0, pace=Pace(obtain_s=0.02))
    with pytest.raises(CredentialFailed, match=r"bot@x.*0\.02 s") as raised:
        await credential.sign(CALL)
    assert raised.value.problem.kind == "timeout"
    assert raised.value.problem.headers == (("retry-after", "1"),)


async def test_a_failure_ahead_of_time_is_in_the_log(caplog):
    """Nobody's call fails yet; an operator has a quarter of the token's life to see to it."""
    source = Source()
    credential = source.credential()
    await credential.sign(CALL)
    source.now += 3500
    source.failure = UpstreamFailed(Problem(kind="upstream", message="issuer answered 400: invalid_grant"))
    assert await credential.sign(CALL)
    await asyncio.sleep(0.01)
    assert "no new token of bot@x for provider 'cloud': issuer answered 400" in caplog.text
    assert "t1" not in caplog.text


async def test_the_token_is_scrubbed():
    """Wherever it turns up."""
    credential = Source().credential()
    assert credential.scrub(b"t1") == b"t1"
    await credential.sign(CALL)
    assert credential.scrub(b"bad token t1!") == b"bad token ***!"
    await credential.close()
