"""Shapes: hosts that wrap a dialect's calls in a way of their own (deployments in the path, the model out of the body).

One rule: a catalogue row names a shape for each dialect that needs one; nearly all need none and pay nothing.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from gatewright.ir.blocks import DialectName
from gatewright.providers.shapes.azure import AzureInference, AzureOpenAI
from gatewright.providers.shapes.bedrock import BedrockClaude
from gatewright.providers.shapes.mantle import BedrockMantle
from gatewright.providers.shapes.seam import Said, Settings, Shape, Unwrapper
from gatewright.providers.shapes.vertex import VertexAnthropic, VertexGemini, VertexOpenAI

ShapeName = Literal[
    "azure-openai",
    "azure-inference",
    "bedrock-claude",
    "bedrock-mantle",
    "vertex-gemini",
    "vertex-anthropic",
    "vertex-openai",
]

SHAPES: Mapping[ShapeName, Callable[[Settings], Shape | None]] = {
    "azure-openai": AzureOpenAI.of,
    "azure-inference": AzureInference.of,
    "bedrock-claude": lambda _: BedrockClaude(),
    "bedrock-mantle": lambda _: BedrockMantle(),
    "vertex-gemini": VertexGemini.of,
    "vertex-anthropic": VertexAnthropic.of,
    "vertex-openai": VertexOpenAI.of,
}
"""Name in the catalogue → what makes it of a provider's settings."""


def shapes_of(named: Mapping[DialectName, ShapeName], settings: Settings) -> dict[DialectName, Shape]:
    """The shapes of one provider by dialect. Raises KeyError for a missing setting: the configuration has checked them."""
    made = {dialect: SHAPES[name](settings) for dialect, name in named.items()}
    return {dialect: shape for dialect, shape in made.items() if shape is not None}


__all__ = ["SHAPES", "Said", "Settings", "Shape", "ShapeName", "Unwrapper", "shapes_of"]
