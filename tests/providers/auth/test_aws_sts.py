"""Roles: asked for as AWS documents it, refusals told with the role."""

import pytest
from tests.providers.auth.aws_server import ROLE, SECRET, WEB_TOKEN, aws, error, home_folder, obtain, world

from gatewright.providers.auth.aws_metadata import NoKeys
from gatewright.providers.auth.aws_sources import AwsSettings

__all__ = ["home_folder"]


async def test_a_configured_role_is_assumed_on_top_of_whatever_there_is(home):
    async with aws() as services:
        environ = world(services, home, AWS_ACCESS_KEY_ID="AKIABASE", AWS_SECRET_ACCESS_KEY=SECRET)
        lease = await obtain(environ, AwsSettings("eu-west-1", role_arn=ROLE))
    assert lease.value.access_key_id == "ASIABEDROCK1"


async def test_web_identity_shows_its_token_and_signs_nothing(home):
    """The token's file is read at each refresh: its issuer rewrites it."""
    (home / "token").write_text(WEB_TOKEN + "\n")
    async with aws() as services:
        environ = world(services, home, AWS_WEB_IDENTITY_TOKEN_FILE=str(home / "token"), AWS_ROLE_ARN=ROLE)
        assert (await obtain(environ)).value.access_key_id == "ASIABEDROCK1"
        assert "authorization" not in services.asked[0][2]
        (home / "token").write_text("old")
        with pytest.raises(NoKeys, match=r"answered 400 ExpiredTokenException: Token expired \(the identity token has expired"):
            await obtain(environ)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((403, error("AccessDenied", "User is not authorized")), r"403 AccessDenied: User.*trust policy"),
        ((200, b"<html>Sign in</html>"), "answered without keys; is it AWS's Security Token Service"),
        ((502, b"<html>Bad gateway</html>"), "answered 502, and not with an error of AWS's"),
    ],
)
async def test_what_sts_refuses_is_told_with_the_role(home, answer, why):
    async with aws() as services:
        services.refuse = answer
        environ = world(services, home, AWS_ACCESS_KEY_ID="AKIABASE", AWS_SECRET_ACCESS_KEY=SECRET)
        with pytest.raises(NoKeys, match=f"AssumeRole of {ROLE}: 127.0.0.1:.*{why}"):
            await obtain(environ, AwsSettings("eu-west-1", role_arn=ROLE))
