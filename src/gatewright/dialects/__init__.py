"""The dialects, listed by hand. A new one is a folder and a line here."""

from collections.abc import Mapping

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.dialects.bedrock_converse import BEDROCK_CONVERSE
from gatewright.dialects.gemini import GEMINI
from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.dialects.openai_responses import OPENAI_RESPONSES
from gatewright.dialects.protocol import Dialect
from gatewright.ir.blocks import DialectName

DIALECTS: tuple[Dialect, ...] = (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GEMINI, BEDROCK_CONVERSE)

BY_NAME: Mapping[DialectName, Dialect] = {dialect.name: dialect for dialect in DIALECTS}
