"""The google-genai package, `client.models.generate_content`: a candidate's content goes back as it came."""

from collections.abc import Mapping

import httpx2
from google import genai
from google.genai import errors, types

from tests.sdk.talk import SYSTEM, Called, Failed, Finish, Heard, Place, Trip, Wish

FINISH: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "filter",
    "PROHIBITED_CONTENT": "refusal",
    "OTHER": "stop",
}


class GeminiTalk:
    def __init__(self, place: Place) -> None:
        options = types.HttpOptions(base_url=place.url, timeout=30_000, retry_options=types.HttpRetryOptions(attempts=1))
        self._client = genai.Client(api_key=place.key, http_options=options)
        self._model = place.model
        self._history: list = []
        self._names: dict[str, str] = {}
        self._wish = Wish()

    def send(self, text: str, wish: Wish, images: tuple[bytes | str, ...] = ()) -> Heard:
        parts = [
            types.Part.from_uri(file_uri=image, mime_type="image/png")
            if isinstance(image, str)
            else types.Part.from_bytes(data=image, mime_type="image/png")
            for image in images
        ]
        self._history.append(types.Content(role="user", parts=[*parts, types.Part.from_text(text=text)]))
        self._wish = wish
        return self._turn()

    def give(self, results: Mapping[str, str]) -> Heard:
        """Ids are Gemini's where it gives any; else `name#position`."""
        parts = []
        for key, value in results.items():
            identity = None if "#" in key else key
            parts.append(
                types.Part(
                    function_response=types.FunctionResponse(id=identity, name=self._names[key], response={"result": value})
                )
            )
        self._history.append(types.Content(role="user", parts=parts))
        return self._turn()

    def move(self, model: str) -> None:
        self._model = model

    def count(self, text: str) -> int | None:
        try:
            return self._client.models.count_tokens(model=self._model, contents=text).total_tokens
        except errors.APIError as error:
            raise failed(error, "") from error

    def close(self) -> None:
        self._client.close()

    def _config(self) -> types.GenerateContentConfig:
        wish = self._wish
        found: dict = {
            "system_instruction": SYSTEM,
            "automatic_function_calling": types.AutomaticFunctionCallingConfig(disable=True),
        }
        if wish.tools:
            declared = [
                types.FunctionDeclaration(name=t.name, description=t.description, parameters_json_schema=dict(t.schema))
                for t in wish.tools
            ]
            found["tools"] = [types.Tool(function_declarations=declared)]
            if wish.forced is not None:
                calling = types.FunctionCallingConfig(
                    mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=[wish.forced] if wish.forced else None
                )
                found["tool_config"] = types.ToolConfig(function_calling_config=calling)
        if wish.structured:
            found |= {"response_mime_type": "application/json", "response_schema": Trip}
        if wish.think:
            found["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
        if wish.tuned:
            found |= {"temperature": 0.3, "top_p": 0.9, "top_k": 40, "max_output_tokens": 500, "stop_sequences": ["END"]}
        return types.GenerateContentConfig(**found)

    def _turn(self) -> Heard:
        partial = ""
        chunks: list[types.GenerateContentResponse] = []
        try:
            if self._wish.stream:
                for chunk in self._client.models.generate_content_stream(
                    model=self._model, contents=self._history, config=self._config()
                ):
                    chunks.append(chunk)
                    partial += said(parts_of(chunk), thought=False)
            else:
                chunks.append(
                    self._client.models.generate_content(model=self._model, contents=self._history, config=self._config())
                )
        except errors.APIError as error:
            raise failed(error, partial) from error
        except (httpx2.HTTPError, ValueError) as error:
            raise Failed(kind=type(error).__name__, status=None, retry_after=None, message=str(error), partial=partial) from error
        parts = [part for chunk in chunks for part in parts_of(chunk)]
        if parts:
            self._history.append(types.Content(role="model", parts=parts))
        last = chunks[-1]
        calls, self._names = [], {}
        for position, call in enumerate(part.function_call for part in parts if part.function_call):
            identity = call.id or f"{call.name}#{position}"
            self._names[identity] = call.name
            calls.append(Called(id=identity, name=call.name, arguments=call.args or {}))
        reason = next(
            (c.candidates[0].finish_reason.name for c in reversed(chunks) if c.candidates and c.candidates[0].finish_reason), None
        )
        blocked = last.prompt_feedback and last.prompt_feedback.block_reason
        if reason is None and not blocked:
            raise Failed(
                kind="no end", status=None, retry_after=None, message="the stream ended without a finish reason", partial=partial
            )
        finish: Finish = "refusal" if blocked else "tools" if calls else FINISH[reason]
        usage = last.usage_metadata
        return Heard(
            text=said(parts, thought=False),
            finish=finish,
            calls=tuple(calls),
            thoughts=said(parts, thought=True),
            trip=last.parsed.model_dump()
            if isinstance(last.parsed, Trip)
            else Trip.model_validate_json(said(parts, thought=False)).model_dump()
            if self._wish.structured and not calls
            else None,
            pieces=sum(1 for part in parts if part.text and not part.thought) if self._wish.stream else 0,
            input=usage.prompt_token_count or 0,
            cached=usage.cached_content_token_count or 0,
            output=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            model=last.model_version or "",
        )


def parts_of(answer: types.GenerateContentResponse) -> list[types.Part]:
    if not answer.candidates or answer.candidates[0].content is None:
        return []
    return answer.candidates[0].content.parts or []


def said(parts: list[types.Part], *, thought: bool) -> str:
    return "".join(part.text for part in parts if part.text and bool(part.thought) is thought)


def failed(error: errors.APIError, partial: str) -> Failed:
    """Google tells when to come back in RetryInfo; its SDK shows the error document, and the response's headers."""
    document = error.details if isinstance(error.details, dict) else {}
    details = document.get("error", document).get("details") or []
    delay = next(
        (entry["retryDelay"].removesuffix("s") for entry in details if str(entry.get("@type", "")).endswith("RetryInfo")), None
    )
    headers = getattr(error.response, "headers", None)
    return Failed(
        kind=type(error).__name__,
        status=error.code,
        retry_after=delay or (headers.get("retry-after") if headers else None),
        message=str(error),
        partial=partial,
    )
