"""What looks like a plain delta is one."""

import pytest

from gatewright.dialects.openai_chat.plain import Plain

HEAD = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"'
TAIL = b'"},"finish_reason":null}],"usage":null}\n\n'
PADDED = b'"},"finish_reason":null}],"usage":null,"obfuscation":"x7Gh"}\n\n'


def learnt(event: bytes) -> Plain:
    plain = Plain()
    plain.learn(event)
    return plain


@pytest.mark.parametrize("text", [b"", b"hello", b'a \\"quoted\\" word', b"\\u00e9", "é☸".encode()])
def test_another_text_is_the_same_chunk(text):
    """Only the text differs."""
    assert learnt(HEAD + b"first" + TAIL).match(HEAD + text + TAIL)


def test_padding_does_not_hide_a_plain_delta():
    """OpenAI ends its chunks in random padding."""
    plain = learnt(HEAD + b"first" + PADDED)
    assert plain.match(HEAD + b"second" + PADDED.replace(b"x7Gh", b"anotherone"))
    assert not plain.match(HEAD + b"second" + PADDED.replace(b'x7Gh"', b'x","error":{}'))


@pytest.mark.parametrize(
    "event",
    [
        HEAD + b'x"},"finish_reason":"stop"}],"usage":null}\n\n',
        HEAD + b'x"},"finish_reason":null}],"usage":{"prompt_tokens":1}}\n\n',
        HEAD + b'x","error":{"a":"' + TAIL,
        HEAD + b"x" + TAIL + HEAD + b'y"},"finish_reason":"stop"}]}\n\n' + HEAD + b"z" + TAIL,
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_what_tells_something_is_never_plain(event):
    """A missed end would turn a whole answer into a cut one."""
    assert not learnt(HEAD + b"first" + TAIL).match(event)


def test_nothing_learnt_matches_nothing():
    """Before the first delta everything is looked at."""
    assert not Plain().match(HEAD + b"x" + TAIL)
