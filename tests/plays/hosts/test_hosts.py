"""Every host of the catalogue, called as its own documents say and answering in its own words, whole and streamed."""

import json
from urllib.parse import quote

import pytest

from gatewright.providers.catalog import CATALOG, HOSTS
from tests.plays import wires
from tests.plays.hosts.answers import http, recorded, text, written
from tests.plays.hosts.calls import CALLED, ELSEWHERE, KEY
from tests.plays.hosts.stand_in import world
from tests.serving import KEY as CLIENT_KEY
from tests.serving import call, gateway
from tests.transport.certificates import Authority

PLAYS = [(name, dialect) for name, called in CALLED.items() for dialect in called.urls]
FOREIGN = {"anthropic": "openai_chat", "bedrock_converse": "openai_chat"}
"""Upstream dialect → the dialect of a client of another; all others are asked by an Anthropic client."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def configured(name, authority, port):
    called = CALLED[name]
    section = {"kind": called.kind or name, "api_key": KEY, "proxy": f"http://127.0.0.1:{port}", "ca_file": authority.ca_file}
    return f"providers:\n  it: {json.dumps(section | called.settings)}\n"


def test_every_host_has_a_play():
    """A new row without one fails here."""
    played = {called.kind or name for name, called in CALLED.items()}
    assert played | set(ELSEWHERE) == {host.name for host in CATALOG}
    for name, called in CALLED.items():
        spoken = {d for n, c in CALLED.items() if (c.kind or n) == (called.kind or name) for d in c.urls}
        assert spoken == set(HOSTS[called.kind or name].dialects), name


@pytest.mark.parametrize(("name", "dialect"), PLAYS, ids=[f"{n}-{d}" for n, d in PLAYS])
async def test_a_host_is_called_as_it_documents(name, dialect, authority, tmp_path):
    """Path, headers, credential and body; a client of the host's dialect is called in it, one of another has its words said so."""
    called = CALLED[name]
    async with world(authority) as host, gateway(configured(name, authority, host.port), tmp_path) as gw:
        stranger = FOREIGN.get(dialect, "anthropic")
        served = dialect == (called.first or next(iter(called.urls))) and stranger not in called.urls
        for client in (dialect, stranger) if served else (dialect,):
            for stream in (False, True):
                await play(gw, host, name, dialect, client, stream=stream)


async def play(gw, host, name, dialect, client, *, stream):
    called = CALLED[name]
    answers = [
        ("written", *written(called.kind or name, dialect, stream=stream)),
        *recorded(called.recorded or name, dialect, stream=stream),
    ]
    for which, body, content_type in answers:
        host.answer = http(body, content_type)
        path, document = request(client, f"it/{called.model(dialect)}", stream=stream)
        got = await call(gw.port, path, json.dumps(document).encode())
        at = f"{name} {client}→{dialect} stream={stream} {which}"
        assert got.status == 200, f"{at}: {got.body[:500]}"
        check_request(host.seen[-1], called, dialect, client, stream=stream)
        expected = wires.TEXT if which == "written" else text(dialect, body)
        assert text(client, got.body) == expected, at
        assert not got.broken, at
        if client == dialect and not stream and which == "written":
            assert got.body == body, at


def request(client, model, *, stream):
    """(path, body) of a client."""
    if client != "bedrock_converse":
        return wires.request(client, model, stream=stream)
    return f"/model/{quote(model, safe='')}/converse{'-stream' if stream else ''}", {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}]
    }


def check_request(seen, called, dialect, client, *, stream):
    assert (seen.method, seen.url) == ("POST", called.url(dialect, stream=stream))
    name, value = called.auth
    assert seen.headers[name] == value
    others = {"authorization", "x-api-key", "x-goog-api-key", "api-key"} - {name}
    assert not others & set(seen.headers)
    assert CLIENT_KEY not in str(seen.headers) + seen.body.decode()
    assert seen.headers["content-type"] == "application/json"
    sent = seen.json
    assert not set(called.without) & set(sent)
    in_path = quote(called.model(dialect), safe="@") in seen.url
    if dialect == "bedrock_converse":
        assert sent["messages"] == [{"role": "user", "content": [{"text": "hi"}]}]
        assert "model" not in sent
    elif dialect == "gemini":
        assert sent["contents"][0]["parts"][0]["text"] == "hi"
        assert "model" not in sent
    elif dialect == "openai_responses":
        assert sent["model"] == called.model(dialect)
        assert "hi" in json.dumps(sent["input"])
        assert sent.get("stream", False) is stream
    else:
        said = sent["messages"][0]
        assert said["role"] == "user"
        assert said["content"] in ("hi", [{"type": "text", "text": "hi"}])
        assert ("model" not in sent) if (in_path and dialect == "anthropic") else (sent["model"] == called.model(dialect))
    if dialect == "anthropic" and not in_path:
        assert seen.headers["anthropic-version"] == "2023-06-01"
        assert sent["max_tokens"] > 0
    if dialect == "anthropic" and in_path:
        assert "anthropic-version" not in seen.headers
        assert sent["anthropic_version"].startswith(("vertex-", "bedrock-"))
    if dialect == "openai_chat":
        assert sent.get("stream", False) is stream
        assert stream is False or "stream_options" in called.without or sent["stream_options"] == {"include_usage": True}
        limit = document_limit(client)
        if limit is not None:
            assert limit in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


def document_limit(client):
    """What a client of the dialect asks for in these plays."""
    return 100 if client == "anthropic" else None
