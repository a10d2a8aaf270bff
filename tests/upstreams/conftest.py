"""The upstream and the clients, shared with the tests of the SDKs."""

from tests.sdk.conftest import clients, upstream

__all__ = ["clients", "upstream"]
