"""A fixed key as header lines: which header each way of travelling uses."""

from gatewright.providers.catalog.host import Auth


def key_lines(auth: Auth, key: str) -> bytes:
    """The line that carries `key`. `auth` must be a header's: `bearer`, `x-api-key`, `x-goog-api-key`, `api-key`."""
    value = key.encode("latin-1", "replace")
    if auth in ("bearer", "google", "entra"):
        return b"authorization: Bearer %b\r\n" % value
    return b"%b: %b\r\n" % (auth.encode("ascii"), value)
