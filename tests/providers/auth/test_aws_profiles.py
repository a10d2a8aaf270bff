"""AWS's two files, read as AWS's own tools read them."""

import pytest

from gatewright.providers.auth.aws_profiles import BadProfile, domain, parse, profile_name, read, region_of

CONFIG = """
# mine
[default]
region = eu-central-1
output = json

[profile work]
region = us-west-2
s3 =
    max_concurrent_requests = 20

[profile "two words"]
region = ap-south-1

[sso-session corp]
sso_region = eu-west-1

[services x]
bedrock =
  endpoint_url = http://x
"""


def test_profiles_of_both_files_are_one():
    """The credentials file's word holds where both speak; nested settings are nobody's business here."""
    found = parse(CONFIG, "[work]\naws_access_key_id = AKIA\nregion = us-east-1\n[only]\naws_access_key_id=x\n")
    assert sorted(found.profiles) == ["default", "only", "two words", "work"]
    assert found.named("work")["region"] == "us-east-1"
    assert found.named("work")["aws_access_key_id"] == "AKIA"
    assert found.sso_sessions["corp"] == {"sso_region": "eu-west-1"}


def test_an_unknown_profile_is_told_with_those_that_there_are():
    with pytest.raises(BadProfile, match=r"no AWS profile 'wrok' in a and b; there are: default, two words, work"):
        parse(CONFIG, "", ("a", "b")).named("wrok")
    with pytest.raises(BadProfile, match="neither of AWS's two files"):
        parse("", "").named("x")


@pytest.mark.parametrize(
    ("environ", "chosen", "name"), [({}, "", "default"), ({"AWS_PROFILE": "a"}, "", "a"), ({"AWS_PROFILE": "a"}, "b", "b")]
)
def test_the_profile_in_use(environ, chosen, name):
    assert profile_name(environ, chosen) == name


@pytest.mark.parametrize(
    ("environ", "profile", "region"),
    [
        ({}, "", "eu-central-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "x"}, "", "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "sa-east-1"}, "", "sa-east-1"),
        ({"AWS_PROFILE": "work"}, "", "us-west-2"),
        ({"AWS_REGION": "eu-north-1"}, "work", "us-west-2"),
        ({"AWS_REGION": "eu-north-1"}, "nowhere", "eu-north-1"),
    ],
)
def test_the_region_that_is_named_around_us(environ, profile, region):
    """A configured profile's own region before the environment's; without one the environment's first."""
    assert region_of(environ, parse(CONFIG, ""), profile) == region


def test_files_that_are_not_there_say_nothing(tmp_path):
    assert read({"HOME": str(tmp_path)}).profiles == {}


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "config").write_bytes(b"\xff\xfe")
    with pytest.raises(BadProfile, match=r"config cannot be read: it is not UTF-8"):
        read({"HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / "config")})


def test_domains_of_regions():
    assert [domain(r) for r in ("eu-west-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1")] == [
        "amazonaws.com",
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
    ]
