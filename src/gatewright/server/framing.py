"""Answers as HTTP/1.1 bytes. Pure: the lane decides what is said, this how it stands on the wire.

https://www.rfc-editor.org/rfc/rfc9112
"""

from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_CLOSE = b"connection: close\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"


def status_line(status: int) -> bytes:
    return _STATUS.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status


def whole(status: int, headers: bytes, body: bytes, *, request_id: str, date: bytes, keep: bool, head_only: bool) -> bytes:
    """A complete answer. `headers` and `date` are ready lines. Some clients want one id header, some the other."""
    rid = request_id.encode()
    return b"%b%b%bx-request-id: %b\r\nrequest-id: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        _STATUS.get(status) or status_line(status),
        headers,
        date,
        rid,
        rid,
        b"" if keep else _CLOSE,
        len(body),
        b"" if head_only else body,
    )


def stream_head(status: int, headers: bytes, *, request_id: str, date: bytes, keep: bool, chunked: bool) -> bytes:
    """The head of a streamed answer; without chunks (HTTP/1.0) it ends with the connection."""
    rid = request_id.encode()
    return b"%b%b%bx-request-id: %b\r\nrequest-id: %b\r\n%b%b\r\n" % (
        status_line(status),
        headers,
        date,
        rid,
        rid,
        _CHUNKED if chunked else b"",
        b"" if keep else _CLOSE,
    )


def refusal(status: int, headers: bytes, body: bytes, *, date: bytes) -> bytes:
    """An answer to what was no request: the connection ends with it."""
    return b"%b%b%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (status_line(status), headers, date, len(body), body)


def chunk(wire: bytes) -> bytes:
    """One chunk; nothing for nothing, because an empty chunk is the end."""
    return b"%x\r\n%b\r\n" % (len(wire), wire) if wire else b""
