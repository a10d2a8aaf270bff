"""How long a key rests, and after what."""

import pytest

from gatewright.providers.auth.pool import LIMITED_S, REFUSED_S, KeyPool, rest_of
from gatewright.providers.auth.seam import CredentialFailed, Refusal, Unsigned

CALL = Unsigned("POST", "http://x", b"/", b"", b"")
ONE, TWO = b"x-api-key: sk-1\r\n", b"x-api-key: sk-2\r\n"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def pool(clock):
    return KeyPool("many", "x-api-key", ["sk-1", "sk-2"], clock=clock)


@pytest.mark.parametrize(
    ("status", "body", "retry_after", "rest_s"),
    [
        (401, b"", None, REFUSED_S),
        (402, b"", None, REFUSED_S),
        (403, b"model not allowed", None, 0),
        (403, b'{"error":{"message":"This organization has been disabled."}}', None, REFUSED_S),
        (400, b"max_tokens", None, 0),
        (400, b'{"error":{"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}', None, REFUSED_S),
        (
            400,
            b'{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access"}}',
            None,
            REFUSED_S,
        ),
        (400, b'{"error":{"message":"unknown value \'API key not valid\', invalid_api_key, insufficient_quota"}}', None, 0),
        (403, b'[{"error":{"code":403,"status":"PERMISSION_DENIED","message":"API key expired. Renew it"}}]', None, REFUSED_S),
        (403, b'{"error":"no"}', None, 0),
        (429, b"", None, LIMITED_S),
        (429, b"", 12.0, 12),
        (429, b"", 0.0, 1),
        (429, b"", 1e6, 3600),
        (429, b'{"error":{"code":"insufficient_quota"}}', 12.0, REFUSED_S),
    ],
)
def test_rests(status, body, retry_after, rest_s):
    """By status, by the words of vendors that say it otherwise, by what they ask for."""
    assert rest_of(Refusal(status, ONE, body, retry_after))[0] == rest_s


async def test_a_key_comes_back_when_its_time_is_over():
    """Not before, and in its turn."""
    clock = Clock()
    keys = pool(clock)
    assert await keys.sign(CALL) == ONE
    assert await keys.refused(CALL, Refusal(429, ONE, b"", 10)) is True
    assert [await keys.sign(CALL) for _ in range(3)] == [TWO] * 3
    clock.now += 10
    assert {await keys.sign(CALL) for _ in range(2)} == {ONE, TWO}


async def test_the_last_key_is_not_worth_another_try():
    """Nobody is left; what it was refused with is the answer."""
    clock = Clock()
    keys = pool(clock)
    assert await keys.refused(CALL, Refusal(401, ONE)) is True
    assert await keys.refused(CALL, Refusal(401, TWO)) is False
    with pytest.raises(CredentialFailed, match=r"all 2 keys for provider 'many'.*key 1 was refused \(again in 300 s\)") as raised:
        await keys.sign(CALL)
    assert raised.value.problem.kind == "upstream"
    assert "sk-" not in str(raised.value)


async def test_a_refusal_that_is_the_clients_is_no_reason_to_try_again():
    """A 400 as such."""
    assert await pool(Clock()).refused(CALL, Refusal(400, ONE, b"bad")) is False
    assert await pool(Clock()).refused(CALL, Refusal(401, b"x: not ours\r\n")) is False


async def test_a_permission_refused_is_not_tried_with_the_same_key_again():
    """When the others rest there is no other."""
    keys = pool(Clock())
    assert await keys.refused(CALL, Refusal(403, ONE, b"no such model for you")) is True
    assert await keys.refused(CALL, Refusal(429, TWO)) is True
    assert await keys.refused(CALL, Refusal(403, ONE, b"no such model for you")) is False


async def test_every_key_is_scrubbed():
    """Whichever an error repeats."""
    assert pool(Clock()).scrub(b"sk-1 and sk-2") == b"*** and ***"
