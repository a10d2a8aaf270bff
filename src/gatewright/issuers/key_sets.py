"""The keys that an issuer publishes: fetched from the one address that counts for it, kept, and fetched again when one is new.

One rule: tokens make us fetch nothing but what the operator named, and not more often than every half minute, whatever they say.
https://www.rfc-editor.org/rfc/rfc7517, https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from gatewright.errors import GatewrightError
from gatewright.jsontypes import JsonObject

log = logging.getLogger("gatewright.issuers")

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey
Fetch: TypeAlias = Callable[[str, str], Awaitable[tuple[int, Mapping[str, str], bytes]]]
"""(method, url) → (status, headers, body). Follows no redirects."""

AGAIN_S: Final = 30.0
"""At least so long between two tries, however many unknown keys are named meanwhile."""
FRESH_S: Final = 3600.0
"""Age at which keys are fetched again with the next token."""
STALE_S: Final = 86_400.0
"""Age at which keys that could not be fetched again are good for nothing: one of them may have been withdrawn."""
MOST_KEYS: Final = 64
LEAST_RSA_BITS: Final = 2048
_PUBLIC: Final = ("kty", "kid", "alg", "n", "e", "crv", "x", "y")
WELL_KNOWN: Final = "/.well-known/openid-configuration"


class KeySet:
    """Of one issuer. Within one event loop; read from any."""

    def __init__(self, issuer: str, jwks: str, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        """`jwks`: URL; empty: by discovery."""
        self._issuer = issuer
        self._jwks = jwks
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def there(self) -> bool:
        """Whether there are keys that may be believed."""
        return self._fetched is not None and self._clock() - self._fetched < STALE_S

    def find(self, kid: str) -> PublicKey | None:
        """The key of that id; without an id the only one there is. None: there is none."""
        if not self.there:
            return None
        if not kid:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def wants(self, kid: str) -> bool:
        """Whether it should be fetched before a token with this id is judged."""
        now = self._clock()
        old = self._fetched is None or now - self._fetched >= FRESH_S or self.find(kid) is None
        return old and (self._tried is None or now - self._tried >= AGAIN_S)

    async def fetch(self, kid: str) -> None:
        """Fetch them, once for all who wait. Never raises: without keys no token is good."""
        async with self._one_at_a_time:
            if not self.wants(kid):
                return
            self._tried = self._clock()
            try:
                where = self._jwks or await self._discovered()
                keys = keys_of(await self._read(where))
            except (GatewrightError, ValueError) as error:
                log.warning("%s: its keys cannot be fetched: %s", self._issuer, error)
                return
            if not keys:
                log.warning("%s: it publishes no key that counts", self._issuer)
            self._keys, self._fetched = keys, self._clock()

    async def _discovered(self) -> str:
        """Raises ValueError, GatewrightError."""
        found = (await self._read(self._issuer.rstrip("/") + WELL_KNOWN)).get("jwks_uri")
        ours, theirs = urlsplit(self._issuer), urlsplit(found if isinstance(found, str) else "")
        if (theirs.scheme, theirs.netloc) != (ours.scheme, ours.netloc):
            raise ValueError("its discovery names keys on another host; say where they are with `jwks`")
        assert isinstance(found, str)
        return found

    async def _read(self, url: str) -> JsonObject:
        status, _, body = await self._fetch("GET", url)
        if status != 200:
            raise ValueError(f"HTTP {status}")
        try:
            return msgspec.json.decode(body, type=dict)
        except msgspec.DecodeError as error:
            raise ValueError(f"no JSON object: {error}") from None


def keys_of(document: JsonObject) -> dict[str, PublicKey]:
    """By id, those that verify signatures. A shared secret is none, nor is a key for encryption, nor one that is too short."""
    listed = document.get("keys")
    found: dict[str, PublicKey] = {}
    for i, entry in enumerate((listed if isinstance(listed, list) else [])[:MOST_KEYS]):
        if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP") or entry.get("use", "sig") != "sig":
            continue
        public: dict[str, str | list[str]] = {name: value for name in _PUBLIC if isinstance(value := entry.get(name), str)}
        if public["kty"] == "RSA" and len(str(public.get("n", ""))) * 6 < LEAST_RSA_BITS:
            continue
        try:
            key = JWKRegistry.import_key(public)
        except (JoseError, ValueError, TypeError):
            continue
        kid = entry.get("kid")
        if isinstance(key, RSAKey | ECKey | OKPKey):
            found[kid if isinstance(kid, str) and kid else f"\0{i}"] = key
    return found
