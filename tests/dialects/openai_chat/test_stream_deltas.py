"""Deltas of streams, read."""

from gatewright.ir.blocks import Reasoning, Text
from gatewright.ir.fold import fold
from tests.dialects.openai_chat.sample import chunk, parse, wire


def test_reasoning_remembers_its_field_for_the_same_endpoint():
    """The host wants it back in the same field; the seal says in which."""
    events = parse(wire(chunk({"reasoning_content": "hm"}), chunk({"content": "4"}), chunk({}, "stop")))
    thought, text = fold(events).blocks
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.seal.kind, thought.seal.issuer) == ("hm", "reasoning_content", "here")
    assert isinstance(text, Text)


def test_speech_pieces_become_one_sound():
    """Each piece is padded base64 of its own."""
    pieces = [{"id": "x", "transcript": "La"}, {"data": "AAE="}, {"data": "AgM="}, {"expires_at": 9}]
    events = parse(wire(*(chunk({"audio": piece}) for piece in pieces), chunk({}, "stop")))
    words, sound = fold(events).blocks
    assert (words.text, sound.source.data, sound.extras) == ("La", "AAECAw==", {"id": "x", "expires_at": 9})


def test_log_probabilities_of_a_refusal_are_kept():
    """They come in chunks as the text does, in a list of their own."""
    one, two = ({"token": word, "logprob": -0.1, "bytes": None, "top_logprobs": []} for word in ("I ", "won't"))
    chunks = [chunk({"refusal": told["token"]}) for told in (one, two)]
    for told, entry in zip(chunks, (one, two), strict=True):
        told["choices"][0]["logprobs"] = {"content": None, "refusal": [entry]}
    folded = fold(parse(wire(*chunks, chunk({}, "stop"))))
    assert folded.extras["choices[0].logprobs"] == {"refusal": [one, two]}


def test_an_id_of_speech_without_sound_is_kept():
    """A stream that broke off its speech still told which it was."""
    folded = fold(parse(wire(chunk({"audio": {"id": "audio_1", "expires_at": 9}}), chunk({}, "stop"))))
    assert {"id": "audio_1", "expires_at": 9} in folded.extras.values()
