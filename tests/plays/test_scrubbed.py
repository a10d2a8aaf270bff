"""What a provider says of the credentials it was sent does not reach the client, in whichever form it says it."""

import json

import pytest

from tests.plays.books import books
from tests.plays.scene import DIALECTS, ask, frames
from tests.serving import END, answer, chunk, gateway, stream_head, upstream

KEY = "provider-key-0123456789"
HEADER = "internal-header-value-0123"
SAID = f"bad key {KEY} beside {HEADER}"


def config(port: int) -> str:
    base = f"http://127.0.0.1:{port}"
    more = f"api_key: {KEY}, headers: {{x-internal: {HEADER}}}"
    return f"""
providers:
  openai_chat: {{kind: openai, base_url: "{base}/v1", dialects: [openai_chat], {more}}}
  openai_responses: {{kind: openai, base_url: "{base}/v1", dialects: [openai_responses], {more}}}
  anthropic: {{kind: anthropic, base_url: "{base}", {more}}}
  gemini: {{kind: gemini, base_url: "{base}", {more}}}
routing: {{retry: {{tries_each: 1}}}}
"""


def error(dialect: str) -> bytes:
    """An error event that has them in every field."""
    match dialect:
        case "openai_responses":
            document = {"type": "error", "code": KEY, "message": SAID, "param": HEADER, "sequence_number": 1}
        case "gemini":
            document = {"error": {"code": 503, "message": SAID, "status": KEY}}
        case _:
            document = {"type": "error", "error": {"message": SAID, "type": KEY, "code": HEADER}}
    name = f"event: {document['type']}\n" if "type" in document else ""
    return f"{name if dialect in ('anthropic', 'openai_responses') else ''}data: {json.dumps(document)}\n\n".encode()


@pytest.mark.parametrize("begun", [False, True], ids=["at once", "after content"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_errors_within_streams(tmp_path, dialect, client, begun):
    """Whether bytes pass or not, before content or behind it; nor is it written down."""
    before = frames(dialect)[:2] if begun else []
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), *(chunk(frame) for frame in before), chunk(error(dialect)), END]]
        got = await ask(gw, client, f"{dialect}/m", stream=True)
        assert b"bad key ***" in got.body
        assert KEY.encode() not in got.body
        assert HEADER.encode() not in got.body
        found = books(gw)
        (attempt,) = found.of(found.only)
        told = f"{found.only} {attempt}"
        assert "***" in told
        assert KEY not in told
        assert HEADER not in told


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_errors_that_are_whole(tmp_path, dialect, client, status):
    """With the status of an error, or with that of an answer."""
    document = {"error": {"message": SAID, "type": KEY, "code": KEY, "status": KEY, "param": HEADER}}
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(document).encode(), status=status)]]
        got = await ask(gw, client, f"{dialect}/m")
        assert got.status >= 400
        assert KEY.encode() not in got.body
        assert HEADER.encode() not in got.body
