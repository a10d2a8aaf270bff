"""boto3's own client: Converse, and InvokeModel with Anthropic's Messages as its body. What was heard goes back as it came."""

import base64
import contextlib
import functools
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import boto3
import botocore.exceptions
from botocore.config import Config

from tests.sdk.talk import SYSTEM, Called, Failed, Finish, Heard, Place, Trip, Wish

FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tools",
    "max_tokens": "length",
    "content_filtered": "filter",
    "guardrail_intervened": "filter",
    "refusal": "refusal",
}
VERSION = "bedrock-2023-05-31"


@functools.cache
def connect(url: str, key: str, ca_file: str = "") -> Any:
    """A client as an operator makes it: an endpoint and a bearer token. One for all: what it reads at its start is large."""
    with bearer(key):
        settings = Config(retries={"total_max_attempts": 1}, read_timeout=30)
        trust = {"verify": ca_file} if ca_file else {}
        return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=url, config=settings, **trust)


@contextlib.contextmanager
def bearer(key: str) -> Iterator[None]:
    """$AWS_BEARER_TOKEN_BEDROCK, which boto3 reads when a client is made and at each call."""
    before = os.environ.get("AWS_BEARER_TOKEN_BEDROCK")
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
    try:
        yield
    finally:
        if before is None:
            del os.environ["AWS_BEARER_TOKEN_BEDROCK"]
        else:
            os.environ["AWS_BEARER_TOKEN_BEDROCK"] = before


def failed(error: Exception, partial: str) -> Failed:
    response = getattr(error, "response", {})
    meta = response.get("ResponseMetadata", {})
    code = response.get("Error", {}).get("Code", "")
    return Failed(
        kind=code or type(error).__name__,
        status=meta.get("HTTPStatusCode"),
        retry_after=meta.get("HTTPHeaders", {}).get("retry-after"),
        message=str(error),
        partial=partial,
    )


FAILURES = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)


class ConverseTalk:
    def __init__(self, place: Place, ca_file: str = "") -> None:
        self.client = connect(place.url, place.key, ca_file)
        self._key = place.key
        self._model = place.model
        self._history: list[Any] = []
        self._wish = Wish()

    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        shown = [{"image": {"format": "png", "source": {"bytes": image}}} for image in images if isinstance(image, bytes)]
        self._history.append({"role": "user", "content": [*shown, {"text": text}]})
        self._wish = wish
        return self._turn()

    def give(self, results: Mapping[str, str]) -> Heard:
        blocks = [{"toolResult": {"toolUseId": key, "content": [{"text": value}]}} for key, value in results.items()]
        self._history.append({"role": "user", "content": blocks})
        return self._turn()

    def move(self, model: str) -> None:
        self._model = model

    def count(self, text: str) -> int | None:
        asked = {"converse": {"messages": [{"role": "user", "content": [{"text": text}]}]}}
        with bearer(self._key):
            return int(self.client.count_tokens(modelId=self._model, input=asked)["inputTokens"])

    def close(self) -> None:
        """The client goes on: others share it."""

    def settings(self) -> dict[str, Any]:
        wish = self._wish
        limits: dict[str, Any] = {"maxTokens": 4096}
        found: dict[str, Any] = {"modelId": self._model, "messages": self._history, "system": [{"text": SYSTEM}]}
        if wish.tools:
            specs = [{"name": t.name, "description": t.description, "inputSchema": {"json": t.schema}} for t in wish.tools]
            found["toolConfig"] = {"tools": [{"toolSpec": spec} for spec in specs]}
            if wish.forced is not None:
                found["toolConfig"]["toolChoice"] = {"tool": {"name": wish.forced}} if wish.forced else {"any": {}}
        if wish.structured:
            schema = {"schema": json.dumps(Trip.model_json_schema()), "name": "Trip"}
            found["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
        if wish.think:
            found["additionalModelRequestFields"] = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
        if wish.tuned:
            limits = {"temperature": 0.3, "maxTokens": 500, "stopSequences": ["END"]}
        return {**found, "inferenceConfig": limits}

    def _turn(self) -> Heard:
        with bearer(self._key):
            return self._ask()

    def _ask(self) -> Heard:
        pieces: list[str] = []
        try:
            if self._wish.stream:
                with contextlib.closing(self.client.converse_stream(**self.settings())["stream"]) as stream:
                    message, reason, usage = gathered(stream, pieces)
            else:
                answer = self.client.converse(**self.settings())
                message, reason, usage = answer["output"]["message"], answer["stopReason"], answer["usage"]
        except FAILURES as error:
            raise failed(error, "".join(pieces)) from error
        self._history.append(message)
        content = message["content"]
        said = "".join(block["text"] for block in content if "text" in block)
        thoughts = [block["reasoningContent"].get("reasoningText", {}) for block in content if "reasoningContent" in block]
        calls = [block["toolUse"] for block in content if "toolUse" in block]
        cached = usage.get("cacheReadInputTokens", 0)
        return Heard(
            text=said,
            finish=FINISH[reason],
            calls=tuple(Called(id=c["toolUseId"], name=c["name"], arguments=c["input"]) for c in calls),
            thoughts="".join(thought.get("text", "") for thought in thoughts),
            refusal=said if FINISH[reason] == "filter" else "",
            trip=Trip.model_validate_json(said).model_dump() if self._wish.structured else None,
            pieces=len(pieces),
            input=usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0),
            cached=cached,
            output=usage["outputTokens"],
        )


