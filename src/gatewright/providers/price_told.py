"""What usage objects tell beside the axes: pictures, searches, seconds. By the vendors' own words, for those that have a price.

One rule: what is not told is 0, and what is no number is not told; nothing here raises.
https://ai.google.dev/api/generate-content#ModalityTokenCount
https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool
https://docs.perplexity.ai/api-reference/chat-completions-post
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

from gatewright.jsontypes import JsonObject, JsonValue

_IMAGE: Final[tuple[JsonValue, ...]] = ("IMAGE", 2, "DOCUMENT", 5)
"""Google bills pages as pictures. An enum may be told by its number, too."""
_VIDEO: Final[tuple[JsonValue, ...]] = ("VIDEO", 3)
_AUDIO: Final[tuple[JsonValue, ...]] = ("AUDIO", 4)


def count(value: JsonValue) -> int:
    return value if type(value) is int and value > 0 else 0


def _modality(raw: JsonObject, names: tuple[JsonValue, ...], *lists: str) -> int:
    """Tokens of these modalities in Google's lists of them."""
    total = 0
    for key in lists:
        details = raw.get(key)
        if isinstance(details, list):
            total += sum(
                count(item.get("tokenCount")) for item in details if isinstance(item, dict) and item.get("modality") in names
            )
    return total


def _detail(raw: JsonObject, name: str, *keys: str) -> int:
    """A figure among OpenAI's details, under whichever name they stand."""
    for key in keys:
        details = raw.get(key)
        if isinstance(details, dict) and (told := count(details.get(name))):
            return told
    return 0


def _cached_audio(raw: JsonObject) -> int:
    return _modality(raw, _AUDIO, "cacheTokensDetails")


def _cached_image(raw: JsonObject) -> int:
    return _modality(raw, _IMAGE, "cacheTokensDetails")


def _cached_video(raw: JsonObject) -> int:
    return _modality(raw, _VIDEO, "cacheTokensDetails")


def _image_in(raw: JsonObject) -> int:
    told = _modality(raw, _IMAGE, "promptTokensDetails", "toolUsePromptTokensDetails") - _cached_image(raw)
    return max(told, 0) or _detail(raw, "image_tokens", "input_tokens_details", "input_token_details", "prompt_tokens_details")


def _video_in(raw: JsonObject) -> int:
    return max(0, _modality(raw, _VIDEO, "promptTokensDetails", "toolUsePromptTokensDetails") - _cached_video(raw))


def _image_out(raw: JsonObject) -> int:
    told = _modality(raw, _IMAGE, "candidatesTokensDetails")
    return told or _detail(raw, "image_tokens", "output_tokens_details", "output_token_details", "completion_tokens_details")


def _video_out(raw: JsonObject) -> int:
    return _modality(raw, _VIDEO, "candidatesTokensDetails")


def _citations(raw: JsonObject) -> int:
    return count(raw.get("citation_tokens"))


def _searches(raw: JsonObject) -> int:
    tools = raw.get("server_tool_use")
    if isinstance(tools, dict):
        return count(tools.get("web_search_requests"))
    details = raw.get("tool_calls_details")
    if isinstance(details, dict) and isinstance(web := details.get("search_web"), dict):
        return count(web.get("invocation"))
    return count(raw.get("num_search_queries"))


def _seconds(raw: JsonObject) -> int | Fraction:
    told = raw.get("seconds")
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 < told < 1e9:
        return Fraction(repr(told))
    return 0


def _pages(raw: JsonObject) -> int:
    return count(raw.get("pages_processed"))


TOLD: Final[Mapping[str, Callable[[JsonObject], int | Fraction]]] = {
    "cache_audio_read_mtok": _cached_audio,
    "cache_image_read_mtok": _cached_image,
    "cache_video_read_mtok": _cached_video,
    "input_image_mtok": _image_in,
    "input_video_mtok": _video_in,
    "output_image_mtok": _image_out,
    "output_video_mtok": _video_out,
    "output_citation_mtok": _citations,
    "web_searches_kcount": _searches,
    "audio_hours": _seconds,
    "input_document_kpages": _pages,
}
"""The price list's key → how many there were."""
