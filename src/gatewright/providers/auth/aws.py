"""The credential of calls to AWS: keys from AWS's sources, a signature for each call, and what a refusal means.

One rule: what the operator must mend is told in the operator's words, with provider and account; a client's own error (a model
that the account may not use) stays the provider's.
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
"""

import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gatewright.errors import GatewrightError
from gatewright.providers.auth.aws_metadata import NoKeys
from gatewright.providers.auth.aws_sources import AwsSettings, AwsSources
from gatewright.providers.auth.refreshed import Lease, Pace, Refreshed, RefreshTookTooLong
from gatewright.providers.auth.seam import CredentialFailed, Refusal, Unsigned, failed
from gatewright.providers.auth.sigv4 import Keys, Signer

T = TypeVar("T")

SIGNED: Final = (b"content-type", b"x-amz")
"""Beginnings of the header names that are signed beside host and date: what decides over a call's meaning."""

EXPIRED: Final = re.compile(rb"ExpiredToken|security token included in the request is expired", re.IGNORECASE)
CLOCK: Final = re.compile(rb"Signature expired|Signature not yet current|RequestTimeTooSkewed|RequestExpired", re.IGNORECASE)
UNKNOWN: Final = re.compile(rb"UnrecognizedClient|InvalidClientTokenId|token included in the request is invalid", re.IGNORECASE)
TOLD: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (
        re.compile(rb"scoped to a valid region|scoped to correct (service|region)", re.IGNORECASE),
        "the host does not belong to region {region}; set the provider's region to that of its base_url",
    ),
    (
        re.compile(rb"signature we calculated does not match|SignatureDoesNotMatch", re.IGNORECASE),
        "AWS computes another signature; is the secret key the one of this access key?",
    ),
)
"""Refusals that another try would not change, and what to do about them."""


class AwsCredential:
    """A `Credential`: Signature Version 4. Expired or rotated keys are obtained anew, once a call."""

    statuses = frozenset((401, 403))
    retries = 1

    def __init__(
        self,
        provider: str,
        settings: AwsSettings,
        sources: AwsSources,
        *,
        now: Callable[[], float],
        chance: Callable[[], float],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        service: str = "bedrock",
    ) -> None:
        """`now`: seconds since 1970."""
        self.provider = provider
        self.settings = settings
        self._sources = sources
        self._now = now
        self._signer = Signer(settings.region, service)
        self._keys = Refreshed(self._obtain, clock=now, chance=chance, pace=pace)

    async def sign(self, call: Unsigned) -> bytes:
        keys = await self._told(self._keys.get())
        added = self._signer.headers(
            keys,
            method=call.method,
            host=call.host,
            path=call.path.decode("latin-1"),
            headers=_to_sign(call.headers),
            body=call.body,
            now=self._now(),
        )
        return b"".join(b"%b: %b\r\n" % (name.encode("ascii"), value.encode("ascii")) for name, value in added)

    async def refused(self, call: Unsigned, refusal: Refusal) -> bool:
        body = refusal.body[:4096]
        if EXPIRED.search(body) or UNKNOWN.search(body):
            return await self._renewed(refusal, expired=EXPIRED.search(body) is not None)
        if CLOCK.search(body):
            raise self._failed(
                f"this machine's clock is wrong: AWS refuses the time of the signature{_times(body)}; set the clock"
            )
        for pattern, why in TOLD:
            if pattern.search(body):
                raise self._failed(why.format(region=self.settings.region))
        return False

    def scrub(self, text: bytes) -> bytes:
        keys = self._keys.current
        if keys is not None:
            for secret in (keys.secret_access_key.encode(), keys.session_token.encode()):
                if secret and secret in text:
                    text = text.replace(secret, b"***")
        return text

    async def close(self) -> None:
        await self._keys.close()

    async def _renewed(self, refusal: Refusal, *, expired: bool) -> bool:
        """Whether there are other keys than those that were refused. Raises CredentialFailed when there are none."""
        current = self._keys.current
        if current is None or b"Credential=%b/" % current.access_key_id.encode() not in refusal.signed:
            return True  # another call was refused before, and the keys are new by now
        if await self._told(self._keys.replace(current)) != current:
            return True
        if expired:
            raise self._failed("its session token has expired, and there is no newer one; renew it")
        raise self._failed("AWS does not know its access key; is it deactivated, mistyped or of another partition?")

    async def _obtain(self) -> Lease[Keys]:
        lease = await self._sources.obtain()
        keys = lease.value
        for word in (keys.access_key_id, keys.secret_access_key, keys.session_token):
            if not (word.isascii() and (word.isprintable())) or " " in word:
                raise NoKeys("the keys have a character in them that keys never have; were they pasted with quotes or blanks?")
        if lease.expires_at <= self._now():
            raise NoKeys("the keys that were handed out have expired already; is this machine's clock right?")
        return lease

    async def _told(self, coming: Awaitable[T]) -> T:
        """What comes; what went wrong instead, with the names of provider and account."""
        try:
            return await coming
        except NoKeys as error:
            raise self._failed(str(error), retry_after_s=self._keys.again_in_s or None) from None
        except RefreshTookTooLong as error:
            raise self._failed(f"{error}; is its source reachable from here?", retry_after_s=1) from None
        except GatewrightError as error:
            raise self._failed(error.problem.message) from None

    def _failed(self, why: str, *, retry_after_s: float | None = None) -> CredentialFailed:
        return failed(self.provider, self.settings.account, why, retry_after_s=retry_after_s)


def _to_sign(lines: bytes) -> list[tuple[str, str]]:
    split = (line.partition(b":") for line in lines.split(b"\r\n"))
    return [
        (name.decode("latin-1"), value.strip().decode("latin-1")) for name, _, value in split if name.lower().startswith(SIGNED)
    ]


def _times(body: bytes) -> str:
    """The two times that AWS compares, where it tells them."""
    times = re.findall(rb"\d{8}T\d{6}Z", body)
    return f" ({times[0].decode()} here, {times[1].decode()} there)" if len(times) >= 2 else ""
