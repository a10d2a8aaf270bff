"""Login by device flow: a code to type on any device, while this one asks whether it was.

One rule: asked no oftener than the server allows, and no longer than the code lives.
https://www.rfc-editor.org/rfc/rfc8628
"""

from collections.abc import Awaitable, Callable

import msgspec

from gatewright.jsontypes import JsonObject
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.oauth.answers import NoGrant
from gatewright.providers.oauth.descriptions import Description
from gatewright.providers.oauth.exchange import ask_for_tokens, host_of, send_form

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL_S = 5.0
"""Where the server names none (section 3.2), and what `slow_down` adds (section 3.5)."""
MIN_INTERVAL_S = 0.1
"""A server may ask for no pause at all; it gets a short one."""
MAX_INTERVAL_S = 60.0
DEFAULT_LIFE_S = 600.0
MAX_LIFE_S = 3600.0


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says when a login begins."""

    device_code: str
    """A secret: never shown."""
    user_code: str
    verification_uri: str
    verification_uri_complete: str = ""
    """With the code in it; empty where the server gives none."""
    expires_in: float = DEFAULT_LIFE_S
    interval: float = INTERVAL_S

    def __repr__(self) -> str:
        return f"Device({self.user_code!r})"

    @property
    def url(self) -> str:
        """What to open."""
        return self.verification_uri_complete or self.verification_uri


async def begin(description: Description, fetch: Fetch) -> Device:
    """Ask for a code. Raises NoGrant."""
    form = {**({"scope": " ".join(description.scopes)} if description.scopes else {}), **description.parameters}
    status, headers, body = await send_form(description, fetch, description.device_url, form)
    host = host_of(description.device_url)
    if status >= 300:
        raise _refused(status, headers.get("content-type", ""), body, host)
    try:
        device = msgspec.json.decode(body, type=Device, strict=False)
    except (msgspec.MsgspecError, ValueError) as error:
        raise NoGrant(f"{host} did not give a device code ({_mended(error)}); is this the device endpoint?") from None
    for url in (device.verification_uri, device.verification_uri_complete):
        if url and not url.startswith(("https://", "http://")):
            raise NoGrant(f"{host} named a page to open that is no web page")
    return msgspec.structs.replace(
        device,
        user_code=_printable(device.user_code),
        verification_uri=_printable(device.verification_uri),
        verification_uri_complete=_printable(device.verification_uri_complete),
        expires_in=min(max(device.expires_in, 1.0), MAX_LIFE_S),
        interval=min(max(device.interval, MIN_INTERVAL_S), MAX_INTERVAL_S),
    )


async def wait(
    description: Description,
    device: Device,
    fetch: Fetch,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> JsonObject:
    """The token answer, once somebody has typed the code. Raises NoGrant when it is refused or too late.

    `clock` is monotonic seconds.
    """
    ends = clock() + device.expires_in
    interval = device.interval
    trouble = ""
    while True:
        await sleep(interval)
        if clock() >= ends:
            why = f"; the last thing heard: {trouble}" if trouble else ""
            raise NoGrant(f"nobody confirmed the code within {device.expires_in:g} s{why}", error="expired_token")
        try:
            return await ask_for_tokens(description, fetch, {"grant_type": GRANT, "device_code": device.device_code})
        except NoGrant as error:
            match error.error:
                case "authorization_pending":
                    trouble = ""
                case "slow_down":
                    interval = min(interval + INTERVAL_S, MAX_INTERVAL_S)
                    trouble = ""
                case "" | "server_error" | "temporarily_unavailable":  # section 3.5 wants the pace slowed down
                    interval = min(max(interval, 1.0) * 2, MAX_INTERVAL_S, max(ends - clock(), 1.0))
                    trouble = error.problem.message
                case _:
                    raise


def _refused(status: int, content_type: str, body: bytes, host: str) -> NoGrant:
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        kind = content_type.partition(";")[0] or "no content type"
        return NoGrant(f"{host} answered {status} with {_printable(kind)} instead of JSON; is this the device endpoint?")
    error = _printable(str(answer.get("error") or answer.get("code") or "no error code"))
    told = answer.get("error_description") or answer.get("message")
    return NoGrant(f"{host} refused to begin a login: {error}" + (f": {_printable(str(told))}" if told else ""), error=error)


def _mended(error: Exception) -> str:
    """A decoder's complaint, without the document."""
    return str(error).partition(" - at")[0]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:500])
