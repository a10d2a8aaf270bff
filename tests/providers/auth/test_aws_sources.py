"""Where AWS keys come from, in AWS's own order, each source asked as AWS documents it."""

import pytest
from tests.providers.auth.aws_server import ROLE, SECRET, TOKEN, aws, home_folder, obtain, seconds, world, write

from gatewright.providers.auth.aws_metadata import NoKeys
from gatewright.providers.auth.aws_sources import AwsSettings
from gatewright.providers.auth.refreshed import FOREVER
from gatewright.providers.auth.sigv4 import Keys

__all__ = ["home_folder"]


async def test_configured_keys_are_used_as_they_are(home):
    keys = Keys("AKIA1", SECRET, TOKEN)
    lease = await obtain({"HOME": str(home), "AWS_ACCESS_KEY_ID": "other"}, AwsSettings("eu-west-1", keys=keys))
    assert (lease.value, lease.expires_at) == (keys, FOREVER)


async def test_the_environment_comes_before_all_that_is_not_configured(home):
    write(home, credentials=f"[default]\naws_access_key_id=AKIAFILE\naws_secret_access_key={SECRET}\n")
    environ = {"HOME": str(home), "AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    assert (await obtain(environ)).value == Keys("AKIAENV", SECRET, TOKEN)
    timed = await obtain({**environ, "AWS_CREDENTIAL_EXPIRATION": "2026-12-01T00:00:00Z"})
    assert timed.expires_at == seconds("2026-12-01T00:00:00+00:00")


async def test_a_configured_profile_comes_before_the_environment(home):
    """Somebody named it on purpose."""
    write(home, credentials=f"[work]\naws_access_key_id=AKIAFILE\naws_secret_access_key={SECRET}\naws_session_token=t\n")
    environ = {"HOME": str(home), "AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": SECRET}
    assert (await obtain(environ, AwsSettings("eu-west-1", profile="work"))).value == Keys("AKIAFILE", SECRET, "t")


async def test_the_default_profile_and_the_one_of_the_environment(home):
    text = f"[default]\naws_access_key_id=AKIAONE\naws_secret_access_key={SECRET}\n"
    write(home, credentials=text, config=f"[profile two]\naws_access_key_id=AKIATWO\naws_secret_access_key={SECRET}\n")
    assert (await obtain({"HOME": str(home)})).value.access_key_id == "AKIAONE"
    assert (await obtain({"HOME": str(home), "AWS_PROFILE": "two"})).value.access_key_id == "AKIATWO"


async def test_files_may_lie_elsewhere(home, tmp_path):
    other = tmp_path / "keys"
    other.write_text(f"[default]\naws_access_key_id=AKIAELSE\naws_secret_access_key={SECRET}\n")
    environ = {"HOME": str(home), "AWS_SHARED_CREDENTIALS_FILE": str(other)}
    assert (await obtain(environ)).value.access_key_id == "AKIAELSE"


async def test_a_profile_assumes_its_role_with_the_keys_of_another(home):
    """Signed as botocore signs, through two profiles, with everything the profile says."""
    write(
        home,
        config=(
            f"[profile outer]\nrole_arn={ROLE}\nsource_profile=base\nexternal_id=ext\n"
            "role_session_name=gw\nduration_seconds=900\n"
        ),
        credentials=f"[base]\naws_access_key_id=AKIABASE\naws_secret_access_key={SECRET}\n",
    )
    async with aws() as services:
        lease = await obtain(world(services, home, AWS_PROFILE="outer"))
        body = services.asked[0][3].decode()
    assert lease.value == Keys("ASIABEDROCK1", SECRET, TOKEN)
    assert lease.expires_at == seconds("2030-01-01T00:00:00+00:00")
    for part in ("Action=AssumeRole&", "ExternalId=ext", "RoleSessionName=gw", "DurationSeconds=900", "Version=2011-06-15"):
        assert part in body


async def test_a_role_may_be_assumed_with_the_profiles_own_keys(home):
    write(
        home,
        config=f"[profile one]\nrole_arn={ROLE}\nsource_profile=one\n",
        credentials=f"[one]\naws_access_key_id=AKIABASE\naws_secret_access_key={SECRET}\n",
    )
    async with aws() as services:
        assert (await obtain(world(services, home, AWS_PROFILE="one"))).value.access_key_id == "ASIABEDROCK1"


@pytest.mark.parametrize(
    ("source", "keys"), [("Environment", "AKIABASE"), ("Ec2InstanceMetadata", "ASIAIMDS"), ("EcsContainer", "ASIATASK")]
)
async def test_a_role_with_a_source_by_name(home, source, keys):
    write(home, config=f"[profile p]\nrole_arn={ROLE}\ncredential_source={source}\n")
    async with aws() as services:
        environ = world(
            services,
            home,
            AWS_ACCESS_KEY_ID="AKIABASE",
            AWS_SECRET_ACCESS_KEY=SECRET,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{services.url}/v2/credentials/task",
        )
        services.base.access_key = keys
        services.base.token = None if keys == "AKIABASE" else TOKEN
        assert (await obtain(environ, AwsSettings("eu-west-1", profile="p"))).value.access_key_id.startswith("ASIABEDROCK")
        assert f"Credential={keys}/" in services.asked[-1][2]["authorization"]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("[profile p]\nregion=x\n", "names no credentials"),
        ("[profile q]\nregion=x\n", "there is no AWS profile 'p' in .*; there are: q"),
        (f"[profile p]\nrole_arn={ROLE}\nmfa_serial=x\nsource_profile=p\n", "code of an MFA device"),
        (f"[profile p]\nrole_arn={ROLE}\n", "neither a source_profile nor a credential_source"),
        (f"[profile p]\nrole_arn={ROLE}\ncredential_source=Sky\n", "neither a source_profile nor a credential_source"),
        (f"[profile p]\nrole_arn={ROLE}\nsource_profile=p\n", "its own source_profile but has no keys"),
        (
            f"[profile p]\nrole_arn={ROLE}\nsource_profile=q\n[profile q]\nrole_arn={ROLE}\nsource_profile=p\n",
            "p → q → p lead in a circle",
        ),
        (f"[profile p]\nrole_arn={ROLE}\nsource_profile=none\n", "no AWS profile 'none'"),
        (
            f"[profile p]\nrole_arn={ROLE}\nrole_session_name=a b\ncredential_source=Environment\n",
            "'a b' is no session name",
        ),
        ("[profile p]\naws_access_key_id=x\n", "no aws_secret_access_key"),
        ("[profile p]\nlogin_session=x\n", "`aws login`, which is not read here"),
        ("[profile p]\nsso_session=corp\n", "sso-session 'corp', which AWS's config file does not have"),
        ("[profile p]\nsso_start_url=x\n", "lacks sso_region, sso_account_id, sso_role_name"),
        ("[profile p\n", "config file cannot be read at line 1"),
        ("x=1\n", "config file cannot be read at line 1"),
    ],
)
async def test_a_named_profile_that_cannot_be_used_is_an_error_and_not_passed_over(home, config, why):
    """The instance's role would be somebody else's."""
    write(home, config=config)
    environ = {"HOME": str(home), "AWS_ACCESS_KEY_ID": "AKIABASE", "AWS_SECRET_ACCESS_KEY": SECRET}
    with pytest.raises(NoKeys, match=why) as raised:
        await obtain(environ, AwsSettings("eu-west-1", profile="p"))
    assert SECRET not in str(raised.value)


async def test_half_a_key_in_the_environment_is_an_error(home):
    with pytest.raises(NoKeys, match="AWS_SECRET_ACCESS_KEY is not"):
        await obtain({"HOME": str(home), "AWS_ACCESS_KEY_ID": "AKIA"})
