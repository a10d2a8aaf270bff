"""Signed sending: what is signed is sent once, again where the credential says so, and never told."""

import pytest
from tests.identity import serving

from gatewright.errors import refuse
from gatewright.pipeline.signed import MAX_REFUSAL_BYTES, NoCredential, Told, replaced, scrubbed, send_signed
from gatewright.providers.auth.seam import failed
from gatewright.transport import HttpTransport, Outgoing, Timeouts, TransportError


class Scripted:
    """A credential of `key-1`, `key-2`, …; `again` answers for `refused`."""

    statuses = frozenset((401, 429))
    retries = 2

    def __init__(self, again=True):
        self.count = 0
        self.refusals = []
        self.again = again
        self.calls = []

    async def sign(self, call):
        self.calls.append(call)
        self.count += 1
        return b"authorization: Bearer key-%d\r\nx-both: ours\r\n" % self.count

    async def refused(self, call, refusal):
        self.refusals.append(refusal)
        if isinstance(self.again, Exception):
            raise self.again
        return self.again

    def scrub(self, text):
        return text

    async def close(self):
        pass


class Host:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.seen = []

    def answer(self, asked):
        self.seen.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def sent(credential, *answers):
    host = Host(*answers)
    async with serving(host.answer) as port:
        transport = HttpTransport(f"http://127.0.0.1:{port}")
        headers = b"x-both: theirs\r\nx-mine: 1\r\n"
        outgoing = Outgoing(b"POST", b"/v1?a=b", headers, b"{}", Timeouts(total_s=5))
        try:
            incoming = await send_signed(transport, credential, outgoing, f"http://127.0.0.1:{port}", {"who": "me"})
            return incoming, await incoming.read(1000), host
        finally:
            await transport.close()


async def test_a_signed_line_replaces_one_of_its_name():
    """Beta flags are merged by whoever signs; twice the same header would be a riddle."""
    credential = Scripted()
    incoming, body, host = await sent(credential, (200, {"ok": 1}))
    assert (incoming.status, body) == (200, b'{"ok": 1}')
    assert host.seen[0].headers["x-both"] == "ours"
    assert host.seen[0].headers["x-mine"] == "1"
    call = credential.calls[0]
    assert (call.method, call.path, call.body, call.client) == ("POST", b"/v1?a=b", b"{}", {"who": "me"})
    assert call.origin.startswith("http://127.0.0.1:")


async def test_a_refusal_is_tried_again_as_often_as_the_credential_may():
    """Each time signed anew; what was refused, and for how long, is told to the credential."""
    credential = Scripted()
    incoming, _, host = await sent(credential, (429, {"e": 1}, {"retry-after": "7"}), (401, {"e": 2}), (200, {}))
    assert incoming.status == 200
    assert [asked.headers["authorization"] for asked in host.seen] == ["Bearer key-1", "Bearer key-2", "Bearer key-3"]
    first, second = credential.refusals
    assert (first.status, first.retry_after_s, first.body) == (429, 7, b'{"e": 1}')
    assert first.signed.startswith(b"authorization: Bearer key-1\r\n")
    assert second.retry_after_s is None
    incoming, _, host = await sent(Scripted(), (401, {}))
    assert (incoming.status, len(host.seen)) == (401, 3)


async def test_what_is_not_the_credentials_to_mend_goes_back_at_once():
    """Its own word, and statuses that it does not want to hear of."""
    for credential, status in ((Scripted(again=False), 401), (Scripted(), 500)):
        incoming, _, host = await sent(credential, (status, {}))
        assert (incoming.status, len(host.seen)) == (status, 1)


async def test_errors_come_back_without_what_was_signed():
    """Head as it was, body freed of the key."""
    incoming, body, _ = await sent(Scripted(again=False), (401, {"error": "key-1 is bad: Bearer key-1"}, {"x-request-id": "r1"}))
    assert body == b'{"error": "*** is bad: ***"}'
    assert incoming.header(b"x-request-id") == b"r1"
    assert isinstance(incoming, Told)
    assert await incoming.next() is None
    incoming.abort()


async def test_no_credential_is_a_failure_of_the_transport_and_a_refusal_is_not():
    """The first moves on to another target, the second is the client's."""
    credential = Scripted(again=failed("cloud", "bot", "revoked"))
    with pytest.raises(TransportError) as raised:
        await sent(credential, (401, {}))
    assert isinstance(raised.value, NoCredential)
    assert raised.value.problem.code == "credential_failed"
    assert raised.value.sent is False
    credential = Scripted(again=refuse("authentication", "send a key"))
    with pytest.raises(Exception, match="send a key") as raised:
        await sent(credential, (401, {}))
    assert not isinstance(raised.value, TransportError)


async def test_an_endless_error_is_not_read():
    """Bounded, as every error is."""
    with pytest.raises(TransportError):
        await sent(Scripted(), (500, "x" * (MAX_REFUSAL_BYTES + 1)))


def test_lines_are_replaced_by_name_in_any_case():
    """And keep their order."""
    assert replaced(b"A: 1\r\nb: 2\r\nC: 3\r\n", b"a: 9\r\n") == b"b: 2\r\nC: 3\r\na: 9\r\n"
    assert replaced(b"", b"a: 9\r\n") == b"a: 9\r\n"


def test_only_secrets_are_scrubbed():
    """A signature's date may be told: it explains a wrong clock."""
    lines = b"x-amz-date: 20260101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 Credential=AK, Signature=abcdef\r\nx-api-key: k-1-2-3\r\n"
    assert scrubbed(b"date 20260101T000000Z Signature=abcdef k-1-2-3", lines) == b"date 20260101T000000Z *** ***"
