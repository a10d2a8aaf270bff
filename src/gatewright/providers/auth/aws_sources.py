"""Where AWS keys come from: what is configured, else the environment, profiles, the container, the instance, in AWS's order.

    configured keys | configured profile | environment | web identity | profile | container | instance   ─▶ role_arn, if any

One rule: what somebody named on purpose is used or fails; only what nobody named is passed over.
https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gatewright.providers.auth import aws_metadata
from gatewright.providers.auth.aws_local import process, sso
from gatewright.providers.auth.aws_metadata import NoKeys, read_token, when
from gatewright.providers.auth.aws_profiles import BadProfile, Profiles, Settings, profile_name, read
from gatewright.providers.auth.aws_sts import SESSION_NAME, Role, assume, assume_with_token, endpoint
from gatewright.providers.auth.refreshed import FOREVER, Lease
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.auth.sigv4 import Keys

MOST_PROFILES = 8
"""In one chain of `source_profile`."""


class AwsSettings(msgspec.Struct, frozen=True):
    """What the operator configured. Empty: as the surroundings have it."""

    region: str
    keys: Keys | None = None
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    session_name: str = ""

    @property
    def account(self) -> str:
        """Whose keys, in a word for messages."""
        if self.role_arn:
            return f"role {self.role_arn}"
        if self.keys is not None:
            return f"access key {self.keys.access_key_id[:8]}…"
        return f"AWS profile {self.profile}" if self.profile else "the AWS credential chain"


class AwsSources:
    """Obtains keys. `environ`, `fetch` and `now` (seconds since 1970) are the world around it."""

    def __init__(self, settings: AwsSettings, environ: Mapping[str, str], fetch: Fetch, now: Callable[[], float]) -> None:
        self._settings = settings
        self._environ = environ
        self._fetch = fetch
        self._now = now

    async def obtain(self) -> Lease[Keys]:
        """Keys that serve now. Files are read anew each time: other tools renew them. Raises NoKeys."""
        base = await self._base()
        settings = self._settings
        if not settings.role_arn:
            return base
        role = Role(settings.role_arn, settings.session_name, settings.external_id)
        return await self._assume(role, base.value)

    async def _base(self) -> Lease[Keys]:
        settings, environ = self._settings, self._environ
        if settings.keys is not None:
            return Lease(settings.keys)
        if not settings.profile and (found := self._from_environment()) is not None:
            return found
        if not settings.profile and environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environ.get("AWS_ROLE_ARN"):
            role = Role(environ["AWS_ROLE_ARN"], environ.get("AWS_ROLE_SESSION_NAME", ""))
            return await self._by_token(role, environ["AWS_WEB_IDENTITY_TOKEN_FILE"], "AWS_WEB_IDENTITY_TOKEN_FILE")
        try:
            profiles = await asyncio.to_thread(read, environ)
            name = profile_name(environ, settings.profile)
            named = bool(settings.profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE"))
            if named or gives_keys(profiles.profiles.get(name, {})):
                return await self._profile(name, profiles, ())
        except BadProfile as error:
            raise NoKeys(str(error)) from None
        if environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            return await aws_metadata.container(environ, self._fetch)
        try:
            return await aws_metadata.instance(environ, self._fetch)
        except NoKeys as error:
            raise NoKeys(
                "no AWS credentials are to be found: neither AWS_ACCESS_KEY_ID nor AWS_WEB_IDENTITY_TOKEN_FILE is set, "
                f"the profile '{name}' has none, no container offers any, and {error}"
            ) from None

    def _from_environment(self) -> Lease[Keys] | None:
        environ = self._environ
        key, secret = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not key:
            return None
        if not secret:
            raise NoKeys("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not")
        token = environ.get("AWS_SESSION_TOKEN") or environ.get("AWS_SECURITY_TOKEN") or ""
        expires = environ.get("AWS_CREDENTIAL_EXPIRATION")
        return Lease(Keys(key, secret, token), when(expires) if expires else FOREVER)

    async def _profile(self, name: str, profiles: Profiles, before: tuple[str, ...]) -> Lease[Keys]:
        """Keys that a profile stands for. Raises NoKeys, BadProfile."""
        settings = profiles.named(name)
        if "role_arn" in settings:
            return await self._profile_role(name, settings, profiles, (*before, name))
        if "sso_session" in settings or "sso_start_url" in settings:
            return await sso(name, profiles, environ=self._environ, fetch=self._fetch, now=self._now)
        if found := static_keys(name, settings):
            return found
        if "credential_process" in settings:
            return await process(settings["credential_process"], name)
        if "login_session" in settings:
            raise NoKeys(f"profile '{name}' logs in by `aws login`, which is not read here; name a role or keys")
        raise NoKeys(f"the AWS profile '{name}' names no credentials")

    async def _profile_role(self, name: str, settings: Settings, profiles: Profiles, before: tuple[str, ...]) -> Lease[Keys]:
        if settings.get("mfa_serial"):
            raise NoKeys(f"profile '{name}' wants a code of an MFA device for its role: a gateway cannot type one")
        duration = settings.get("duration_seconds", "0")
        role = Role(
            settings["role_arn"],
            settings.get("role_session_name", ""),
            settings.get("external_id", ""),
            int(duration) if duration.isdecimal() else 0,
        )
        if file := settings.get("web_identity_token_file"):
            return await self._by_token(role, file, f"web_identity_token_file of profile '{name}'")
        source = settings.get("source_profile")
        if source is None:
            return await self._assume(role, (await self._by_name(settings.get("credential_source", ""), name)).value)
        if source == name:  # its own keys are the base
            base = static_keys(name, settings)
            if base is None:
                raise NoKeys(f"profile '{name}' is its own source_profile but has no keys")
        elif source in before or len(before) >= MOST_PROFILES:
            raise NoKeys(f"the profiles {' → '.join((*before, source))} lead in a circle by source_profile")
        else:
            base = await self._profile(source, profiles, before)
        return await self._assume(role, base.value)

    async def _by_name(self, source: str, profile: str) -> Lease[Keys]:
        """Keys of a `credential_source`."""
        match source:
            case "Environment":
                found = self._from_environment()
                if found is None:
                    raise NoKeys(f"profile '{profile}' takes its keys from the environment, where AWS_ACCESS_KEY_ID is not set")
                return found
            case "EcsContainer":
                if not any(name.startswith("AWS_CONTAINER_CREDENTIALS_") for name in self._environ):
                    raise NoKeys(f"profile '{profile}' takes its keys from the container, which offers none")
                return await aws_metadata.container(self._environ, self._fetch)
            case "Ec2InstanceMetadata":
                return await aws_metadata.instance(self._environ, self._fetch)
            case _:
                raise NoKeys(
                    f"profile '{profile}' has a role_arn, but neither a source_profile nor a credential_source "
                    "(Environment, EcsContainer or Ec2InstanceMetadata) nor a web_identity_token_file"
                )

    def _assume(self, role: Role, base: Keys) -> Awaitable[Lease[Keys]]:
        region = self._settings.region
        url = endpoint(self._environ, region)
        return assume(_checked(role), base, url=url, region=region, fetch=self._fetch, now=self._now)

    async def _by_token(self, role: Role, file: str, variable: str) -> Lease[Keys]:
        token = await read_token(file, variable)
        url = endpoint(self._environ, self._settings.region)
        return await assume_with_token(_checked(role), token, url=url, fetch=self._fetch)


def _checked(role: Role) -> Role:
    if role.session_name and SESSION_NAME.fullmatch(role.session_name) is None:
        raise NoKeys(f"{role.session_name[:64]!r} is no session name of a role: 2 to 64 letters, digits or any of =,.@-_+")
    return role


def gives_keys(settings: Settings) -> bool:
    """Whether a profile says where keys come from: one that only names a region does not."""
    ways = ("role_arn", "sso_session", "sso_start_url", "aws_access_key_id", "credential_process", "login_session")
    return any(way in settings for way in ways)


def static_keys(name: str, settings: Settings) -> Lease[Keys] | None:
    """The keys that stand in a profile. Raises NoKeys for half of them."""
    key, secret = settings.get("aws_access_key_id"), settings.get("aws_secret_access_key")
    if key is None:
        return None
    if secret is None:
        raise NoKeys(f"profile '{name}' has an aws_access_key_id but no aws_secret_access_key")
    return Lease(Keys(key, secret, settings.get("aws_session_token", "")))
