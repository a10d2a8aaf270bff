"""Calls are signed with keys that are renewed; what AWS refuses is told so that the operator can mend it."""

import asyncio
import re

import pytest
from tests.providers.auth.aws_server import NOW, ROLE, SECRET, TOKEN, aws, error, home_folder, world

from gatewright.errors import GatewrightError
from gatewright.providers.auth.aws import AwsCredential
from gatewright.providers.auth.aws_metadata import NoKeys
from gatewright.providers.auth.aws_sources import AwsSettings, AwsSources
from gatewright.providers.auth.refreshed import Lease, Pace
from gatewright.providers.auth.seam import CredentialFailed, Refusal, Unsigned
from gatewright.providers.auth.sigv4 import Keys, Signer
from gatewright.transport.plain_fetch import PlainFetch

__all__ = ["home_folder"]

HEADERS = b"accept: */*\r\ncontent-type: application/json\r\nx-amzn-bedrock-trace: ENABLED\r\nuser-agent: gatewright\r\n"
CALL = Unsigned("POST", "https://bedrock-runtime.eu-west-1.amazonaws.com", b"/model/a%3A0/converse", HEADERS, b"{}")
EXPIRED = b'{"message":"The security token included in the request is expired"}'


class Clock:
    now = NOW

    def __call__(self):
        return self.now


class Fixed:
    """Sources that hand out these keys in turn, the last for ever; an exception is raised."""

    def __init__(self, *leases):
        self.leases = list(leases)
        self.asked = 0

    async def obtain(self):
        self.asked += 1
        lease = self.leases.pop(0) if len(self.leases) > 1 else self.leases[0]
        if isinstance(lease, Exception):
            raise lease
        return lease


def credential(sources, clock=None, settings=None):
    return AwsCredential(
        "bedrock", settings or AwsSettings("eu-west-1", profile="work"), sources, now=clock or Clock(), chance=lambda: 0.5
    )


def lines(headers):
    return dict(line.split(": ", 1) for line in headers.decode().split("\r\n") if line)


async def told(coming):
    with pytest.raises(CredentialFailed) as raised:
        await coming
    message = raised.value.problem.message
    assert SECRET not in message
    assert "provider 'bedrock'" in message
    return message


async def test_a_call_is_signed_with_what_decides_over_its_meaning():
    """Content type and Bedrock's own headers are signed; what a proxy may change is not."""
    added = lines(await credential(Fixed(Lease(Keys("AKIA1", SECRET, TOKEN)))).sign(CALL))
    assert added["x-amz-security-token"] == TOKEN
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amzn-bedrock-trace," in added["authorization"]
    again = Signer("eu-west-1", "bedrock").headers(
        Keys("AKIA1", SECRET, TOKEN),
        method="POST",
        host="bedrock-runtime.eu-west-1.amazonaws.com",
        path="/model/a%3A0/converse",
        headers=[("content-type", "application/json"), ("x-amzn-bedrock-trace", "ENABLED")],
        body=b"{}",
        now=NOW,
    )
    assert added == dict(again)


async def test_an_expired_token_is_replaced_and_the_call_sent_again():
    sources = Fixed(Lease(Keys("AKIA1", SECRET)), Lease(Keys("AKIA2", SECRET)))
    signer = credential(sources)
    first = await signer.sign(CALL)
    assert await signer.refused(CALL, Refusal(403, first, EXPIRED)) is True
    assert "AKIA2" in lines(await signer.sign(CALL))["authorization"]
    assert await signer.refused(CALL, Refusal(403, first, EXPIRED)) is True  # a call that was under way: the keys are new already
    assert sources.asked == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (EXPIRED, "session token has expired, and there is no newer one"),
        (b'{"message":"The security token included in the request is invalid."}', "AWS does not know its access key"),
        (
            b'{"message":"Signature expired: 20260921T141320Z is now earlier than 20260921T151320Z (...)"}',
            r"clock is wrong.*\(20260921T141320Z here, 20260921T151320Z there\); set the clock",
        ),
        (b'{"message":"Signature not yet current: ..."}', "clock is wrong"),
        (b'{"message":"Credential should be scoped to a valid region."}', "does not belong to region eu-west-1"),
        (
            b'{"message":"The request signature we calculated does not match the signature you provided."}',
            "is the secret key the one",
        ),
    ],
)
async def test_what_the_operator_must_mend_is_told_so(body, why):
    """With provider and account, and without the secret."""
    signer = credential(Fixed(Lease(Keys("AKIA1", SECRET))))
    signed = await signer.sign(CALL)
    message = await told(signer.refused(CALL, Refusal(403, signed, body)))
    assert "AWS profile work" in message
    assert re.search(why, message)


