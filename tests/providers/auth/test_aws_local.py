"""Keys that a command prints or a login on this machine gives."""

import hashlib
import json
import sys

import pytest
from tests.providers.auth.aws_server import SECRET, aws, home_folder, obtain, seconds, world, write

from gatewright.providers.auth.aws_metadata import NoKeys
from gatewright.providers.auth.sigv4 import Keys

__all__ = ["home_folder"]


async def test_a_commands_keys(home):
    told = {"Version": 1, "AccessKeyId": "AKIAPROC", "SecretAccessKey": SECRET, "Expiration": "2031-01-01T00:00:00Z"}
    script = home / "keys.py"
    script.write_text(f"print({json.dumps(json.dumps(told))})")
    write(home, config=f"[profile p]\ncredential_process = {sys.executable} '{script}'\n")
    lease = await obtain({"HOME": str(home), "AWS_PROFILE": "p"})
    assert lease.value == Keys("AKIAPROC", SECRET)
    assert lease.expires_at == seconds("2031-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/no/such/command", "cannot be run: No such file"),
        ("'unclosed", "cannot be run: it is no command"),
        (f"{sys.executable} -c 'import sys; sys.exit(3)'", "ended with status 3"),
        (f"{sys.executable} -c 'print(1)'", "answered JSON of another shape"),
    ],
)
async def test_a_command_that_fails_says_how(home, command, why):
    write(home, config=f"[profile p]\ncredential_process = {command}\n")
    with pytest.raises(NoKeys, match=f"credential_process of profile 'p'.*{why}"):
        await obtain({"HOME": str(home), "AWS_PROFILE": "p"})


SSO = """
[profile p]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Dev
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
"""


async def test_the_login_that_the_command_line_keeps(home):
    """Its cache is named after the session, by SHA-1."""
    write(home, config=SSO)
    cache = home / ".aws" / "sso" / "cache" / f"{hashlib.sha1(b'corp').hexdigest()}.json"
    cache.write_text(json.dumps({"accessToken": "sso-token", "expiresAt": "2030-01-01T00:00:00Z"}))
    async with aws() as services:
        lease = await obtain(world(services, home, AWS_PROFILE="p"))
        assert (lease.value.access_key_id, lease.expires_at) == ("ASIASSO", 1893456000.0)
        cache.write_text(json.dumps({"accessToken": "sso-token", "expiresAt": "2020-01-01T00:00:00Z"}))
        with pytest.raises(NoKeys, match="has expired: run `aws sso login --profile p`"):
            await obtain(world(services, home, AWS_PROFILE="p"))
        cache.unlink()
        with pytest.raises(NoKeys, match="no SSO login on this machine"):
            await obtain(world(services, home, AWS_PROFILE="p"))
