"""The anthropic package, `client.messages`: the content of an answer goes back as it came."""

import base64
from collections.abc import Mapping

import anthropic
import httpx2

from tests.sdk.talk import SYSTEM, Called, Failed, Finish, Heard, Place, Trip, Wish

FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "tool_use": "tools",
    "max_tokens": "length",
    "refusal": "refusal",
    "stop_sequence": "stop",
}


class MessagesTalk:
    def __init__(self, place: Place) -> None:
        self._client = anthropic.Anthropic(base_url=place.url, api_key=place.key, max_retries=0, timeout=30)
        self._model = place.model
        self._history: list = []
        self._wish = Wish()

    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        content: object = text
        if images:
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
        try:
            return self._client.messages.count_tokens(
                model=self._model, messages=[{"role": "user", "content": text}]
            ).input_tokens
        except anthropic.AnthropicError as error:
            raise failed(error, "") from error

    def close(self) -> None:
        self._client.close()

    def _settings(self) -> dict:
        wish = self._wish
        found: dict = {"model": self._model, "messages": self._history, "max_tokens": 4096, "system": SYSTEM}
        if wish.tools:
            found["tools"] = [{"name": t.name, "description": t.description, "input_schema": t.schema} for t in wish.tools]
            if wish.forced is not None:
                found["tool_choice"] = {"type": "tool", "name": wish.forced} if wish.forced else {"type": "any"}
        if wish.structured:
            found["output_format"] = Trip
        if wish.think:
            found["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if wish.tuned:
            found |= {"extra_body": {"temperature": 0.3}, "max_tokens": 500, "stop_sequences": ["END"]}
        return found

    def _turn(self) -> Heard:
        pieces, partial = 0, ""
        try:
            if self._wish.stream:
                with self._client.messages.stream(**self._settings()) as stream:
                    for delta in stream.text_stream:
                        pieces += 1
                        partial += delta
                    answer = stream.get_final_message()
            elif self._wish.structured:
                answer = self._client.messages.parse(**self._settings())
            else:
                answer = self._client.messages.create(**self._settings())
        except (anthropic.AnthropicError, httpx2.HTTPError) as error:
            raise failed(error, partial) from error
        self._history.append({"role": "assistant", "content": answer.content})
        said = "".join(block.text for block in answer.content if block.type == "text")
        parsed = next(
            (
                block.parsed_output
                for block in answer.content
                if block.type == "text" and isinstance(getattr(block, "parsed_output", None), Trip)
            ),
            None,
        )
        usage = answer.usage
        cached = usage.cache_read_input_tokens or 0
        return Heard(
            text=said,
            finish=FINISH[answer.stop_reason],
            calls=tuple(Called(id=b.id, name=b.name, arguments=b.input) for b in answer.content if b.type == "tool_use"),
            thoughts="".join(block.thinking for block in answer.content if block.type == "thinking"),
            refusal=said if answer.stop_reason == "refusal" else "",
            trip=parsed.model_dump() if parsed is not None else None,
            pieces=pieces,
            input=usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            cached=cached,
            output=usage.output_tokens,
            model=answer.model,
        )


def failed(error: Exception, partial: str) -> Failed:
    response = getattr(error, "response", None)
    return Failed(
        kind=type(error).__name__,
        status=getattr(error, "status_code", None),
        retry_after=response.headers.get("retry-after") if response is not None else None,
        message=str(error),
        partial=partial,
    )
