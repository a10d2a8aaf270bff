"""Google's uploads, which come in several calls: the first answers with a URL, to which the file then goes piece by piece.

One rule: that URL leads back here. The provider's own may hold our key, and Google's SDKs bring none of their own along: so it
holds the client's key in the query, as Google's holds ours.
https://ai.google.dev/gemini-api/docs/files
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from gatewright.exchange import Exchange
from gatewright.transport import Incoming

PREFIX = "/upload/"
_HEADERS = "x-goog-upload-"
_URLS = (b"x-goog-upload-url", b"x-goog-upload-control-url")
_SCHEMES = ("http", "https")


def is_upload(path: str) -> bool:
    """Whether a path is of Google's uploads. Their bodies are anybody's files, and name no model."""
    return path.startswith(PREFIX)


def asked(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The client's headers that say what it is about to send, or sends."""
    return tuple((name, headers[name]) for name in headers if name.startswith(_HEADERS))


def told(incoming: Incoming, exchange: Exchange, provider: str, scheme: str) -> bytes:
    """The header lines in which the provider says how the upload stands. `scheme`: what this gateway itself is reached by."""
    lines: list[bytes] = []
    for name, value in incoming.headers:
        if name in _URLS:
            shown = _leading_here(value.decode("latin-1"), exchange, provider, scheme)
            lines.append(b"%b: %b\r\n" % (name, shown.encode("latin-1")))
        elif name.startswith(_HEADERS.encode("ascii")):
            lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


def _leading_here(url: str, exchange: Exchange, provider: str, scheme: str) -> str:
    """The same place by way of this gateway and of the same provider, whichever else has files; without the provider's key."""
    _, below, rest = urlsplit(url).path.partition(PREFIX)
    pairs = [pair for pair in parse_qsl(urlsplit(url).query, keep_blank_values=True) if pair[0] != "key"]
    headers = exchange.call.headers
    forwarded = (headers.get("x-forwarded-proto") or "").partition(",")[0].strip().lower()
    origin = f"{forwarded if forwarded in _SCHEMES else scheme}://{headers.get('host') or 'localhost'}"
    credential = exchange.credential.decode("latin-1")
    query = urlencode([*pairs, ("key", credential)] if credential else pairs)
    return f"{origin}/{quote(provider)}{below or PREFIX}{quote(rest, safe='/:%')}?{query}"
