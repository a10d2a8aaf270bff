"""AWS credentials that the machine hands out: containers (ECS, EKS pod identity) and instances (IMDSv2).

One rule: a machine that has no such service must not hang: each question is short, and asked once.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
"""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gatewright.errors import GatewrightError
from gatewright.providers.auth.refreshed import FOREVER, Lease
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.auth.sigv4 import Keys
from gatewright.wire.json import BadJson, decode_lenient

IMDS = "http://169.254.169.254"
IMDS_V6 = "http://[fd00:ec2::254]"
ECS = "http://169.254.170.2"
_CONTAINER_HOSTS = frozenset({"localhost", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"})
"""Beside loopback, the only hosts that a container's address may name without TLS: the token must not go elsewhere."""
IMDS_S = 1.0
"""The instance's metadata service is one hop away, or is not there at all."""
CONTAINER_S = 2.0
_SESSION_S = "21600"


class NoKeys(Exception):
    """This source gives no keys. The message says which source, why, and what to do; never a secret."""


def when(text: object) -> float:
    """Seconds since 1970 of an expiration as AWS writes it; for ever where it writes none."""
    if isinstance(text, (int, float)):
        return text / 1000  # AWS SSO counts milliseconds
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return FOREVER
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def keys_in(body: bytes, source: str) -> Lease[Keys]:
    """The keys in a JSON answer, whatever its capitals. Raises NoKeys."""
    try:
        document = decode_lenient(body)
    except BadJson:
        raise NoKeys(f"{source} answered something that is not JSON") from None
    if not isinstance(document, dict):
        raise NoKeys(f"{source} answered JSON of another shape")
    told = {name.lower(): value for name, value in document.items()}
    if told.get("code", "Success") != "Success":
        raise NoKeys(f"{source} answered {str(told['code'])[:80]!r}")
    key, secret = told.get("accesskeyid"), told.get("secretaccesskey")
    if not isinstance(key, str) or not isinstance(secret, str) or not key or not secret:
        raise NoKeys(f"{source} answered without AccessKeyId and SecretAccessKey")
    token = told.get("token") or told.get("sessiontoken") or ""
    return Lease(Keys(key, secret, str(token)), when(told.get("expiration")))


async def container(environ: Mapping[str, str], fetch: Fetch) -> Lease[Keys]:
    """Keys of the task or pod. Raises NoKeys."""
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = ECS + relative if relative else environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    source = "the container's credential service"
    _check_container(url)
    token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if file := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = await read_token(file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if "\r" in token or "\n" in token:
        raise NoKeys(f"the token for {source} has a line break in it")
    headers = {"accept": "application/json"} | ({"authorization": token} if token else {})
    status, _, body = await _asked(fetch, ("GET", url), headers, CONTAINER_S, source)
    if status != 200:
        raise NoKeys(f"{source} ({urlsplit(url).netloc}) answered {status}; has the task a role?")
    return keys_in(body, source)


def _check_container(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if parts.scheme != "https" and not (parts.scheme == "http" and (loopback or host in _CONTAINER_HOSTS)):
        raise NoKeys(f"AWS_CONTAINER_CREDENTIALS_FULL_URI names {host!r}: only https, loopback and AWS's own addresses are asked")


async def read_token(file: str, variable: str) -> str:
    """A token's file, read anew each time: it rotates. Raises NoKeys."""
    try:
        return (await asyncio.to_thread(Path(file).read_text, "utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise NoKeys(f"the file that {variable} names ({file}) cannot be read: {why}") from None


def imds_base(environ: Mapping[str, str]) -> str:
    """Where the instance's metadata is."""
    named = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "").rstrip("/")
    v6 = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6"
    return named or (IMDS_V6 if v6 else IMDS)


async def instance(environ: Mapping[str, str], fetch: Fetch) -> Lease[Keys]:
    """Keys of the instance's role, by IMDSv2 alone: version 1 answers whoever can make this machine send a GET. Raises NoKeys."""
    source = "the instance's metadata service"
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise NoKeys(f"{source} is switched off by AWS_EC2_METADATA_DISABLED")
    base = imds_base(environ)
    try:
        seconds = min(10.0, max(0.1, float(environ.get("AWS_METADATA_SERVICE_TIMEOUT") or IMDS_S)))
    except ValueError:
        seconds = IMDS_S
    asked = {"x-aws-ec2-metadata-token-ttl-seconds": _SESSION_S}
    status, _, token = await _asked(fetch, ("PUT", f"{base}/latest/api/token"), asked, seconds, source)
    if status != 200:
        raise NoKeys(f"{source} gave no token ({status}); in a container its hop limit must be 2")
    headers = {"x-aws-ec2-metadata-token": token.decode("latin-1").strip()}
    roles = f"{base}/latest/meta-data/iam/security-credentials/"
    status, _, body = await _asked(fetch, ("GET", roles), headers, seconds, source)
    role = body.decode("utf-8", "replace").strip().partition("\n")[0].strip()
    if status != 200 or not role:
        raise NoKeys(f"{source} knows of no role; has the instance a profile?")
    status, _, body = await _asked(fetch, ("GET", roles + role), headers, seconds, source)
    if status != 200:
        raise NoKeys(f"{source} answered {status} for its role")
    return keys_in(body, source)


async def _asked(
    fetch: Fetch, call: tuple[str, str], headers: Mapping[str, str], timeout_s: float, source: str
) -> tuple[int, Mapping[str, str], bytes]:
    method, url = call
    try:
        return await fetch(method, url, headers, timeout_s=timeout_s)
    except GatewrightError as error:
        raise NoKeys(f"{source} cannot be reached: {error.problem.message}") from None
