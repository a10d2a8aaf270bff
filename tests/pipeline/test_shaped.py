"""Endpoints whose hosts wrap calls in a way of their own."""

import msgspec
from tests.serving import answer, upstream

from gatewright.pipeline.shaped import ShapedEndpoint, pairs
from gatewright.transport import HttpTransport, header_lines


class Rot:
    """Says the path backwards, and leaves out the header `x-gone`; its answers are told in capitals."""

    content_type = b"text/event-stream"

    def request(self, said):
        headers = tuple(pair for pair in said.headers if pair[0] != "x-gone")
        return msgspec.structs.replace(said, path=f"/{said.model}/{said.stream}", headers=headers, body=said.body[::-1])

    def unwrapper(self, said, content_type):
        return self if content_type == b"x/rot" else None

    def feed(self, data):
        return data.upper()

    def close(self):
        return b"!"


def endpoint(port):
    transport = HttpTransport(f"http://127.0.0.1:{port}")
    dialects = ("openai_chat", "openai_responses")
    made = ShapedEndpoint(
        name="it",
        dialects=dialects,
        transports=dict.fromkeys(dialects, transport),
        base_paths=dict.fromkeys(dialects, "/base"),
        auth=dict.fromkeys(dialects, "bearer"),
        secret="sk-1",
    )
    made.shapes = {"openai_chat": Rot()}
    return made


async def sent(up, made, dialect="openai_chat"):
    headers = b"x-kept: a: b\r\nx-gone: c\r\n"
    return await made.send(dialect=dialect, method="POST", path="/p", headers=headers, body=b"abc", model="m", stream=True)


async def test_a_call_goes_out_and_its_answer_comes_back_through_the_shape():
    """The credential and the base are the endpoint's as ever."""
    async with upstream() as up:
        up.answers = [[answer(b"said", content_type="x/rot")]]
        made = endpoint(up.port)
        incoming = await sent(up, made)
        assert (await incoming.read(100), incoming.header(b"content-type")) == (b"SAID!", b"text/event-stream")
        assert up.head().startswith(b"POST /base/m/True HTTP/1.1\r\n")
        assert b"authorization: Bearer sk-1\r\n" in up.head() + b"\r\n"
        assert b"x-kept: a: b" in up.head()
        assert b"x-gone" not in up.head()
        assert up.body() == b"cba"
        await made.close()


async def test_errors_and_other_dialects_are_left_as_they_are():
    """A host tells its errors in JSON, however it streams."""
    async with upstream() as up:
        up.answers = [[answer(b"no", status=400, content_type="x/rot")], [answer(b"yes", content_type="x/rot")]]
        made = endpoint(up.port)
        assert await (await sent(up, made)).read(100) == b"no"
        assert await (await sent(up, made, "openai_responses")).read(100) == b"yes"
        assert up.head().startswith(b"POST /base/p HTTP/1.1\r\n")
        await made.close()


def test_header_lines_are_taken_apart_as_they_were_made():
    """Colons in values, empty values."""
    given = (("a", "b: c"), ("d", ""), ("e", "é"))
    assert pairs(header_lines(given)) == given
