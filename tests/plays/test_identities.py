"""Service accounts and Entra applications, from the configuration to the upstream and back, against issuers that check."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from tests.identity import certificate_pem, issuer, service_account, serving
from tests.serving import call, gateway

CHAT = json.dumps({"model": "cloud/m", "messages": [{"role": "user", "content": "hi"}]}).encode()
ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip

IDENTITIES = ["service account", "login of gcloud's", "client secret", "certificate", "workload token"]


def provider_of(identity, base_url, issuing, tmp_path):
    """A provider's section for one kind of identity, with the files it needs."""
    if identity == "service account":
        file = tmp_path / "sa.json"
        file.write_text(service_account(f"{issuing.url}/token"))
        told = f"auth: google, credentials_file: {file}"
    elif identity == "login of gcloud's":
        file = tmp_path / "adc.json"
        login = {
            "client_id": "c",
            "client_secret": "shh-client",
            "refresh_token": "1//refresh",
            "token_uri": f"{issuing.url}/token",
        }
        file.write_text(json.dumps({"type": "authorized_user", "quota_project_id": "billed", **login}))
        told = f"auth: google, credentials_file: {file}"
    else:
        told = f"auth: entra, authority: '{issuing.url}', tenant_id: tenant-1, client_id: app-1, "
        if identity == "client secret":
            told += "client_secret: shh-entra"
        elif identity == "certificate":
            (tmp_path / "app.pem").write_text(certificate_pem())
            told += "certificate_file: app.pem"
        else:
            (tmp_path / "federated").write_text("federated-1\n")
            told += "federated_token_file: federated"
    return f"providers: {{cloud: {{kind: custom, base_url: '{base_url}', {told}}}}}"


class Host:
    """An upstream that serves whoever shows a token that holds."""

    def __init__(self, issuing):
        self.issuing = issuing
        self.seen = []
        self.refused = 0
        self.always_refuses = False

    def answer(self, asked):
        self.seen.append(asked)
        if self.always_refuses or not self.issuing.holds(asked.headers.get("authorization", "")):
            self.refused += 1
            return 401, {"error": {"message": f"bad token {asked.headers.get('authorization')}", "type": "invalid_request_error"}}
        return 200, ANSWER


@asynccontextmanager
async def scene(identity, tmp_path, life_s=3600.0):
    async with issuer(life_s) as issuing:
        host = Host(issuing)
        async with (
            serving(host.answer) as port,
            gateway(provider_of(identity, f"http://127.0.0.1:{port}/v1", issuing, tmp_path), tmp_path) as gw,
        ):
            yield gw, issuing, host


async def ask(gw, body=CHAT):
    return await call(gw.port, "/v1/chat/completions", body)


@pytest.mark.parametrize("identity", IDENTITIES)
async def test_calls_carry_a_token_that_was_asked_for_as_its_issuer_wants(identity, tmp_path):
    """Line by line: assertion, refresh token, secret, certificate, federated token; one token for many calls."""
    async with scene(identity, tmp_path) as (gw, issuing, host):
        for _ in range(3):
            assert (await ask(gw)).status == 200
        assert len(issuing.asked) == 1
        assert len(host.seen) == 3
        assert "shh" not in str([asked.headers for asked in host.seen])
        if identity == "login of gcloud's":
            assert host.seen[0].headers["x-goog-user-project"] == "billed"


@pytest.mark.parametrize("identity", ["service account", "client secret"])
async def test_a_hundred_calls_at_once_cause_one_request_for_a_token(identity, tmp_path):
    """At the start, at the end of a token's life, and when all hundred were refused."""
    async with scene(identity, tmp_path, life_s=0.8) as (gw, issuing, host):
        issuing.pause_s = 0.05

        async def hundred():
            return {answer.status for answer in await asyncio.gather(*(ask(gw) for _ in range(100)))}

        assert await hundred() == {200}
        assert len(issuing.asked) == 1
        await asyncio.sleep(0.8)
        issuing.life_s = 3600
        assert await hundred() == {200}
        assert len(issuing.asked) == 2
        issuing.revoke()
        refused = host.refused
        assert await hundred() == {200}
        assert len(issuing.asked) == 3
        assert host.refused - refused <= 100


@pytest.mark.parametrize("identity", ["service account", "client secret"])
async def test_a_token_that_ends_in_mid_flight_is_replaced_and_the_call_repeated_once(identity, tmp_path):
    """The upstream finds it expired though it was not when it left: the client sees none of it."""
    async with scene(identity, tmp_path) as (gw, issuing, host):
        assert (await ask(gw)).status == 200
        issuing.revoke()
        answer = await ask(gw)
        assert answer.status == 200
        assert (host.refused, len(host.seen), len(issuing.asked)) == (1, 3, 2)
        host.always_refuses = True
        answer = await ask(gw)
        assert answer.status == 502, "it is the operator's credential that was refused, not the client's key"
        assert b"provider_credential_refused" in answer.body
        assert len(host.seen) - 3 <= 2, "one more try, not many"
        assert b"ya29" not in answer.body, "the token it was refused with is not told"


