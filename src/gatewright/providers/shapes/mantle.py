"""Bedrock's OpenAI-compatible endpoint (`bedrock-mantle`): one API under two prefixes, by model.

One rule: the wrong prefix is refused ("isn't supported on this route"), so the model's name decides.
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html
"""

from fnmatch import fnmatchcase

import msgspec

from gatewright.providers.shapes.seam import Said, Unwrapper

PREFIXES: tuple[tuple[str, str], ...] = (("openai.gpt-oss*", "/v1"), ("openai.*", "/openai/v1"), ("*", "/v1"))
"""Pattern of a model's name → where it is served; the first that fits. Calls without a model: the last."""


class BedrockMantle:
    """Responses and Chat Completions."""

    def request(self, said: Said) -> Said:
        prefix = next(prefix for pattern, prefix in PREFIXES if fnmatchcase(said.model, pattern))
        return msgspec.structs.replace(said, path=prefix + said.path)

    def unwrapper(self, said: Said, content_type: bytes) -> Unwrapper | None:
        return None
