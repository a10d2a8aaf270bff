"""An endpoint whose host wraps calls in a way of its own: each goes out through a shape, and its answer may come back so.

One rule: nobody else knows of shapes. Stages ask an endpoint in the dialect's own words, and are answered in them.
"""

from collections.abc import Awaitable, Mapping

from gatewright.ir.blocks import DialectName
from gatewright.pipeline.endpoint import Endpoint, Headers
from gatewright.pipeline.unwrapped import Unwrapped
from gatewright.providers.shapes import Said, Shape
from gatewright.transport import Incoming, header_lines
from gatewright.transport.seam import Trail


class ShapedEndpoint(Endpoint):
    """As `Endpoint`; `shapes` must be set before the first call."""

    __slots__ = ("shapes",)

    shapes: Mapping[DialectName, Shape]

    def send(
        self,
        *,
        dialect: DialectName,
        method: str,
        path: str,
        headers: bytes,
        body: bytes,
        content_type: bytes = b"content-type: application/json\r\n",
        client: Headers | None = None,
        model: str = "",
        stream: bool = False,
        trail: Trail | None = None,
    ) -> Awaitable[Incoming]:
        """As `Endpoint.send`. Raises ValueError for a body that is not the JSON that the host's shape takes apart."""
        shape = self.shapes.get(dialect)
        said = Said(path=path, body=body, headers=pairs(headers), model=model, stream=stream)
        if shape is not None:
            said = shape.request(said)
        sending = super().send(
            dialect=dialect,
            method=method,
            path=said.path,
            headers=header_lines(said.headers),
            body=said.body,
            content_type=content_type,
            client=client,
            trail=trail,
        )
        return sending if shape is None else _unwrapped(sending, shape, said)


async def _unwrapped(sending: Awaitable[Incoming], shape: Shape, said: Said) -> Incoming:
    incoming = await sending
    if incoming.status >= 400:
        return incoming
    unwrapper = shape.unwrapper(said, incoming.header(b"content-type") or b"")
    return incoming if unwrapper is None else Unwrapped(incoming, unwrapper)


def pairs(lines: bytes) -> tuple[tuple[str, str], ...]:
    """Header lines of our own making, taken apart again."""
    split = (line.split(": ", 1) for line in lines.decode("latin-1").split("\r\n") if line)
    return tuple((name, value) for name, value in split)
