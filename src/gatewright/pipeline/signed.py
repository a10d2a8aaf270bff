"""Sending with a credential that signs each call: sign, send, and once more where a refusal is the credential's to mend.

One rule: what was signed with never comes back. Answers of 400 and above are read here and freed of it.
"""

import time

from gatewright.errors import Problem
from gatewright.providers.auth.seam import ClientHeaders, Credential, CredentialFailed, Refusal, Unsigned
from gatewright.routing.retry_after import retry_after_s
from gatewright.transport import Incoming, Outgoing, Transport, TransportError
from gatewright.transport.strand import back_to, in_a_task
from gatewright.wire.json import BadJson, decode_lenient

MAX_REFUSAL_BYTES = 1 << 20
"""Of an error's body; as much as is read of any."""

HIDDEN = b"***"

SECRET_LINES = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"x-goog-api-key",
        b"api-key",
        b"x-amz-security-token",
        b"ocp-apim-subscription-key",
        b"cookie",
    }
)
"""Header lines whose values are secrets, of those that credentials write."""


class NoCredential(TransportError):
    """The call was not sent: there is nothing to sign it with."""

    def __init__(self, cause: CredentialFailed) -> None:
        super().__init__(cause.problem.message, phase="connect", sent=False)
        self._problem = cause.problem

    @property
    def problem(self) -> Problem:
        return self._problem


async def send_signed(
    transport: Transport, credential: Credential, outgoing: Outgoing, origin: str, client: ClientHeaders | None
) -> Incoming:
    """As `Transport.send`. Raises TransportError, NoCredential among them; Refused where the client must send one."""
    call = Unsigned(outgoing.method.decode("ascii"), origin, outgoing.path, outgoing.headers, outgoing.body, client)
    tries = 1 + credential.retries
    while True:
        tries -= 1
        left = await in_a_task()  # credentials wait for files, token endpoints, clocks
        try:
            lines = await credential.sign(call)
        except CredentialFailed as error:
            raise NoCredential(error) from None
        await back_to(left)
        signed = Outgoing(
            method=outgoing.method,
            path=outgoing.path,
            headers=replaced(outgoing.headers, lines),
            body=outgoing.body,
            timeouts=outgoing.timeouts,
            trail=outgoing.trail,
        )
        incoming = await transport.send(signed)
        status = incoming.status
        if status < 400:
            return incoming
        body = scrubbed(await incoming.read(MAX_REFUSAL_BYTES), lines)
        if status in credential.statuses:
            await in_a_task()
            try:
                again = await credential.refused(call, Refusal(status, lines, body, retry_after(incoming, body)))
            except CredentialFailed as error:
                raise NoCredential(error) from None
            if again and tries:
                if outgoing.trail is not None:
                    outgoing.trail.refused(status)
                continue
        return Told(incoming, body)


def replaced(headers: bytes, lines: bytes) -> bytes:
    """`headers` and `lines`; of a name in both, those of `lines`."""
    names = {line.partition(b":")[0].lower() for line in lines.split(b"\r\n") if line}
    kept = [line for line in headers.split(b"\r\n") if line and line.partition(b":")[0].lower() not in names]
    return b"".join(b"%b\r\n" % line for line in kept) + lines


def secrets_in(lines: bytes) -> list[bytes]:
    """The values in signed lines that must not be told, longest first; of `Bearer x`, `x`."""
    found: set[bytes] = set()
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() in SECRET_LINES:
            found.update(part for part in (value.strip(), value.strip().rpartition(b" ")[2]) if len(part) >= 4)
    return sorted(found, key=len, reverse=True)


def scrubbed(body: bytes, lines: bytes) -> bytes:
    """`body` without the secrets of signed lines."""
    for secret in secrets_in(lines):
        if secret in body:
            body = body.replace(secret, HIDDEN)
    return body


def retry_after(incoming: Incoming, body: bytes) -> float | None:
    """The seconds that the upstream asks for, in whatever form."""
    try:
        document = decode_lenient(body)
    except BadJson:
        document = None
    told = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in incoming.headers)
    return retry_after_s(told, document, time.time())


class Told:
    """An `Incoming` whose body has been read."""

    __slots__ = ("_body", "_incoming")

    def __init__(self, incoming: Incoming, body: bytes) -> None:
        self._incoming = incoming
        self._body: bytes | None = body or None

    @property
    def status(self) -> int:
        return self._incoming.status

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self._incoming.headers

    def header(self, name: bytes) -> bytes | None:
        return self._incoming.header(name)

    async def next(self) -> bytes | None:
        body, self._body = self._body, None
        return body

    async def read(self, max_bytes: int) -> bytes:
        return await self.next() or b""

    def abort(self) -> None:
        """Nothing is left to give up."""
