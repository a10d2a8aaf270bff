"""What the models of Bedrock take through Converse, read off the model's id.

One rule: a fact stands in one table; what is not known of a model is believed of it, except what few models have.
https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
"""

from typing import Literal

import msgspec

from gatewright.ir import claude_models

Family = Literal["claude", "nova", "gpt-oss", "other"]


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a request for one model may say."""

    family: Family
    claude: claude_models.ModelFacts | None = None
    """Only of a Claude."""
    caches: bool = False
    """Whether cache points are taken in system and messages."""
    caches_tools: bool = False
    cache_ttl: bool = False
    """Whether a cache point may say how long."""
    forces: bool = True
    """Whether `toolChoice` may make the model call a tool."""
    schema: bool = True
    """Whether `outputConfig.textFormat` is taken."""
    prefill: bool = False
    """Whether the conversation may end with an assistant's turn."""


_NEVER_FORCED = ("meta.", "deepseek.", "cohere.", "ai21.")
_NO_SCHEMA = ("amazon.", "meta.", "cohere.", "ai21.", "writer.")


def facts_of(model: str) -> ModelFacts:
    """What a request for `model` (an id, an inference profile, an ARN of one) may say."""
    name = model.lower()
    version = claude_models.version_of(name)
    if version is not None:
        claude = claude_models.facts_of(name)
        caches = version >= (3, 7) or "3-5-haiku" in name
        return ModelFacts(
            family="claude",
            claude=claude,
            caches=caches,
            caches_tools=caches,
            cache_ttl=version >= (4, 5),
            schema=claude.native_schema,
            prefill=claude.prefill,
        )
    if "nova" in name:
        return ModelFacts(family="nova", caches="nova-" in name and "nova-2" not in name, schema=False)
    if "gpt-oss" in name:
        return ModelFacts(family="gpt-oss")
    return ModelFacts(
        family="other",
        forces=not any(vendor in name for vendor in _NEVER_FORCED),
        schema=not any(vendor in name for vendor in _NO_SCHEMA),
    )
