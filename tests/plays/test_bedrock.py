"""Bedrock from the configuration to the upstream and back: signed calls, Claude by InvokeModel, others by Converse."""

import asyncio
import json
import time

import pytest

from gatewright.wire.eventstream import Decoder
from gatewright.wire.sse import SseParser
from tests.plays.bedrock_stand_in import CLAUDE, MESSAGE, NOVA, REGION, SECRET, bedrock, exception
from tests.providers.auth.aws_server import aws
from tests.serving import KEY, call, gateway, upstream
from tests.serving import answer as answered

STATIC = f"region: {REGION}, access_key_id: AKIAGOOD, secret_access_key: {SECRET}"


def provider(cloud, told=STATIC):
    return f"providers: {{bedrock: {{base_url: '{cloud.url}', auth: aws, {told}}}}}"


def chat(model, *, stream=False):
    asked = {"model": f"bedrock/{model}", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
    return json.dumps({**asked, **({"stream": True} if stream else {})}).encode()


async def test_an_anthropic_client_reaches_claude_by_invoke_model_whole(tmp_path):
    """The answer is Anthropic's own, byte for byte; the id of the model is one segment of the path."""
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        answer = await call(gw.port, "/v1/messages", chat(CLAUDE))
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["content"] == [{"type": "text", "text": "Hello from Claude"}]
    path, headers, body = cloud.seen[0]
    assert path == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
    assert json.loads(body) == {
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 50,
        "anthropic_version": "bedrock-2023-05-31",
    }
    assert "anthropic-version" not in headers


async def test_an_anthropic_client_reaches_claude_by_invoke_model_streamed(tmp_path):
    """Frames of base64 become the events that Anthropic sends."""
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        answer = await call(gw.port, "/v1/messages", chat(CLAUDE, stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(data) for _, data in SseParser().feed(answer.body)]
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert cloud.seen[0][0].endswith("/invoke-with-response-stream")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "verb", "text"),
    [(CLAUDE, ("/invoke", "/invoke-with-response-stream"), "Claude"), (NOVA, ("/converse", "/converse-stream"), "Nova")],
)
async def test_a_chat_client_reaches_each_model_in_its_own_way(tmp_path, model, verb, text, stream):
    """Nobody says which API: the model does."""
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        answer = await call(gw.port, "/v1/chat/completions", chat(model, stream=stream))
    assert answer.status == 200, answer.body
    assert cloud.seen[0][0].endswith(verb[stream])
    if stream:
        chunks = [json.loads(data) for _, data in SseParser().feed(answer.body) if data != b"[DONE]"]
        said = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    else:
        said = json.loads(answer.body)["choices"][0]["message"]["content"]
    assert said == f"Hello from {text}"


async def test_frames_of_a_converse_client_pass_untouched(tmp_path):
    """Padding, order and spelling included."""
    body = json.dumps({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}).encode()
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        answer = await call(gw.port, "/model/bedrock%2Famazon.nova-lite-v1%3A0/converse-stream", body)
        pinned = await call(gw.port, "/bedrock/model/amazon.nova-lite-v1%3A0/converse-stream", body)
        _, _, _, frames = cloud.answer("POST", cloud.seen[0][0], {"authorization": f"Bearer {cloud.bearer}"}, body)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert answer.body == pinned.body == frames
    assert cloud.seen[0][2] == body


async def test_an_invoke_client_reaches_claude_and_gets_frames(tmp_path):
    """Claude Code with CLAUDE_CODE_USE_BEDROCK speaks so."""
    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    asked["anthropic_beta"] = ["interleaved-thinking-2025-05-14", "made-up-2030-01-01"]
    path = f"/bedrock/model/{CLAUDE.replace(':', '%3A')}/invoke"
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        whole = await call(gw.port, path, json.dumps(asked).encode())
        streamed = await call(gw.port, f"{path}-with-response-stream", json.dumps(asked).encode())
    assert json.loads(whole.body)["content"][0]["text"] == "Hello from Claude"
    assert whole.headers["x-amzn-bedrock-output-token-count"] == "5"
    assert streamed.headers["content-type"] == "application/vnd.amazon.eventstream"
    messages = Decoder().feed(streamed.body)
    assert {message.headers[":event-type"] for message in messages} == {"chunk"}
    assert len(messages) == 7
    sent = json.loads(cloud.seen[0][2])
    assert sent["anthropic_beta"] == ["interleaved-thinking-2025-05-14"]
    assert whole.headers["x-gatewright-loss"].startswith('"anthropic-beta";w=hint')


GUARDED = f"authorization: Bearer {KEY}\r\nx-amzn-bedrock-guardrailidentifier: gr-1\r\nx-amzn-bedrock-guardrailversion: 2\r\n"
INVOKED = b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'