def gathered(stream: Any, pieces: list[str]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Message, stop reason and usage of a stream, put together as AWS's examples do. Text goes to `pieces` as it comes."""
    blocks: dict[int, dict[str, Any]] = {}
    role, reason, usage = "", "", {}
    for event in stream:
        if "messageStart" in event:
            role = event["messageStart"]["role"]
        elif "contentBlockStart" in event:
            start = event["contentBlockStart"]
            blocks[start["contentBlockIndex"]] = {"toolUse": {**start["start"]["toolUse"], "input": ""}}
        elif "contentBlockDelta" in event:
            index, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
            if "text" in delta:
                pieces.append(delta["text"])
                block = blocks.setdefault(index, {"text": ""})
                block["text"] += delta["text"]
            elif "toolUse" in delta:
                blocks[index]["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "reasoningContent" in delta:
                told = delta["reasoningContent"]
                block = blocks.setdefault(index, {"reasoningContent": {}})["reasoningContent"]
                if "redactedContent" in told:
                    block["redactedContent"] = told["redactedContent"]
                else:
                    text = block.setdefault("reasoningText", {"text": ""})
                    text["text"] += told.get("text", "")
                    if "signature" in told:
                        text["signature"] = text.get("signature", "") + told["signature"]
        elif "messageStop" in event:
            reason = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return {"role": role, "content": [blocks[index] for index in sorted(blocks)]}, reason, usage


class InvokeTalk:
    def __init__(self, place: Place, ca_file: str = "") -> None:
        self.client = connect(place.url, place.key, ca_file)
        self._key = place.key
        self._model = place.model
        self._history: list[Any] = []
        self._wish = Wish()

    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        sources = [
            {"type": "url", "url": image}
            if isinstance(image, str)
            else {"type": "base64", "media_type": "image/png", "data": base64.b64encode(image).decode()}
            for image in images
        ]
        content = [*({"type": "image", "source": source} for source in sources), {"type": "text", "text": text}]
        self._history.append({"role": "user", "content": content})
        self._wish = wish
        return self._turn()

    def give(self, results: Mapping[str, str]) -> Heard:
        blocks = [{"type": "tool_result", "tool_use_id": key, "content": value} for key, value in results.items()]
        self._history.append({"role": "user", "content": blocks})
        return self._turn()

    def move(self, model: str) -> None:
        self._model = model

    def count(self, text: str) -> int | None:
        body = {"anthropic_version": VERSION, "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
        with bearer(self._key):
            counted = self.client.count_tokens(modelId=self._model, input={"invokeModel": {"body": json.dumps(body)}})
        return int(counted["inputTokens"])

    def close(self) -> None:
        """The client goes on: others share it."""

    def settings(self) -> dict[str, Any]:
        wish = self._wish
        found: dict[str, Any] = {
            "anthropic_version": VERSION,
            "messages": self._history,
            "max_tokens": 4096,
            "system": SYSTEM,
        }
        if wish.tools:
            found["tools"] = [{"name": t.name, "description": t.description, "input_schema": t.schema} for t in wish.tools]
            if wish.forced is not None:
                found["tool_choice"] = {"type": "tool", "name": wish.forced} if wish.forced else {"type": "any"}
        if wish.structured:
            schema = anthropic.transform_schema(Trip)
            found["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if wish.think:
            found["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if wish.tuned:
            found |= {"temperature": 0.3, "max_tokens": 500, "stop_sequences": ["END"]}
        return found

    def _turn(self) -> Heard:
        with bearer(self._key):
            return self._ask()

    def _ask(self) -> Heard:
        pieces: list[str] = []
        asked = {"modelId": self._model, "body": json.dumps(self.settings())}
        try:
            if self._wish.stream:
                with contextlib.closing(self.client.invoke_model_with_response_stream(**asked)["body"]) as stream:
                    answer = assembled(stream, pieces)
            else:
                answer = json.loads(self.client.invoke_model(**asked)["body"].read())
        except FAILURES as error:
            raise failed(error, "".join(pieces)) from error
        content = answer["content"]
        self._history.append({"role": "assistant", "content": content})
        said = "".join(block["text"] for block in content if block["type"] == "text")
        usage = answer["usage"]
        cached = usage.get("cache_read_input_tokens") or 0
        return Heard(
            text=said,
            finish=FINISH[answer["stop_reason"]],
            calls=tuple(Called(id=b["id"], name=b["name"], arguments=b["input"]) for b in content if b["type"] == "tool_use"),
            thoughts="".join(block["thinking"] for block in content if block["type"] == "thinking"),
            refusal=said if answer["stop_reason"] == "refusal" else "",
            trip=Trip.model_validate_json(said).model_dump() if self._wish.structured else None,
            pieces=len(pieces),
            input=usage["input_tokens"] + cached + (usage.get("cache_creation_input_tokens") or 0),
            cached=cached,
            output=usage["output_tokens"],
            model=answer["model"],
        )


def assembled(stream: Any, pieces: list[str]) -> dict[str, Any]:
    """The message of a stream of chunks, each an event of Anthropic's. Text goes to `pieces` as it comes."""
    message: dict[str, Any] = {}
    for event in stream:
        told = json.loads(event["chunk"]["bytes"])
        match told["type"]:
            case "message_start":
                message = told["message"]
            case "content_block_start":
                message["content"].append(
                    {**told["content_block"], **({"input": ""} if "input" in told["content_block"] else {})}
                )
            case "content_block_delta":
                block, delta = message["content"][told["index"]], told["delta"]
                if delta["type"] == "text_delta":
                    pieces.append(delta["text"])
                field = {"input_json_delta": "partial_json"}.get(delta["type"]) or delta["type"].removesuffix("_delta")
                kept = "input" if field == "partial_json" else field
                block[kept] = block.get(kept, "") + delta[field]
            case "content_block_stop":
                block = message["content"][told["index"]]
                if "input" in block:
                    block["input"] = json.loads(block["input"] or "{}")
            case "message_delta":
                message |= told["delta"]
                message["usage"] |= told["usage"]
            case "message_stop":
                assert told["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == message["usage"]["output_tokens"]
    return message
