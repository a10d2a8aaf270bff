"""An account, as a value."""

from gatewright.account import Account, Tokens

TOKENS = Tokens(access="at-secret", refresh="rt-secret", obtained_at=0, expires_at=60)


def test_tokens_are_shown_nowhere():
    """Not in a traceback, not in a log line."""
    account = Account(id="1", provider="ob1", name="ann", tokens=TOKENS)
    for text in (repr(TOKENS), str(TOKENS), f"{TOKENS}", repr(account), str(account)):
        assert "secret" not in text


def test_an_account_rests_until_its_time():
    """And not a moment longer."""
    account = Account(id="1", provider="ob1", name="ann", tokens=TOKENS, cool_until=10)
    assert account.rests(9.9)
    assert not account.rests(10)
