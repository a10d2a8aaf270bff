"""Vertex AI: three dialects under one project and location.

One rule: the base URL is the location's; version, project, location, publisher are here. Claude's model leaves the body for the
path, and its version comes in. With an API key and no project, Gemini is called without either (express mode).
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai
https://cloud.google.com/vertex-ai/generative-ai/docs/migrate/openai/overview
"""

from typing import Self
from urllib.parse import quote

import msgspec

from gatewright.providers.shapes.seam import Said, Settings, Unwrapper
from gatewright.wire.json import decode_object, encode
from gatewright.wire.splice import splice

CLAUDE_VERSION = b'"vertex-2023-10-16"'
COUNTED = b"generateContentRequest"
"""What Google's other API wraps a request in that is to be counted; this one takes the request as it is."""


class _Vertex:
    def __init__(self, settings: Settings) -> None:
        project, location = settings.get("project", ""), settings.get("location", "global")
        self._place = f"/projects/{quote(project, safe='')}/locations/{quote(location, safe='')}" if project else ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings)

    def unwrapper(self, said: Said, content_type: bytes) -> Unwrapper | None:
        return None

    def _model(self, publisher: str, model: str) -> str:
        """Path of a model: of the publisher, or anywhere else in the project where the name says so (tuned models)."""
        if model.startswith("projects/"):
            return f"/{quote(model, safe='/@._~-')}"
        if model.startswith(("publishers/", "endpoints/", "models/")):
            return f"{self._place}/{quote(model.removeprefix('models/'), safe='/@._~-')}"
        return f"{self._place}/publishers/{publisher}/models/{quote(model, safe='@._~-')}"


class VertexGemini(_Vertex):
    """generateContent and its siblings. v1beta1, as Google's own SDK has it: v1 refuses fields that are not yet stable."""

    def request(self, said: Said) -> Said:
        if not said.model:
            return msgspec.structs.replace(said, path=said.path.replace("/v1beta/", f"/v1beta1{self._place}/", 1))
        method = said.path.rpartition(":")[2]
        body = said.body
        if method.startswith("countTokens") and COUNTED in body:
            body = _counted(body)
        return msgspec.structs.replace(said, path=f"/v1beta1{self._model('google', said.model)}:{method}", body=body)


def _counted(body: bytes) -> bytes:
    whole = decode_object(body).get(COUNTED.decode())
    kept = {k: v for k, v in whole.items() if k not in ("model", "cachedContent")} if isinstance(whole, dict) else None
    return body if kept is None else encode(kept)


class VertexAnthropic(_Vertex):
    """Messages, by rawPredict."""

    def request(self, said: Said) -> Said:
        edits: dict[str, bytes | None] = {"anthropic_version": CLAUDE_VERSION}
        if said.path.startswith("/v1/messages/count_tokens"):
            model, method = "count-tokens", "rawPredict"
        else:
            edits["model"] = None
            model, method = said.model, "streamRawPredict" if said.stream else "rawPredict"
        return msgspec.structs.replace(
            said,
            path=f"/v1{self._model('anthropic', model)}:{method}",
            headers=tuple(pair for pair in said.headers if pair[0] != "anthropic-version"),
            body=splice(said.body, edits),
        )


class VertexOpenAI(_Vertex):
    """Models of other makers (`meta/…`, `deepseek-ai/…`), by Chat Completions."""

    def request(self, said: Said) -> Said:
        return msgspec.structs.replace(said, path=f"/v1{self._place}/endpoints/openapi{said.path}")