async def test_guardrails_of_an_invoke_client_reach_bedrock(tmp_path):
    """They are asked for in headers, which are signed along."""
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        answer = await call(gw.port, f"/bedrock/model/{CLAUDE.replace(':', '%3A')}/invoke", INVOKED, headers=GUARDED)
    assert answer.status == 200, answer.body
    headers = cloud.seen[0][1]
    assert (headers["x-amzn-bedrock-guardrailidentifier"], headers["x-amzn-bedrock-guardrailversion"]) == ("gr-1", "2")
    assert "x-amzn-bedrock-guardrailidentifier" in headers["authorization"]
    assert "x-gatewright-loss" not in answer.headers


async def test_guardrails_that_nobody_else_knows_are_a_loss_or_a_refusal(tmp_path):
    """Never passed over in silence: somebody relies on them."""
    async with upstream() as up:
        config = (
            f"providers: {{claude: {{kind: anthropic, base_url: 'http://127.0.0.1:{up.port}', api_key: k}}}}\n"
            "models: {loose: {targets: [claude/m]}, strict: {targets: [claude/m], losses: refuse}}"
        )
        up.answers = [[answered(json.dumps(MESSAGE).encode())]]
        async with gateway(config, tmp_path) as gw:
            told = await call(gw.port, "/model/loose/invoke", INVOKED, headers=GUARDED)
            refused = await call(gw.port, "/model/strict/invoke", INVOKED, headers=GUARDED)
    assert told.status == 200
    assert '"x-amzn-bedrock-guardrailidentifier";w=dropped' in told.headers["x-gatewright-loss"]
    assert b"guardrail" not in up.head()
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert "guardrailidentifier" in json.loads(refused.body)["message"]
    assert len(up.requests) == 1


async def test_a_bedrock_api_key_needs_no_signature(tmp_path):
    async with bedrock() as cloud:
        config = f"providers: {{bedrock: {{base_url: '{cloud.url}', region: {REGION}, api_key: {cloud.bearer}}}}}"
        async with gateway(config, tmp_path) as gw:
            answer = await call(gw.port, "/v1/messages", chat(CLAUDE))
    assert answer.status == 200, answer.body
    assert cloud.seen[0][1]["authorization"] == f"Bearer {cloud.bearer}"
    assert "x-amz-date" not in cloud.seen[0][1]


async def test_tokens_of_claude_are_counted_by_bedrock(tmp_path):
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        answer = await call(gw.port, "/v1/messages/count_tokens", chat(CLAUDE))
    assert json.loads(answer.body) == {"input_tokens": 7}
    assert cloud.seen[0][0] == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens"


async def test_tokens_that_bedrock_cannot_count_are_estimated(tmp_path):
    """Newer models have inference profiles only, for which it answers 400; Claude Code counts before every turn."""
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        cloud.counts = False
        answer = await call(gw.port, "/v1/messages/count_tokens", chat(CLAUDE))
    assert answer.status == 200
    assert answer.headers["x-gatewright-token-count"] == "estimate"
    assert json.loads(answer.body)["input_tokens"] > 0


async def test_an_exception_within_the_stream_is_the_clients_own_error(tmp_path):
    """Never a clean end."""
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        cloud.tail = exception("modelStreamErrorException", "it broke")
        claude = await call(gw.port, "/v1/messages", chat(CLAUDE, stream=True))
        nova = await call(gw.port, "/v1/messages", chat(NOVA, stream=True))
    for answer in (claude, nova):
        name, data = SseParser().feed(answer.body)[-1]
        assert name == b"error"
        assert "it broke" in json.loads(data)["error"]["message"]


def around(services, **more):
    return {
        "HOME": "/nonexistent",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": services.url,
        "AWS_METADATA_SERVICE_TIMEOUT": "0.5",
        **more,
    }


async def test_keys_that_expire_in_flight_are_renewed_and_the_call_sent_again(tmp_path):
    """A hundred calls at once: one refresh at the start, one after the expiry, and nobody sees an error."""
    async with bedrock() as cloud, aws() as services:
        cloud.keys = {"ASIAIMDS": SECRET, "ASIAIMDS2": SECRET}
        async with gateway(provider(cloud, f"region: {REGION}"), tmp_path, environ=around(services)) as gw:
            first = await asyncio.gather(*(call(gw.port, "/v1/messages", chat(CLAUDE)) for _ in range(100)))
            assert {answer.status for answer in first} == {200}
            assert services.issued == 1
            cloud.expired.add("ASIAIMDS")
            services.key = "ASIAIMDS2"
            second = await asyncio.gather(*(call(gw.port, "/v1/messages", chat(CLAUDE)) for _ in range(100)))
    assert {answer.status for answer in second} == {200}
    assert services.issued == 2
    assert cloud.refused <= 100


