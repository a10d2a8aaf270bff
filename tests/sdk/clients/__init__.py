"""The official SDKs, each behind `Talk`."""

from collections.abc import Callable, Mapping

from tests.sdk.clients.anthropic import MessagesTalk
from tests.sdk.clients.gemini import GeminiTalk
from tests.sdk.clients.openai_chat import ChatTalk
from tests.sdk.clients.openai_responses import ResponsesTalk
from tests.sdk.talk import Place, Talk

PYTHON: Mapping[str, Callable[[Place], Talk]] = {
    "openai_chat": ChatTalk,
    "openai_responses": ResponsesTalk,
    "anthropic": MessagesTalk,
    "gemini": GeminiTalk,
}