async def test_a_stream_outlives_the_token_it_began_with(tmp_path):
    """Expiry in the middle of an answer is nothing to that answer; the next call has the next token."""
    async with issuer(life_s=0.3) as issuing:
        tokens = []

        async def slow(reader, writer):
            while True:
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    writer.close()
                    return
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                tokens.append(head.lower().partition(b"authorization: bearer ")[2].partition(b"\r\n")[0])
                writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                for text in ("a", "b"):
                    delta = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
                    delta["choices"] = [
                        {"index": 0, "delta": {"content": text}, "finish_reason": "stop" if text == "b" else None}
                    ]
                    event = b"data: " + json.dumps(delta).encode() + b"\n\n"
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                    await writer.drain()
                    await asyncio.sleep(0.5 if text == "a" and len(tokens) == 1 else 0)
                writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        body = json.dumps({**json.loads(CHAT), "stream": True}).encode()
        async with gateway(provider_of("client secret", f"http://127.0.0.1:{port}/v1", issuing, tmp_path), tmp_path) as gw:
            first = asyncio.create_task(ask(gw, body))
            await asyncio.sleep(0.4)
            second = await ask(gw, body)
            assert b"[DONE]" in (await first).body
            assert b"[DONE]" in second.body
        server.close()
        assert len(set(tokens)) == 2


TROUBLES = {
    "html": (200, "<html>captive portal</html>"),
    "500": (500, {"error": "server_error"}),
    "revoked": (400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}),
    "no token": (200, {"hello": "world"}),
    "skew": (400, {"error": "invalid_grant", "error_description": "Invalid JWT"}, {"date": "Mon, 01 Jan 2024 00:00:00 GMT"}),
}
SAID = {"html": "text/html", "500": "server_error", "revoked": "revoked", "no token": "access_token", "skew": "clock"}


@pytest.mark.parametrize("identity", ["service account", "login of gcloud's", "client secret"])
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_an_issuer_in_trouble_is_told_with_provider_and_account_and_no_secret(identity, trouble, tmp_path):
    """What a client reads, and an operator in the client's log: who, where, what to do."""
    async with scene(identity, tmp_path) as (gw, issuing, host):
        issuing.trouble = TROUBLES[trouble]
        answer = await ask(gw)
        told = answer.body.decode()
        assert answer.status == 502
        account = {"service account": "bot@proj", "client secret": "application app-1 in tenant tenant-1"}.get(
            identity, "gcloud user"
        )
        for word in ("'cloud'", account, f"127.0.0.1:{issuing.port}", SAID[trouble]):
            assert word in told
        for secret in ("shh", "1//refresh", "PRIVATE KEY", "assertion"):
            assert secret not in told
        assert not host.seen
        issuing.trouble = None
        await asyncio.sleep(0)
        assert (await ask(gw)).status == 502, "not asked again at once"
        assert len(issuing.asked) == 1


async def test_an_issuer_that_hangs_does_not_hold_calls_for_ever(tmp_path, monkeypatch):
    """Bounded waiting: the time of one request for a token."""
    monkeypatch.setattr("gatewright.providers.auth.token_endpoint.TIMEOUT_S", 0.1)
    async with scene("client secret", tmp_path) as (gw, issuing, host):
        issuing.trouble = lambda _: None
        answer = await ask(gw)
        assert answer.status == 504
        assert f"127.0.0.1:{issuing.port}" in answer.body.decode()
        assert not host.seen


GEMINI = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).encode()
SPOKEN = {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}


@pytest.mark.parametrize("kind", ["vertex", "azure"])
async def test_the_clouds_themselves(kind, tmp_path):
    """By their own kinds: the path that the vendor documents, and a token for it."""
    async with issuer() as issuing:
        seen = []

        def answer(asked):
            seen.append(asked)
            if not issuing.holds(asked.headers.get("authorization", "")):
                return 401, {"error": {"message": "no"}}
            return 200, SPOKEN if kind == "vertex" else ANSWER

        async with serving(answer) as port:
            if kind == "vertex":
                (tmp_path / "sa.json").write_text(service_account(f"{issuing.url}/token"))
                told = "auth: google, credentials_file: sa.json, project: proj, location: europe-west4"
                path, body = "/v1beta/models/cloud%2Fgemini-2.5-pro:generateContent", GEMINI
                place = "/v1beta1/projects/proj/locations/europe-west4/publishers/google/models/gemini-2.5-pro:generateContent"
            else:
                told = f"auth: entra, authority: '{issuing.url}', tenant_id: tenant-1, client_id: app-1, client_secret: shh-entra"
                path, body, place = "/v1/chat/completions", CHAT, "/openai/v1/chat/completions"
            yaml = f"providers: {{cloud: {{kind: {kind}, base_url: 'http://127.0.0.1:{port}', {told}}}}}"
            async with gateway(yaml, tmp_path) as gw:
                assert (await call(gw.port, path, body)).status == 200
                issuing.revoke()
                assert (await call(gw.port, path, body)).status == 200
        assert [asked.path for asked in seen] == [place] * 3
        assert not {"api-key", "x-goog-api-key"} & set(seen[0].headers)


async def test_another_target_serves_when_an_identity_cannot(tmp_path):
    """A credential that fails is a failure of its target, not of the call."""
    async with issuer() as issuing, serving(lambda _: (200, ANSWER)) as port:
        issuing.trouble = TROUBLES["revoked"]
        yaml = provider_of("service account", f"http://127.0.0.1:{port}/v1", issuing, tmp_path)
        yaml = yaml[:-1] + f", spare: {{kind: custom, base_url: 'http://127.0.0.1:{port}/v1'}}}}"
        yaml += "\nmodels: {m: {targets: [cloud/m], fallback: [spare/m]}}"
        async with gateway(yaml, tmp_path) as gw:
            answer = await ask(gw, CHAT.replace(b"cloud/m", b"m"))
            assert (answer.status, answer.headers["x-gatewright-target"]) == (200, "spare/m")
