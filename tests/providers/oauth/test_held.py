"""One account as the gateway uses it."""

import msgspec

from gatewright.account import Account, Tokens
from gatewright.providers.oauth.descriptions import BY_NAME
from gatewright.providers.oauth.held import Held

NOW = 1_700_000_000.0


class Renewals:
    """Gives the next generation, and counts."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def renew(self, account: Account) -> Account:
        self.asked.append(account.generation)
        number = account.generation + 1
        tokens = Tokens(access=f"at-{number}", refresh=f"rt-{number}", obtained_at=NOW, expires_at=NOW + 3600)
        return msgspec.structs.replace(account, generation=number, tokens=tokens)


def made(left: float | None, life: float = 3600, clock=lambda: NOW):
    ends = None if left is None else NOW + left
    tokens = Tokens(access="at-1", refresh="rt-1", obtained_at=NOW + (left or 0) - life, expires_at=ends)
    account = Account(id="1", provider="ob1", name="ann", tokens=tokens, identity={"org_id": "o"})
    renewals = Renewals()
    return Held(account, BY_NAME["ob1"], renewals, clock=clock, chance=lambda: 0.5), renewals


async def test_what_is_kept_is_used_while_it_lives():
    """A restart costs no refresh."""
    held, renewals = made(1000)
    assert await held.line() == await held.line() == b"authorization: Bearer at-1:o\r\n"
    assert renewals.asked == []


async def test_what_has_ended_or_is_about_to_is_renewed_first():
    """No call is wasted on it."""
    for left, life in ((-5, 3600), (0, 0), (5, 3600), (-100, 0)):
        held, renewals = made(left, life)
        assert await held.line() == b"authorization: Bearer at-2:o\r\n"
        assert renewals.asked == [1]


async def test_a_short_life_is_used_to_near_its_end():
    """Ten seconds are much of a minute's life."""
    held, renewals = made(7, 60)
    assert await held.line() == b"authorization: Bearer at-1:o\r\n"
    assert renewals.asked == []


async def test_a_token_without_an_end_is_used_until_it_is_refused():
    """Then it is renewed."""
    now = [NOW]
    held, renewals = made(None, clock=lambda: now[0])
    line = await held.line()
    now[0] += 86_400 * 300
    assert await held.line() == line
    assert await held.instead_of(line) == b"authorization: Bearer at-2:o\r\n"
    assert renewals.asked == [1]


async def test_a_clock_that_is_set_back_does_not_renew_again_and_again():
    """Nor forward: that is one renewal."""
    now = [NOW]
    held, renewals = made(1000, clock=lambda: now[0])
    await held.line()
    now[0] -= 86_400
    await held.line()
    assert renewals.asked == []


async def test_newer_tokens_of_the_store_are_a_reason_to_begin_anew():
    """Older ones, which we could not save over yet, are not."""
    held, _ = made(1000)
    account = held.account
    assert held.takes(msgspec.structs.replace(account, cool_until=5))
    assert held.account.cool_until == 5
    assert not held.takes(msgspec.structs.replace(account, generation=2))
    assert not held.takes(msgspec.structs.replace(account, tokens=None, state="unreadable"))
    await held.take_up()
    assert held.takes(account)  # read before
    assert held.account.generation == 2


async def test_what_was_taken_up_is_used_when_the_old_one_is_refused():
    """Without another refresh."""
    held, renewals = made(1000)
    line = await held.line()
    await held.take_up()
    assert await held.instead_of(line) == b"authorization: Bearer at-2:o\r\n"
    assert renewals.asked == [1]


async def test_what_was_read_before_we_wrote_is_not_taken_back():
    """A rest or a loss that another look at the store has just missed."""
    held, _ = made(1000)
    before = held.account
    held.rest(NOW + 30)
    assert held.takes(before)
    assert held.account.cool_until == NOW + 30
    held.mark("needs_login", "refused")
    assert held.takes(before)
    assert (held.account.state, held.account.reason) == ("needs_login", "refused")
