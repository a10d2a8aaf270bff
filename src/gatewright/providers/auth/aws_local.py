"""AWS credentials that other tools on this machine hold: a command's (`credential_process`), a login's (`aws sso login`).

One rule: only what the operator's own AWS files name is run or read, for a bounded time.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html
"""

import asyncio
import hashlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from gatewright.errors import GatewrightError
from gatewright.providers.auth.aws_metadata import NoKeys, keys_in, when
from gatewright.providers.auth.aws_profiles import Profiles, domain
from gatewright.providers.auth.refreshed import Lease
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.auth.sigv4 import Keys
from gatewright.wire.json import BadJson, decode_lenient, encode

PROCESS_S = 20.0
SSO_S = 10.0


async def process(command: str, profile: str) -> Lease[Keys]:
    """What a profile's command prints. Raises NoKeys."""
    source = f"the credential_process of profile '{profile}'"
    try:
        words = shlex.split(command)
        running = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        raise NoKeys(f"{source} cannot be run: {getattr(error, 'strerror', None) or 'it is no command'}") from None
    try:
        async with asyncio.timeout(PROCESS_S):
            told, _ = await running.communicate()
    except TimeoutError:
        raise NoKeys(f"{source} did not end within {PROCESS_S:g} s") from None
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    if running.returncode:
        raise NoKeys(f"{source} ended with status {running.returncode}; run it by hand to see why")
    return keys_in(told, source)


async def sso(
    profile: str, profiles: Profiles, *, environ: Mapping[str, str], fetch: Fetch, now: Callable[[], float]
) -> Lease[Keys]:
    """Keys for the role that a profile names in IAM Identity Center, by the login that the AWS CLI keeps. Raises NoKeys."""
    settings = profiles.named(profile)
    session = settings.get("sso_session", "")
    if session and session not in profiles.sso_sessions:
        raise NoKeys(f"profile '{profile}' names the sso-session '{session}', which AWS's config file does not have")
    told = {**settings, **profiles.sso_sessions.get(session, {})}
    missing = [key for key in ("sso_start_url", "sso_region", "sso_account_id", "sso_role_name") if not told.get(key)]
    if missing:
        raise NoKeys(f"profile '{profile}' logs in by SSO but lacks {', '.join(missing)}")
    login = f"run `aws sso login --profile {profile}`"
    name = hashlib.sha1((session or told["sso_start_url"]).encode(), usedforsecurity=False).hexdigest()
    try:
        cached = decode_lenient(await asyncio.to_thread(_cached, environ, name))
    except (OSError, BadJson):
        raise NoKeys(f"profile '{profile}' has no SSO login on this machine: {login}") from None
    token = cached.get("accessToken") if isinstance(cached, dict) else None
    if not isinstance(cached, dict) or not isinstance(token, str) or when(cached.get("expiresAt")) <= now():
        raise NoKeys(f"the SSO login of profile '{profile}' has expired: {login}")
    region = told["sso_region"]
    base = environ.get("AWS_ENDPOINT_URL_SSO", "").rstrip("/") or f"https://portal.sso.{region}.{domain(region)}"
    role, account = quote(told["sso_role_name"], safe=""), quote(told["sso_account_id"], safe="")
    url = f"{base}/federation/credentials?role_name={role}&account_id={account}"
    try:
        status, _, body = await fetch("GET", url, {"x-amz-sso_bearer_token": token}, timeout_s=SSO_S)
        answer = decode_lenient(body) if status == 200 else None
    except GatewrightError as error:
        raise NoKeys(f"IAM Identity Center cannot be reached: {error.problem.message}") from None
    except BadJson:
        raise NoKeys("IAM Identity Center answered something that is not JSON") from None
    if status in (401, 403):
        raise NoKeys(f"IAM Identity Center refused the login of profile '{profile}' ({status}): {login}, or ask for the role")
    if not isinstance(answer, dict):
        raise NoKeys(f"IAM Identity Center answered {status} for profile '{profile}'")
    return keys_in(encode(answer.get("roleCredentials")), "IAM Identity Center")


def _cached(environ: Mapping[str, str], name: str) -> bytes:
    home = Path(environ.get("HOME") or "~").expanduser()
    return (home / ".aws" / "sso" / "cache" / f"{name}.json").read_bytes()
