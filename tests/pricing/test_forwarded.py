"""What is forwarded costs what its usage tells; where that tells nothing of what it is priced by, its cost is unknown."""

import json

import pytest

from tests.plays.books import books
from tests.plays.scene import send
from tests.serving import answer, gateway, upstream

CONFIG = """
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: sk-x}}
pricing:
  models:
    "up/*": {{like: "openai/*"}}
    "up/ears": {{audio_hour: 0.36}}
    "up/brush": {{input: 5, image_in: 8, output: 10, image_out: 40}}
model_lists: {{live: false}}
"""


@pytest.mark.parametrize(
    ("path", "asked", "told", "micros"),
    [
        ("embeddings", {"model": "up/text-embedding-3-small", "input": "x" * 40}, {"usage": {"prompt_tokens": 1000, "total_tokens": 1000}}, 20),
        ("audio/transcriptions", {"model": "up/ears"}, {"text": "hi", "usage": {"type": "duration", "seconds": 9.5}}, 950),
        ("audio/transcriptions", {"model": "up/ears"}, {"text": "hi"}, None),
        (
            "images/generations",
            {"model": "up/brush"},
            {
                "data": [],
                "usage": {"input_tokens": 50, "output_tokens": 100, "input_tokens_details": {"text_tokens": 40, "image_tokens": 10}, "output_tokens_details": {"image_tokens": 90}},
            },
            40 * 5 + 10 * 8 + 10 * 10 + 90 * 40,
        ),
        ("images/generations", {"model": "up/brush"}, {"data": []}, None),
        ("images/generations", {"model": "up/brush"}, {"data": [], "usage": {"images": 2}}, None),
        ("embeddings", {"model": "up/nobody-knows", "input": "x"}, {"usage": {"prompt_tokens": 1000}}, None),
    ],
    ids=["embeddings", "sound by seconds", "sound without", "pictures", "pictures without", "pictures by number", "no price"],
)  # fmt: skip
async def test_a_forwarded_call_in_the_books(tmp_path, path, asked, told, micros):
    """Never 0 for what nobody knows."""
    async with upstream() as up, gateway(CONFIG.format(port=up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(told).encode())]]
        assert (await send(gw, f"/v1/{path}", asked)).status == 200
        row = books(gw).only
        assert row.cost_micros == micros
        assert row.price_source.startswith("configuration" if micros is not None else ("unknown", ""))
