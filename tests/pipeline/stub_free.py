"""Endpoints for tests that never send: real ones, to a port where nobody listens."""

from gatewright.pipeline.endpoint import Endpoint
from gatewright.transport import HttpTransport


def endpoint(name: str, *dialects: str) -> Endpoint:
    spoken = dialects or ("openai_chat",)
    transport = HttpTransport("http://127.0.0.1:1")
    return Endpoint(
        name=name,
        dialects=spoken,
        transports=dict.fromkeys(spoken, transport),
        base_paths=dict.fromkeys(spoken, "/v1"),
        auth=dict.fromkeys(spoken, "bearer"),
        secret="sk-secret",
    )