@pytest.mark.parametrize(
    ("told", "spoil", "why"),
    [
        (STATIC, lambda cloud: setattr(cloud, "skew_s", 3600), "this machine's clock is wrong"),
        (STATIC.replace(REGION, "us-west-2"), lambda _: None, "does not belong to region us-west-2"),
        (STATIC.replace("AKIAGOOD", "AKIAELSE"), lambda _: None, "AWS does not know its access key"),
        (STATIC.replace(SECRET, "another"), lambda _: None, "is the secret key the one of this access key"),
        (f"{STATIC}, session_token: tok", lambda cloud: cloud.expired.add("AKIAGOOD"), "session token has expired"),
    ],
    ids=["clock", "region", "key", "secret", "expired"],
)
async def test_what_the_operator_must_mend_names_provider_and_account(tmp_path, told, spoil, why):
    """And never the secret."""
    async with bedrock() as cloud, gateway(provider(cloud, told), tmp_path) as gw:
        spoil(cloud)
        answer = await call(gw.port, "/v1/messages", chat(CLAUDE))
    message = json.loads(answer.body)["error"]["message"]
    assert answer.status == 502
    assert why in message
    assert "provider 'bedrock'" in message
    assert "access key AKIA" in message
    assert SECRET not in message


async def test_a_machine_without_credentials_says_so_in_bounded_time(tmp_path):
    """The metadata service hangs, as it does on a laptop."""
    async with bedrock() as cloud, aws() as services:
        services.hangs = True
        async with gateway(provider(cloud, f"region: {REGION}"), tmp_path, environ=around(services)) as gw:
            began = time.monotonic()
            answers = await asyncio.gather(*(call(gw.port, "/v1/messages", chat(CLAUDE)) for _ in range(20)))
            assert time.monotonic() - began < 15, "one wait for all of them, and not one each"
    message = json.loads(answers[0].body)["error"]["message"]
    assert "no AWS credentials are to be found" in message
    assert "provider 'bedrock'" in message
    assert {answer.status for answer in answers} == {502}
    assert len(services.asked) == 1


async def test_a_request_that_a_client_signed_is_told_to_bring_the_key(tmp_path):
    """In AWS's own words, so that the SDK shows it."""
    signed = "authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261121/us-east-1/bedrock/aws4_request, Signature=00\r\n"
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        for action in ("converse", "invoke"):
            answer = await call(gw.port, f"/model/x/{action}", b"{}", headers=signed)
            assert answer.status in (401, 403)
            assert answer.headers["x-amzn-errortype"] == "UnrecognizedClientException"
            assert "AWS_BEARER_TOKEN_BEDROCK" in json.loads(answer.body)["message"]
    assert cloud.seen == []


@pytest.mark.parametrize(
    ("path", "body", "kind", "words"),
    [
        ("/model/x/converse", b"{}", "ResourceNotFoundException", "not served here"),
        ("/model/bedrock%2Fm/invoke", b'{"inputText":"hi"}', "ValidationException", "Anthropic's Messages"),
        ("/model/bedrock%2Fm/invoke", b"nonsense", "ValidationException", "not JSON"),
        ("/model/x/apply-guardrail", b"{}", "ResourceNotFoundException", "Nothing is served"),
    ],
)
async def test_what_cannot_be_served_is_refused_in_bedrocks_words(tmp_path, path, body, kind, words):
    async with bedrock() as cloud, gateway(provider(cloud), tmp_path) as gw:
        answer = await call(gw.port, path, body)
    assert answer.headers["x-amzn-errortype"] == kind
    assert words in json.loads(answer.body)["message"]


async def test_a_fallback_takes_over_where_credentials_fail(tmp_path):
    """An operator's mistake at one provider is no reason to fail the call."""
    async with bedrock() as cloud:
        good, bad = (f"{{kind: bedrock, base_url: '{cloud.url}', auth: aws, {STATIC}}}" for _ in range(2))
        bad = bad.replace("AKIAGOOD", "AKIAELSE")
        config = (
            f"providers: {{one: {bad}, two: {good}}}\nmodels: {{smart: {{targets: [one/{CLAUDE}], fallback: [two/{CLAUDE}]}}}}"
        )
        async with gateway(config, tmp_path) as gw:
            answer = await call(gw.port, "/v1/messages", chat(CLAUDE).replace(f"bedrock/{CLAUDE}".encode(), b"smart"))
    assert answer.status == 200, answer.body
    assert answer.headers["x-gatewright-target"] == f"two/{CLAUDE}"
    assert KEY not in str(cloud.seen)
