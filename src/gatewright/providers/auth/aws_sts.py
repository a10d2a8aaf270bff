"""AWS STS: keys for a role, by other keys (AssumeRole) or by a token (AssumeRoleWithWebIdentity).

One rule: the answer is read by its four words alone; whatever else a server says is not believed, and never shown whole.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

import re
from collections.abc import Callable, Mapping
from html import unescape
from urllib.parse import urlencode, urlsplit

import msgspec

from gatewright.errors import GatewrightError
from gatewright.providers.auth.aws_metadata import NoKeys, when
from gatewright.providers.auth.aws_profiles import domain
from gatewright.providers.auth.refreshed import Lease
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.auth.sigv4 import Keys, Signer

VERSION = "2011-06-15"
FORM = "application/x-www-form-urlencoded"
TIMEOUT_S = 10.0
SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_WORD = {
    name: re.compile(rf"<{name}>\s*([^<]*?)\s*</{name}>".encode())
    for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Code", "Message")
}


class Role(msgspec.Struct, frozen=True):
    """What is to be assumed."""

    arn: str
    session_name: str = ""
    """Shows in the account's trail. Empty: `gatewright`."""
    external_id: str = ""
    duration_s: int = 0
    """0: as the role has it."""


def endpoint(environ: Mapping[str, str], region: str) -> str:
    """STS in the region; a configured one wins."""
    named = environ.get("AWS_ENDPOINT_URL_STS") or environ.get("AWS_ENDPOINT_URL")
    return named.rstrip("/") + "/" if named else f"https://sts.{region}.{domain(region)}/"


async def assume(role: Role, base: Keys, *, url: str, region: str, fetch: Fetch, now: Callable[[], float]) -> Lease[Keys]:
    """Keys for `role`, asked for with `base`. Raises NoKeys."""
    body = _form("AssumeRole", role)
    parts = urlsplit(url)
    signed = Signer(region, "sts").headers(
        base, method="POST", host=parts.netloc, path=parts.path, headers=(("content-type", FORM),), body=body, now=now()
    )
    return await _ask(url, dict(signed), body, fetch, f"AssumeRole of {role.arn}")


async def assume_with_token(role: Role, token: str, *, url: str, fetch: Fetch) -> Lease[Keys]:
    """Keys for `role`, asked for with an identity provider's token. Raises NoKeys."""
    body = _form("AssumeRoleWithWebIdentity", role, WebIdentityToken=token)
    return await _ask(url, {}, body, fetch, f"AssumeRoleWithWebIdentity of {role.arn}")


def _form(action: str, role: Role, **more: str) -> bytes:
    fields = {"Action": action, "Version": VERSION, "RoleArn": role.arn, "RoleSessionName": role.session_name or "gatewright"}
    if role.external_id:
        fields["ExternalId"] = role.external_id
    if role.duration_s:
        fields["DurationSeconds"] = str(role.duration_s)
    return urlencode(fields | more).encode()


async def _ask(url: str, headers: Mapping[str, str], body: bytes, fetch: Fetch, what: str) -> Lease[Keys]:
    where = urlsplit(url).netloc
    try:
        status, _, answer = await fetch("POST", url, {**headers, "content-type": FORM}, body, timeout_s=TIMEOUT_S)
    except GatewrightError as error:
        raise NoKeys(f"{what}: {where} cannot be reached: {error.problem.message}") from None
    if status != 200:
        raise NoKeys(f"{what}: {where} answered {status}{_why(answer)}")
    words = {name: _word(answer, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")}
    if not (words["AccessKeyId"] and words["SecretAccessKey"]):
        raise NoKeys(f"{what}: {where} answered without keys; is it AWS's Security Token Service?")
    keys = Keys(words["AccessKeyId"], words["SecretAccessKey"], words["SessionToken"])
    return Lease(keys, when(words["Expiration"]))


def _why(answer: bytes) -> str:
    """What an error document says: its code, and what to do about the usual ones."""
    code = _word(answer, "Code")
    if not code:
        return ", and not with an error of AWS's"
    hint = _HINTS.get(code, "")
    return f" {code[:80]}: {_word(answer, 'Message')[:300]}{hint}"


_HINTS: Mapping[str, str] = {
    "AccessDenied": " (does the role's trust policy name the caller?)",
    "ExpiredTokenException": " (the identity token has expired: is its file renewed?)",
    "ExpiredToken": " (the base credentials have expired: renew them)",
    "InvalidIdentityToken": " (is the token's issuer registered with the account as an identity provider?)",
    "SignatureDoesNotMatch": " (is the secret key the one of this access key, and this machine's clock right?)",
    "RequestExpired": " (this machine's clock is wrong)",
}


def _word(answer: bytes, name: str) -> str:
    found = _WORD[name].search(answer)
    return unescape(found[1].decode("utf-8", "replace")) if found else ""
