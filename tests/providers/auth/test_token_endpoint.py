"""Answers of issuers: tokens, refusals in OAuth's words, captive portals; and clocks that disagree."""

import pytest

from gatewright.errors import UpstreamFailed
from gatewright.providers.auth.token_endpoint import ask, lease_of, seconds_of, skew_told

NOW = 1_790_000_000.0


async def told(status, body, headers=None, secrets=()):
    async def fetch(method, url, sent, content, timeout_s):
        fetch.sent = (method, url, sent, content)
        return status, headers or {"content-type": "application/json"}, body

    answer = await ask(fetch, "POST", "https://u:p@issuer.example/t", form={"a": "b c"}, secrets=secrets, clock=lambda: NOW)
    return answer, fetch.sent


async def test_a_form_is_sent_and_json_is_read():
    """As RFC 6749 has it."""
    answer, (method, _, headers, body) = await told(200, b'{"access_token": "t"}')
    assert answer == {"access_token": "t"}
    assert (method, headers["content-type"], body) == ("POST", "application/x-www-form-urlencoded", b"a=b+c")


@pytest.mark.parametrize(
    ("status", "body", "said", "kind"),
    [
        (200, b"<html>login</html>", "text/html, not with a token", "upstream"),
        (400, b'{"error": "invalid_grant", "error_description": "expired\\r\\nor revoked"}', "invalid_grant: expired or revoked", "upstream"),
        (401, b'{"error": "invalid_client"}', "check them", "upstream"),
        (403, b'{"error": {"status": "PERMISSION_DENIED", "message": "no"}}', "PERMISSION_DENIED: no", "upstream"),
        (429, b'{"error": "slow_down"}', "slow_down", "rate_limit"),
        (500, b"{}", "an error without words", "upstream"),
    ],
)  # fmt: skip
async def test_refusals_are_told_in_the_issuers_words(status, body, said, kind):
    """Host, status, words, advice; on one line, without the URL's userinfo."""
    kind_of = "text/html" if body.startswith(b"<") else "application/json"
    with pytest.raises(UpstreamFailed, match=said) as raised:
        await told(status, body, {"content-type": kind_of})
    problem = raised.value.problem
    assert problem.kind == kind
    assert problem.type == str(status)
    assert problem.message.startswith(f"issuer.example answered {status}")
    assert "\n" not in problem.message


async def test_secrets_that_an_issuer_repeats_are_taken_out():
    """Some echo what they were sent."""
    with pytest.raises(UpstreamFailed) as raised:
        await told(400, b'{"error": "x", "error_description": "bad secret shh-1 given"}', secrets=("shh-1",))
    assert "shh-1" not in str(raised.value)
    assert "***" in str(raised.value)


async def test_retry_after_is_passed_on():
    """The refresh waits so long."""
    with pytest.raises(UpstreamFailed) as raised:
        await told(429, b"{}", {"content-type": "application/json", "retry-after": "17"})
    assert raised.value.problem.retry_after_s == 17


@pytest.mark.parametrize(
    ("answer", "life", "early"),
    [
        ({"expires_in": 3599}, 3599, None),
        ({"expires_in": "3599"}, 3599, None),
        ({"expires_in": 3599.5, "refresh_in": 1000}, 3599.5, 1000),
        ({"expires_in": 100, "refresh_in": 1000}, 100, None),
        ({"expires_on": str(int(NOW) + 50)}, 50, None),
        ({}, 1800, None),
        ({"expires_in": "soon"}, 1800, None),
        ({"expires_in": True}, 1800, None),
    ],
)
def test_how_long_a_token_holds(answer, life, early):
    """A number, a number as text, a time; or a guess on the careful side."""
    lease = lease_of({"access_token": "t", **answer}, "x", NOW)
    assert lease.expires_at - NOW == life
    assert lease.refresh_at == (None if early is None else NOW + early)


@pytest.mark.parametrize("token", [None, "", 5, "a\r\nx: y", "ü"])
def test_what_is_no_token_is_none(token):
    """It goes into a header."""
    with pytest.raises(UpstreamFailed, match="without an access_token"):
        lease_of({"access_token": token}, "x", NOW)


@pytest.mark.parametrize(
    ("off", "said"), [(0, ""), (59, ""), (-59, ""), (300, "300 s ahead of"), (-300, "300 s behind"), (None, "")]
)  # fmt: skip
def test_a_wrong_clock_is_told(off, said):
    """The commonest reason why a fresh assertion is refused, and the hardest to guess."""
    headers = {"date": "Mon, 21 Sep 2026 14:13:20 GMT"} if off is not None else {"date": "yesterday"}
    words = skew_told(headers, 1_790_000_000 + (off or 0))
    assert (said in words) if said else words == ""


def test_times_as_googles_answers_have_them():
    """RFC 3339, with and without fractions."""
    assert seconds_of("2026-09-21T14:13:20Z") == NOW
    assert seconds_of("2026-09-21T14:13:20.5Z") == NOW + 0.5
    assert seconds_of("None") is None
