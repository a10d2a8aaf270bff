"""AWS credentials and regions: what a provider's section says of them, else AWS's own files and variables.

One rule: only what can be known at the start is decided here; keys that others hand out are asked for when they are needed.
"""

import re
from collections.abc import Iterable, Mapping

from gatewright.config.credentials import AwsConfig
from gatewright.config.references import Desk
from gatewright.config.schema import ProviderSection
from gatewright.config.secrets import Secret
from gatewright.config.suggest import hint
from gatewright.config.tree import KeyPath
from gatewright.providers.auth.aws_profiles import REGIONS, BadProfile, Profiles, read, region_of

AWS_KEYS = (
    "access_key_id",
    "secret_access_key",
    "session_token",
    "profile",
    "role_arn",
    "external_id",
    "role_session_name",
)
"""Settings that are read with `auth: aws` only."""

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}")
_IN_HOST = re.compile(r"https?://[a-z-]+[.-](?:fips\.)?(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d{1,2})\.(?:amazonaws|api)\.")


def aws_region(section: ProviderSection, desk: Desk) -> str:
    """The region that AWS's own files name, where neither the section nor a variable does; empty when they do not."""
    try:
        return region_of({}, read(desk.environ), section.profile or desk.environ.get("AWS_PROFILE", ""))
    except BadProfile:
        return ""  # told by `resolve_aws`, which needs the profile too


def resolve_aws(
    section: ProviderSection, settings: Mapping[str, str], bases: Iterable[str], path: KeyPath, desk: Desk
) -> AwsConfig | None:
    """None: a problem is at the desk."""
    problems = len(desk.problems)
    region = _region(section, settings, bases, path, desk)
    keys = {name: _secret(section, name, path, desk) for name in ("access_key_id", "secret_access_key", "session_token")}
    for name, other in (("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")):
        if getattr(section, name) is not None and getattr(section, other) is None:
            desk.wrong((*path, name), f'missing key "{other}": one signs nothing without the other', key=True)
    if section.session_token is not None and section.access_key_id is None:
        desk.wrong((*path, "session_token"), 'belongs to an "access_key_id", which is missing', key=True)
    profile = _text(section, "profile", path, desk)
    if profile:
        if section.access_key_id is not None:
            desk.wrong((*path, "profile"), 'a profile beside "access_key_id"; one of them', key=True)
        _check_profile(profile, path, desk)
    role_arn = _text(section, "role_arn", path, desk)
    if role_arn and re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", role_arn) is None:
        desk.wrong((*path, "role_arn"), f'expected "arn:aws:iam::<12 digits>:role/<name>", got "{role_arn[:100]}"')
    for name in ("external_id", "role_session_name"):
        if getattr(section, name) is not None and not role_arn:
            desk.wrong((*path, name), 'belongs to a "role_arn", which is missing', key=True)
    if len(desk.problems) > problems:
        return None
    return AwsConfig(
        region=region,
        access_key_id=keys["access_key_id"],
        secret_access_key=keys["secret_access_key"],
        session_token=keys["session_token"],
        profile=profile,
        role_arn=role_arn,
        external_id=_text(section, "external_id", path, desk),
        role_session_name=_text(section, "role_session_name", path, desk),
    )


def _region(section: ProviderSection, settings: Mapping[str, str], bases: Iterable[str], path: KeyPath, desk: Desk) -> str:
    """What is signed for: the section's word, else what the host's own name tells, else what the surroundings say."""
    places = tuple(bases)
    of_host = next((found["region"] for base in places if (found := _IN_HOST.match(base))), "")
    region = settings.get("region", "") if section.region is not None or not of_host else of_host
    if not region and not places:
        return ""  # told already: without a region there is no base URL either
    if not region:
        desk.wrong(path, 'missing key "region" (or set AWS_REGION): a signature is for one region', key=True)
    elif of_host and region != of_host:
        why = f'"{region}", but calls go to a host of {of_host}, which refuses signatures for any other'
        desk.wrong((*path, "region"), why)
    return region


def check_region(region: str, path: KeyPath, desk: Desk) -> None:
    """A slip in it would show as a host that nobody knows, at the first call."""
    if _REGION.fullmatch(region) is None:
        desk.wrong(path, f'"{region}" is no AWS region (such as us-east-1){hint(region, REGIONS)}')
    elif region not in REGIONS:
        desk.warn(path, f'"{region}" is no AWS region that is known here{hint(region, REGIONS)}')


def _check_profile(profile: str, path: KeyPath, desk: Desk) -> None:
    try:
        profiles: Profiles = read(desk.environ)
        profiles.named(profile)
    except BadProfile as error:
        desk.wrong((*path, "profile"), str(error))


def _secret(section: ProviderSection, name: str, path: KeyPath, desk: Desk) -> Secret | None:
    written: Secret | None = getattr(section, name)
    if written is None:
        return None
    if name == "access_key_id":  # an account's name rather than a secret: a literal is nothing to warn about
        text = desk.text(written.reveal(), (*path, name))
        return Secret(text) if text else None
    return desk.secret(written, (*path, name))


def _text(section: ProviderSection, name: str, path: KeyPath, desk: Desk) -> str:
    written: str | None = getattr(section, name)
    return (desk.text(written, (*path, name)) or "").strip() if written is not None else ""
