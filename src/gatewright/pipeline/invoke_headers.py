"""What an InvokeModel client says in headers: guardrails, tiers, traces. Bedrock hears it; for anybody else it is a loss.

One rule: a guardrail that is asked for and not applied is never passed over in silence.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
"""

from collections.abc import Mapping
from typing import Final

from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Loss, Weight
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.shaped import ShapedEndpoint
from gatewright.providers.shapes.bedrock import BedrockClaude

SAID: Final[Mapping[str, Weight]] = {
    "x-amzn-bedrock-guardrailidentifier": "dropped",
    "x-amzn-bedrock-guardrailversion": "dropped",
    "x-amzn-bedrock-trace": "hint",
    "x-amzn-bedrock-performanceconfig-latency": "hint",
    "x-amzn-bedrock-service-tier": "hint",
}
"""Header → what it is to lose it."""


def wrapping(
    headers: Mapping[str, str], endpoint: Endpoint, dialect: DialectName
) -> tuple[tuple[tuple[str, str], ...], tuple[Loss, ...]]:
    """The headers to send along, and those that mean nothing to this endpoint."""
    said = tuple((name, value) for name in SAID if (value := headers.get(name)) is not None)
    if isinstance(endpoint, ShapedEndpoint) and isinstance(endpoint.shapes.get(dialect), BedrockClaude):
        return said, ()
    return (), tuple(Loss(path=name, why="only Bedrock knows it", value=value, weight=SAID[name]) for name, value in said)
