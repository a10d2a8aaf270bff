"""A share of the hostile credentials of `make fuzz-keys`, and that its oracle sees a way in."""

import pytest

from gatewright.pipeline.authenticate import Authenticate
from gatewright.principals.secrets import digest
from tests.fuzz import credentials

SHARE = 4_000


async def test_hostile_credentials_open_nothing_and_break_nothing(tmp_path):
    """No 500, no way in, no key told back; and good keys among them open what they are good for."""
    statuses = await credentials.run(SHARE, 5, tmp_path)
    assert sum(statuses.values()) == SHARE
    assert statuses[200] > 10
    assert statuses[401] > SHARE / 2


async def test_the_oracle_sees_a_key_compared_by_its_beginning(tmp_path, monkeypatch):
    """A gateway that takes a part of a key for the key is found out soon."""
    check = Authenticate.check

    def careless(self, exchange):
        for key in credentials.GOOD:
            if len(exchange.credential) > 8 and key.encode().startswith(exchange.credential):
                exchange.credential = key.encode()
        return check(self, exchange)

    monkeypatch.setattr(Authenticate, "check", careless)
    with pytest.raises(credentials.Fault, match="seed 5"):
        await credentials.run(SHARE, 5, tmp_path)


async def test_the_oracle_sees_a_key_that_was_disabled(tmp_path, monkeypatch):
    """A gateway that forgets why a key is barred is found out soon."""
    real = Authenticate._otherwise

    def forgetful(self, exchange, credential):
        if digest(credential) in self.roll.barred:
            return next(iter(self.principals.values()))
        return real(self, exchange, credential)

    monkeypatch.setattr(Authenticate, "_otherwise", forgetful)
    with pytest.raises(credentials.Fault, match="without a key"):
        await credentials.run(SHARE, 5, tmp_path)