async def test_a_model_that_the_account_may_not_use_stays_the_providers_error():
    signer = credential(Fixed(Lease(Keys("AKIA1", SECRET))))
    body = b'{"message":"You don\'t have access to the model with the specified model ID."}'
    assert await signer.refused(CALL, Refusal(403, await signer.sign(CALL), body)) is False


async def test_a_hundred_calls_at_once_cause_one_refresh(home):
    """At the start, and again when the keys run out under load."""
    clock = Clock()
    async with aws() as services:
        services.expires = "2026-09-21T15:00:00Z"
        settings = AwsSettings("eu-west-1")
        signer = credential(AwsSources(settings, world(services, home), PlainFetch({}), clock), clock, settings)
        await asyncio.gather(*(signer.sign(CALL) for _ in range(100)))
        assert services.issued == 1
        clock.now = NOW + 86_400 * 365
        services.expires = "2027-12-01T00:00:00Z"
        await asyncio.gather(*(signer.sign(CALL) for _ in range(100)))
        assert services.issued == 2
        await signer.close()


async def test_keys_are_renewed_before_they_end_while_the_old_ones_sign():
    clock = Clock()
    sources = Fixed(Lease(Keys("AKIA1", SECRET), NOW + 3600), Lease(Keys("AKIA2", SECRET), NOW + 7200))
    signer = credential(sources, clock)
    await signer.sign(CALL)
    clock.now = NOW + 3400
    assert "AKIA1" in lines(await signer.sign(CALL))["authorization"]
    for _ in range(100):
        await asyncio.sleep(0)
    assert "AKIA2" in lines(await signer.sign(CALL))["authorization"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (NoKeys("nothing here"), "nothing here"),
        (Lease(Keys("AKIA1", "s p a c e")), "pasted with quotes or blanks"),
        (Lease(Keys("AKIA1", "line\nbreak")), "pasted with quotes or blanks"),
        (Lease(Keys("AKIA1", SECRET), NOW - 1), "have expired already; is this machine's clock right"),
    ],
)
async def test_keys_that_cannot_sign_are_told_with_the_account(found, why):
    message = await told(credential(Fixed(found)).sign(CALL))
    assert why in message
    assert "AWS profile work" in message


async def test_a_source_that_hangs_is_given_up():
    class Hanging:
        async def obtain(self):
            await asyncio.sleep(60)

    signer = AwsCredential(
        "bedrock",
        AwsSettings("eu-west-1"),
        Hanging(),
        now=Clock(),
        chance=lambda: 0.5,
        pace=Pace(obtain_s=0.05, wait_s=0.1),
    )
    message = await told(signer.sign(CALL))
    assert "the AWS credential chain" in message
    assert "no answer within 0.05 s" in message
    await signer.close()


async def test_what_sts_says_reaches_the_operator_with_the_role(home):
    async with aws() as services:
        services.refuse = (403, error("AccessDenied", "not authorized to perform: sts:AssumeRole"))
        settings = AwsSettings("eu-west-1", keys=Keys("AKIABASE", SECRET), role_arn=ROLE)
        signer = credential(AwsSources(settings, world(services, home), PlainFetch({}), Clock()), settings=settings)
        message = await told(signer.sign(CALL))
        assert f"The credential of role {ROLE} for provider 'bedrock'" in message
        assert "trust policy" in message


async def test_secrets_do_not_come_back_in_an_error():
    signer = credential(Fixed(Lease(Keys("AKIA1", SECRET, TOKEN))))
    await signer.sign(CALL)
    assert signer.scrub(f"you sent {SECRET} and {TOKEN}".encode()) == b"you sent *** and ***"


@pytest.mark.parametrize(
    ("settings", "account"),
    [
        (AwsSettings("r"), "the AWS credential chain"),
        (AwsSettings("r", profile="p"), "AWS profile p"),
        (AwsSettings("r", keys=Keys("AKIAIOSFODNN7EXAMPLE", SECRET)), "access key AKIAIOSF…"),
        (AwsSettings("r", keys=Keys("AKIA", SECRET), role_arn="arn:x"), "role arn:x"),
    ],
)
def test_accounts_have_names(settings, account):
    assert settings.account == account


def test_no_keys_is_not_an_error_that_reaches_a_client():
    """It is always told with provider and account first."""
    assert not issubclass(NoKeys, GatewrightError)
