"""Keys that containers and instances hand out: asked as AWS documents it, and never for long."""

import time
from pathlib import Path

import pytest
from tests.providers.auth.aws_server import ROLE, SECRET, TOKEN, aws, home_folder, obtain, world

from gatewright.providers.auth.aws_metadata import NoKeys, keys_in, when
from gatewright.providers.auth.refreshed import FOREVER
from gatewright.providers.auth.sigv4 import Keys

__all__ = ["home_folder"]


async def test_a_containers_keys(home):
    async with aws() as services:
        environ = world(services, home, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{services.url}/v2/credentials/task")
        assert (await obtain(environ)).value.access_key_id == "ASIATASK"
        (home / "task").write_text("Basic task-token\n")
        tokened = environ | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(home / "task")}
        assert (await obtain(tokened)).value.access_key_id == "ASIATASK"
        assert services.asked[-1][2]["authorization"] == "Basic task-token"
        with pytest.raises(NoKeys, match="answered 401; has the task a role"):
            await obtain(environ | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "wrong"})


@pytest.mark.parametrize("url", ["http://example.com/keys", "http://10.0.0.1/keys", "ftp://localhost/", "http:///x"])
async def test_a_containers_address_cannot_lead_elsewhere(home, url):
    """Whoever sets one variable must not get the task's token."""
    with pytest.raises(NoKeys, match="only https, loopback and AWS's own addresses"):
        await obtain({"HOME": str(home), "AWS_CONTAINER_CREDENTIALS_FULL_URI": url})


async def test_an_instances_keys_by_the_second_version_of_its_service(home):
    async with aws() as services:
        lease = await obtain(world(services, home))
        assert lease.value == Keys("ASIAIMDS", SECRET, TOKEN)
        assert [(method, path) for method, path, *_ in services.asked] == [
            ("PUT", "/latest/api/token"),
            ("GET", "/latest/meta-data/iam/security-credentials/"),
            ("GET", "/latest/meta-data/iam/security-credentials/gateway-role"),
        ]


async def test_a_metadata_service_that_hangs_is_given_up_soon(home):
    """A laptop has none: the address leads nowhere."""
    async with aws() as services:
        services.hangs = True
        began = time.monotonic()
        with pytest.raises(NoKeys, match=r"no AWS credentials are to be found.*cannot be reached"):
            await obtain(world(services, home, AWS_METADATA_SERVICE_TIMEOUT="0.3"))
        assert time.monotonic() - began < 2


async def test_a_metadata_service_that_is_switched_off_is_not_asked(home):
    async with aws() as services:
        with pytest.raises(NoKeys, match="switched off by AWS_EC2_METADATA_DISABLED"):
            await obtain(world(services, home, AWS_EC2_METADATA_DISABLED="true"))
        assert services.asked == []


async def test_an_instance_without_a_role_says_so(home):
    async with aws() as services:
        services.role = ""
        with pytest.raises(NoKeys, match="knows of no role"):
            await obtain(world(services, home))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "another shape"),
        (b'{"Code":"AssumeRoleUnauthorizedAccess"}', "AssumeRoleUnauthorizedAccess"),
        (b'{"AccessKeyId":"a"}', "without AccessKeyId and SecretAccessKey"),
        (b'{"AccessKeyId":1,"SecretAccessKey":2}', "without AccessKeyId and SecretAccessKey"),
    ],
)
def test_answers_that_are_no_keys(body, why):
    with pytest.raises(NoKeys, match=f"a service answered.*{why}"):
        keys_in(body, "a service")


def test_expirations_as_aws_writes_them():
    assert when("2030-01-01T00:00:00Z") == when("2030-01-01T00:00:00") == when(1893456000000) == 1893456000.0
    assert when(None) == when("soon") == FOREVER


async def test_a_token_file_that_cannot_be_read_is_named(home):
    environ = {"HOME": str(home), "AWS_WEB_IDENTITY_TOKEN_FILE": str(Path(home) / "none"), "AWS_ROLE_ARN": ROLE}
    with pytest.raises(NoKeys, match=r"the file that AWS_WEB_IDENTITY_TOKEN_FILE names .*/none.* cannot be read: No such file"):
        await obtain(environ)
