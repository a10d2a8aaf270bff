"""One request to a server of any name, its answer read whole: token endpoints, metadata servers, lists of models.

One rule: nothing is pooled and nothing followed; a link-local address is never asked through a proxy.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from gatewright.errors import Problem, UpstreamFailed
from gatewright.transport.client import HttpTransport
from gatewright.transport.failures import TransportError
from gatewright.transport.proxy import proxy_for
from gatewright.transport.seam import Outgoing, Timeouts, header_lines
from gatewright.transport.strand import in_a_task

MAX_BYTES = 1 << 20
"""Of an answer. Tokens are a few kilobytes; a list of models some hundred."""

ALWAYS_DIRECT = frozenset({"metadata.google.internal", "metadata", "localhost"})
"""Names that mean something on this machine only."""


class NoAnswer(UpstreamFailed):
    """Nothing came that could be read."""

    def __init__(self, problem: Problem, *, sent: bool) -> None:
        super().__init__(problem)
        self.sent = sent
        """Whether the request may have been heard."""


class PlainFetch:
    """Callable: `(method, url, headers, body, timeout_s) -> (status, headers, body)`."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        proxy: str | None = None,
        ca_file: str | None = None,
        verify: bool = True,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`proxy`: a URL, `direct` for none, None for what `environ` says.

        `ca_file`: authorities to trust beside the system's: issuers are public hosts, perhaps behind a proxy that looks in.
        """
        self._environ = environ
        self._proxy = proxy
        self._ca_file = ca_file
        self._verify = verify
        self._max_bytes = max_bytes

    async def __call__(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"", timeout_s: float = 10.0
    ) -> tuple[int, Mapping[str, str], bytes]:
        """(status, headers in lower case, body). Raises NoAnswer, which names host and port, never path or body."""
        parts = urlsplit(url)
        where = parts.netloc.rpartition("@")[2]
        try:
            transport = HttpTransport(
                f"{parts.scheme}://{where}",
                ca_file=self._ca_file,
                with_system=True,
                verify=self._verify,
                proxy=self._via(url, parts.hostname or ""),
                max_connections=1,
            )
        except (ValueError, OSError) as error:
            raise NoAnswer(Problem(kind="upstream", message=f"{where or 'a URL without a host'}: {error}"), sent=False) from None
        try:
            asked = Outgoing(
                method=method.encode("ascii"),
                path=((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii"),
                headers=header_lines({"accept": "*/*", "user-agent": "gatewright", **(headers or {})}.items()),
                body=body,
                timeouts=Timeouts(timeout_s, timeout_s, timeout_s, timeout_s, timeout_s),
            )
            await in_a_task()
            async with asyncio.timeout(timeout_s):
                incoming = await transport.send(asked)
                answer = await incoming.read(self._max_bytes)
        except TransportError as error:
            raise NoAnswer(error.problem, sent=error.sent) from None
        except TimeoutError:
            raise NoAnswer(Problem(kind="timeout", message=f"{where}: no answer within {timeout_s:g} s"), sent=True) from None
        except ValueError as error:  # a path or a header's value that cannot be sent
            raise NoAnswer(Problem(kind="upstream", message=f"{where}: {error}"), sent=False) from None
        finally:
            await transport.close()
        seen = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(incoming.headers)}
        return incoming.status, seen, answer

    def _via(self, url: str, host: str) -> str | None:
        if host in ALWAYS_DIRECT or is_local(host) or self._proxy == "direct":
            return None
        return proxy_for(url, self._environ) if self._proxy is None else self._proxy


def is_local(host: str) -> bool:
    """Whether a host is an address that only this machine or this link has."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_link_local or address.is_loopback or address == ipaddress.ip_address("fd00:ec2::254")
