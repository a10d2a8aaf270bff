"""What is written of a request, whatever it is made of."""

from gatewright.record.written import MEDIA_TOKENS, tokens_in


def test_media_have_a_size_of_their_own():
    """A picture's bytes are no words."""
    assert tokens_in(b"four" * 100, "openai_chat") == 100
    picture = b'{"text": "what is this?", "image": "data:image/png;base64,' + b"A" * 400_000 + b'"}'
    assert MEDIA_TOKENS <= tokens_in(picture, "openai_chat") <= MEDIA_TOKENS + 50
