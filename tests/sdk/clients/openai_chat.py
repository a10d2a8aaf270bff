"""The openai package, `client.chat.completions`, as its README says to use it."""

import base64
import json
from collections.abc import Mapping

import httpx2
import openai

from tests.sdk.talk import SYSTEM, Called, Failed, Finish, Heard, Place, Trip, Wish

FINISH: dict[str, Finish] = {"stop": "stop", "tool_calls": "tools", "length": "length", "content_filter": "filter"}


class ChatTalk:
    def __init__(self, place: Place) -> None:
        self._client = openai.OpenAI(base_url=f"{place.url}/v1", api_key=place.key, max_retries=0, timeout=30)
        self._model = place.model
        self._history: list = [{"role": "system", "content": SYSTEM}]
        self._wish = Wish()

    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        content: object = text
        if images:
            urls = [
                image if isinstance(image, str) else f"data:image/png;base64,{base64.b64encode(image).decode()}"
                for image in images
            ]
            content = [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]
        self._history.append({"role": "user", "content": content})
        self._wish = wish
        return self._turn()

    def give(self, results: Mapping[str, str]) -> Heard:
        self._history += [{"role": "tool", "tool_call_id": key, "content": value} for key, value in results.items()]
        return self._turn()

    def move(self, model: str) -> None:
        self._model = model

    def count(self, text: str) -> int | None:
        return None

    def close(self) -> None:
        self._client.close()

    def _settings(self) -> dict:
        wish = self._wish
        found: dict = {"model": self._model, "messages": self._history}
        if wish.tools:
            found["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": t.schema, "strict": t.strict},
                }
                for t in wish.tools
            ]
            if wish.forced is not None:
                found["tool_choice"] = {"type": "function", "function": {"name": wish.forced}} if wish.forced else "required"
        if wish.structured:
            found["response_format"] = Trip
        if wish.think:
            found["reasoning_effort"] = "low"
        if wish.tuned:
            found |= {"temperature": 0.3, "top_p": 0.9, "max_tokens": 500, "stop": ["END"]}
        return found

    def _turn(self) -> Heard:
        pieces, partial = 0, ""
        try:
            if self._wish.stream:
                with self._client.chat.completions.stream(**self._settings(), stream_options={"include_usage": True}) as stream:
                    for event in stream:
                        if event.type == "content.delta":
                            pieces += 1
                            partial += event.delta
                    answer = stream.get_final_completion()
            elif self._wish.structured:
                answer = self._client.chat.completions.parse(**self._settings())
            else:
                answer = self._client.chat.completions.create(**self._settings())
        except openai.LengthFinishReasonError as error:
            answer = error.completion
        except openai.ContentFilterFinishReasonError:
            return Heard(text=partial, finish="filter", pieces=pieces)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            raise failed(error, partial) from error
        choice = answer.choices[0]
        message = choice.message
        self._history.append(message)
        calls = tuple(
            Called(id=c.id, name=c.function.name, arguments=json.loads(c.function.arguments or "{}"))
            for c in message.tool_calls or ()
        )
        parsed = getattr(message, "parsed", None)
        usage = answer.usage
        return Heard(
            text=message.content or "",
            finish="refusal" if message.refusal else FINISH[choice.finish_reason],
            calls=calls,
            thoughts=(message.model_extra or {}).get("reasoning_content") or "",
            refusal=message.refusal or "",
            trip=parsed.model_dump() if isinstance(parsed, Trip) else None,
            pieces=pieces,
            input=usage.prompt_tokens,
            cached=(usage.prompt_tokens_details.cached_tokens or 0) if usage.prompt_tokens_details else 0,
            output=usage.completion_tokens,
            model=answer.model,
        )


def failed(error: Exception, partial: str) -> Failed:
    """Also for the Responses client: the exceptions are the same."""
    response = getattr(error, "response", None)
    return Failed(
        kind=type(error).__name__,
        status=getattr(error, "status_code", None),
        retry_after=response.headers.get("retry-after") if response is not None else None,
        message=str(error),
        partial=partial,
    )
