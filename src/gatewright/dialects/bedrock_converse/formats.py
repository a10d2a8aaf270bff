"""Media types and the API's own format words, both ways, for each kind of media.

One rule: a format that the table does not know becomes a media type of its kind, so that nothing is guessed to be another.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

from collections.abc import Mapping
from typing import Literal

MediaKind = Literal["image", "audio", "video", "document"]

_OFFICE = "application/vnd.openxmlformats-officedocument"
FORMATS: Mapping[MediaKind, Mapping[str, str]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mp3",
        "mpeg": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "m4a": "audio/m4a",
        "mp4": "audio/mp4",
        "webm": "audio/webm",
        "mka": "audio/x-matroska",
        "pcm": "audio/pcm",
    },
}
"""Kind → format word → media type."""
_WORDS: Mapping[MediaKind, Mapping[str, str]] = {
    kind: {media_type: word for word, media_type in table.items()} for kind, table in FORMATS.items()
}
_ALIASES: Mapping[str, str] = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-m4a": "audio/m4a",
    "video/x-msvideo": "video/mpeg",
    "text/x-markdown": "text/markdown",
}
_MAGIC = (
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lG", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
"""First characters in base64 → media type, for origins that do not say it."""


def media_type_of(kind: MediaKind, word: str) -> str:
    """The media type of a format word; empty for an empty word."""
    if not word:
        return ""
    return FORMATS[kind].get(word) or f"{'application' if kind == 'document' else kind}/{word}"


def format_of(kind: MediaKind, media_type: str) -> str:
    """The format word of a media type, parameters apart; empty when the API has none."""
    bare = media_type.partition(";")[0].strip().lower()
    bare = _ALIASES.get(bare, bare)
    word = _WORDS[kind].get(bare, "")
    if not word and kind == "document" and (bare.startswith("text/") or bare == "application/json"):
        return "txt"
    return word


def sniffed(data: str) -> str:
    """The media type that the data's first characters show; empty when they show none."""
    return next((known for magic, known in _MAGIC if data.startswith(magic)), "")
