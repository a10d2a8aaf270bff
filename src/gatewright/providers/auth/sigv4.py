"""AWS Signature Version 4: the header that makes a call its account's.

One rule: pure. The clock is an argument, and what is signed is what stands on the wire: the path is taken as it was encoded
there and encoded once more, as every AWS service but S3 wants it.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import functools
import hashlib
import hmac
import time
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

ALGORITHM = "AWS4-HMAC-SHA256"

UNSIGNED = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
"""Headers that a proxy between may change, and the signature itself."""


class Keys(msgspec.Struct, frozen=True):
    """What signs: an access key, with a session token where it is a temporary one."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Keys({self.access_key_id[:4]}…)"


class Signer:
    """Signs calls to one service in one region. Keeps the day's signing key: four hashes less a call."""

    __slots__ = ("_derived", "_for", "region", "service")

    def __init__(self, region: str, service: str) -> None:
        self.region = region
        self.service = service
        self._for: tuple[str, str] = ("", "")
        self._derived = b""

    def headers(
        self,
        keys: Keys,
        *,
        method: str,
        host: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        now: float,
    ) -> tuple[tuple[str, str], ...]:
        """The headers to add to the call.

        `path`: with the query, as on the wire. `headers`: those to be signed beside host and date. `now`: seconds since 1970.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        added = [("x-amz-date", stamp)]
        if keys.session_token:
            added.append(("x-amz-security-token", keys.session_token))
        signed = [(name, value) for name, value in headers if name.lower() not in ("host", "x-amz-date", "x-amz-security-token")]
        canonical, names = canonical_request(method, path, [("host", host), *signed, *added], body)
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._key(keys.secret_access_key, stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        words = f"{ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return (*added, ("authorization", words))

    def _key(self, secret: str, day: str) -> bytes:
        if self._for != (secret, day):
            self._derived = signing_key(secret, day, self.region, self.service)
            self._for = (secret, day)
        return self._derived


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key of one day (`20150830`), region and service."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def canonical_request(method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> tuple[str, str]:
    """The request as both sides write it before they hash it, and the names of the headers in it."""
    place, _, query = path.partition("?")
    values: dict[str, list[str]] = {}
    for name, value in headers:
        if (key := name.lower()) not in UNSIGNED:
            values.setdefault(key, []).append(" ".join(value.split()))
    names = ";".join(sorted(values))
    lines = "".join(f"{name}:{','.join(values[name])}\n" for name in sorted(values))
    payload = hashlib.sha256(body).hexdigest()
    path = _remembered(place) if len(place) <= _LONG else _canonical_path(place)
    return f"{method.upper()}\n{path}\n{_canonical_query(query)}\n{lines}\n{names}\n{payload}", names


def _canonical_path(path: str) -> str:
    """Empty and dotted segments resolved, then encoded once more: `%3A` on the wire is signed as `%253A`."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


_LONG = 512
"""Characters of a path that is not remembered: clients choose models, and memory is ours."""
_remembered = functools.lru_cache(maxsize=1024)(_canonical_path)


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = sorted((name, value) for name, _, value in (pair.partition("=") for pair in query.split("&")))
    return "&".join(f"{name}={value}" for name, value in pairs)
