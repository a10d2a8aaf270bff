"""The openai package, `client.responses`, stateless: the output items go back into the input."""

import base64
import json
from collections.abc import Mapping

import httpx2
import openai

from tests.sdk.clients.openai_chat import failed
from tests.sdk.talk import SYSTEM, Called, Failed, Finish, Heard, Place, Trip, Wish

INCOMPLETE: dict[str, Finish] = {"max_output_tokens": "length", "content_filter": "filter"}


class ResponsesTalk:
    def __init__(self, place: Place) -> None:
        self._client = openai.OpenAI(base_url=f"{place.url}/v1", api_key=place.key, max_retries=0, timeout=30)
        self._model = place.model
        self._history: list = []
        self._wish = Wish()

    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        content: object = text
        if images:
            urls = [
                image if isinstance(image, str) else f"data:image/png;base64,{base64.b64encode(image).decode()}"
                for image in images
            ]
            content = [
                {"type": "input_text", "text": text},
                *({"type": "input_image", "image_url": url, "detail": "auto"} for url in urls),
            ]
        self._history.append({"role": "user", "content": content})
        self._wish = wish
        return self._turn()

    def give(self, results: Mapping[str, str]) -> Heard:
        self._history += [{"type": "function_call_output", "call_id": key, "output": value} for key, value in results.items()]
        return self._turn()

    def move(self, model: str) -> None:
        self._model = model

    def count(self, text: str) -> int | None:
        try:
            return self._client.responses.input_tokens.count(model=self._model, input=text).input_tokens
        except openai.OpenAIError as error:
            raise failed(error, "") from error

    def close(self) -> None:
        self._client.close()

    def _settings(self) -> dict:
        wish = self._wish
        found: dict = {"model": self._model, "input": self._history, "instructions": SYSTEM, "store": False}
        if wish.tools:
            found["tools"] = [
                {"type": "function", "name": t.name, "description": t.description, "parameters": t.schema, "strict": t.strict}
                for t in wish.tools
            ]
            if wish.forced is not None:
                found["tool_choice"] = {"type": "function", "name": wish.forced} if wish.forced else "required"
        if wish.structured:
            found["text_format"] = Trip
        if wish.think:
            found["reasoning"] = {"effort": "low", "summary": "auto"}
            found["include"] = ["reasoning.encrypted_content"]
        if wish.tuned:
            found |= {"temperature": 0.3, "top_p": 0.9, "max_output_tokens": 500}
        return found

    def _turn(self) -> Heard:
        pieces, partial = 0, ""
        try:
            if self._wish.stream:
                with self._client.responses.stream(**self._settings()) as stream:
                    for event in stream:
                        if event.type == "response.output_text.delta":
                            pieces += 1
                            partial += event.delta
                        elif event.type in {"error", "response.failed"}:
                            told = event if event.type == "error" else event.response.error
                            raise Failed(
                                kind=event.type,
                                status=None,
                                retry_after=None,
                                message=f"{told.code}: {told.message}",
                                partial=partial,
                            )
                        elif event.type == "response.incomplete":
                            break
                    answer = event.response if event.type == "response.incomplete" else stream.get_final_response()
            elif self._wish.structured:
                answer = self._client.responses.parse(**self._settings())
            else:
                answer = self._client.responses.create(**self._settings())
        except (openai.OpenAIError, httpx2.HTTPError, RuntimeError) as error:
            raise failed(error, partial) from error
        self._history += answer.output
        calls = tuple(
            Called(id=item.call_id, name=item.name, arguments=json.loads(item.arguments or "{}"))
            for item in answer.output
            if item.type == "function_call"
        )
        refusal = "".join(
            part.refusal for item in answer.output if item.type == "message" for part in item.content if part.type == "refusal"
        )
        parsed = getattr(answer, "output_parsed", None)
        finish: Finish = "tools" if calls else "stop"
        if answer.status == "incomplete":
            finish = INCOMPLETE[answer.incomplete_details.reason]
        elif refusal:
            finish = "refusal"
        return Heard(
            text=answer.output_text,
            finish=finish,
            calls=calls,
            thoughts="".join(part.text for item in answer.output if item.type == "reasoning" for part in item.summary),
            refusal=refusal,
            trip=parsed.model_dump() if isinstance(parsed, Trip) else None,
            pieces=pieces,
            input=answer.usage.input_tokens,
            cached=answer.usage.input_tokens_details.cached_tokens,
            output=answer.usage.output_tokens,
            model=answer.model,
        )
