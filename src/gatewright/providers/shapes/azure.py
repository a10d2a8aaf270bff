"""Azure OpenAI: two surfaces under one resource, told apart by `api_version`.

One rule: the base URL is the resource's; what follows is here. The v1 surface is OpenAI's API under `/openai/v1`, and the model
is the deployment's name. The older one has the deployment in the path and a dated version in the query.
https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from typing import Self
from urllib.parse import quote

import msgspec

from gatewright.providers.shapes.seam import Said, Settings, Unwrapper

V1 = frozenset({"", "v1", "latest", "preview"})
"""Words for `api_version` that mean the v1 surface; `preview` is said to it."""

BY_DEPLOYMENT = (
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/images/generations",
    "/images/edits",
)
"""Calls of the older surface that name their deployment in the path; all others lie beside the deployments."""


class AzureOpenAI:
    """Chat Completions, Responses and what is forwarded beside them."""

    def __init__(self, api_version: str) -> None:
        self.v1 = api_version in V1
        self._query = "" if api_version in V1 - {"preview"} else f"api-version={quote(api_version, safe='')}"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.get("api_version", ""))

    def request(self, said: Said) -> Said:
        path, _, query = said.path.partition("?")
        if self.v1:
            base = "/openai/v1"
        elif path in BY_DEPLOYMENT and said.model:
            base = f"/openai/deployments/{quote(said.model, safe='')}"
        else:
            base = "/openai"
        query = "&".join(part for part in (query, self._query) if part)
        return msgspec.structs.replace(said, path=f"{base}{path}" + (f"?{query}" if query else ""))

    def unwrapper(self, said: Said, content_type: bytes) -> Unwrapper | None:
        return None


class AzureInference:
    """The model-inference surface of Foundry: Chat Completions under `/models`, with a dated version in the query.

    https://learn.microsoft.com/rest/api/aifoundry/modelinference/
    """

    def __init__(self, api_version: str) -> None:
        self._query = f"api-version={quote(api_version, safe='')}"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings["api_version"])

    def request(self, said: Said) -> Said:
        joint = "&" if "?" in said.path else "?"
        return msgspec.structs.replace(said, path=f"{said.path}{joint}{self._query}")

    def unwrapper(self, said: Said, content_type: bytes) -> Unwrapper | None:
        return None
