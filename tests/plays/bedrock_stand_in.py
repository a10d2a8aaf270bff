"""A loopback Bedrock: believes a signature only if botocore would have made it, and answers in Bedrock's own words."""

import asyncio
import base64
import datetime as dt
import json
import re
from contextlib import asynccontextmanager
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gatewright.wire.eventstream import encode

SECRET = "s3cr3tKEY/of+somebody"
REGION = "eu-west-1"
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"

MESSAGE = {
    "id": "msg_bdrk_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Hello from Claude"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 11, "output_tokens": 5},
}
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello from Nova"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16},
    "metrics": {"latencyMs": 12},
}
CLAUDE_EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "from Claude"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 11, "outputTokenCount": 5}},
]
NOVA_EVENTS = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello "}, "p": "abc"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "from Nova"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16}, "metrics": {"latencyMs": 12}}),
]


def event(name, payload):
    return encode(
        {":event-type": name, ":content-type": "application/json", ":message-type": "event"}, json.dumps(payload).encode()
    )


def chunk(document):
    return event("chunk", {"bytes": base64.b64encode(json.dumps(document).encode()).decode(), "p": "abcdef"})


def exception(name, message):
    return encode(
        {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"},
        json.dumps({"message": message}).encode(),
    )


class Bedrock:
    """What it knows and what it was asked."""

    def __init__(self):
        self.port = 0
        self.keys = {"AKIAGOOD": SECRET}
        """Access key → secret key."""
        self.expired = set()
        self.region = REGION
        self.skew_s = 0
        """How far its clock is ahead of everybody's."""
        self.bearer = "bedrock-api-key"
        self.seen = []
        """(path as on the wire, headers, body) of what was believed."""
        self.refused = 0
        self.counts = True
        self.tail = None
        """Frames in place of the last two of a stream."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method, path, headers, body):
        """(status, error type, content type, body)."""
        why = self._refusal(method, path, headers, body)
        if why is not None:
            self.refused += 1
            return 403, why[0], "application/json", json.dumps({"message": why[1]}).encode()
        self.seen.append((path, headers, body))
        found = re.fullmatch(r"/model/([^/]+)/([a-z-]+)", path)
        if found is None or method != "POST":
            return 404, "UnknownOperationException", "application/json", b"{}"
        model, action = unquote(found[1]), found[2]
        if action.startswith("invoke") != ("claude" in model) and "claude" not in model:
            return 400, "ValidationException", "application/json", b'{"message":"malformed input"}'
        told = json.loads(body)
        match action:
            case "invoke" | "invoke-with-response-stream":
                extra = set(told) & {"model", "stream"}
                if extra or told.get("anthropic_version") != "bedrock-2023-05-31":
                    return 400, "ValidationException", "application/json", b'{"message":"extraneous key"}'
                if action == "invoke":
                    return 200, "", "application/json", json.dumps(MESSAGE).encode()
                return 200, "", "application/vnd.amazon.eventstream", self._frames([chunk(one) for one in CLAUDE_EVENTS])
            case "converse":
                return 200, "", "application/json", json.dumps(CONVERSED).encode()
            case "converse-stream":
                return 200, "", "application/vnd.amazon.eventstream", self._frames([event(*one) for one in NOVA_EVENTS])
            case "count-tokens" if not self.counts:
                return (
                    400,
                    "ValidationException",
                    "application/json",
                    b'{"message":"The provided model doesn\'t support counting tokens."}',
                )
            case "count-tokens":
                return 200, "", "application/json", b'{"inputTokens":7}'
        return 404, "UnknownOperationException", "application/json", b"{}"

    def _frames(self, frames):
        return b"".join(frames if self.tail is None else [*frames[:-2], self.tail])

    def _refusal(self, method, path, headers, body):
        authorization = headers.get("authorization", "")
        if authorization == f"Bearer {self.bearer}":
            return None
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/(\d{8})/([a-z0-9-]+)/bedrock/aws4_request, SignedHeaders=([a-z0-9;-]+), "
            r"Signature=([0-9a-f]{64})",
            authorization,
        )
        if found is None:
            return "MissingAuthenticationTokenException", "Missing Authentication Token"
        key, _, region, names, signature = found.groups()
        if key not in self.keys:
            return "UnrecognizedClientException", "The security token included in the request is invalid."
        if region != self.region:
            return "InvalidSignatureException", "Credential should be scoped to a valid region."
        stamp = headers["x-amz-date"]
        now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.skew_s)
        if abs((now - dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)).total_seconds()) > 300:
            bound = (now - dt.timedelta(minutes=5)).strftime("%Y%m%dT%H%M%SZ")
            return "InvalidSignatureException", f"Signature expired: {stamp} is now earlier than {bound} (5 min.)"
        if not {"content-type", "host", "x-amz-date"} <= set(names.split(";")):
            return "InvalidSignatureException", "'Host' or 'X-Amz-Date' must be a signed header"
        request = AWSRequest(method, f"http://{headers['host']}{path}", {n: headers[n] for n in names.split(";")}, body)
        request.context["timestamp"] = stamp
        signer = SigV4Auth(Credentials(key, self.keys[key], headers.get("x-amz-security-token")), "bedrock", self.region)
        if signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request) != signature:
            return "InvalidSignatureException", "The request signature we calculated does not match the signature you provided."
        if key in self.expired:
            return "ExpiredTokenException", "The security token included in the request is expired"
        return None


@asynccontextmanager
async def bedrock():
    cloud = Bedrock()
    running = set()

    async def one(reader, writer):
        running.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                status, kind, content_type, told = cloud.answer(method, path, headers, body)
                named = f"x-amzn-errortype: {kind}:http://internal.amazon.com/coral/\r\n" if kind else ""
                top = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n{named}content-length: {len(told)}\r\n\r\n"
                writer.write(top.encode() + told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(one, "127.0.0.1", 0)
    cloud.port = listening.sockets[0].getsockname()[1]
    try:
        yield cloud
    finally:
        listening.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
