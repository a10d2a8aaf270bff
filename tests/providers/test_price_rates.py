"""Rates: exact whatever the price list says, and never more than one rounding."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.ir.response import Usage
from gatewright.providers.price_rates import AXES, MOST_MICROS, rates_of
from gatewright.providers.price_told import TOLD


def listed(**dollars):
    """A price list's prices; a tuple: (price, beyond, price beyond)."""
    return {
        key: ((-1, Fraction(str(told[0]))), (told[1], Fraction(str(told[2]))))
        if isinstance(told, tuple)
        else ((-1, Fraction(str(told))),)
        for key, told in dollars.items()
    }


SONNET = listed(input_mtok=(3, 200_000, 6), cache_read_mtok=(0.3, 200_000, 0.6), cache_write_mtok=(3.75, 200_000, 7.5), output_mtok=(15, 200_000, 22.5), cache_write_1h_mtok=(6, 200_000, 12))  # fmt: skip


@pytest.mark.parametrize(
    ("prices", "usage", "micros"),
    [
        (listed(input_mtok=1, output_mtok=2), Usage(input=10, output=5), 20),
        (listed(input_mtok=1, output_mtok=2), Usage(input=10, cache_read=5, cache_write_5m=1, audio_in=1, reasoning=2, audio_out=1), 23),
        (listed(input_mtok=1, cache_read_mtok=0.1, output_mtok=2), Usage(input=10, cache_read=50, output=0), 15),
        (listed(input_mtok=1, cache_write_mtok=2, cache_write_1h_mtok=4, output_mtok=0), Usage(cache_write_5m=10, cache_write_1h=10), 60),
        (listed(input_mtok=1, output_mtok=2, output_reasoning_mtok=3), Usage(output=1, reasoning=10), 32),
        (listed(input_mtok=1, input_audio_mtok=40, output_mtok=2, output_audio_mtok=80), Usage(audio_in=1, audio_out=1), 120),
        (SONNET, Usage(input=200_000, output=1), 600_015),
        (SONNET, Usage(input=200_001, output=2), 1_200_051),
        (SONNET, Usage(input=1, cache_read=199_990, cache_write_1h=10, output=2), 6 + 119_994 + 120 + 45),
        (listed(input_mtok=0.1, output_mtok=0), Usage(input=5), 1),
        (listed(input_mtok=0.1, output_mtok=0), Usage(input=4), 0),
        (listed(input_mtok=1, output_mtok=1, requests_kcount=5), Usage(input=1), 5001),
        ({}, Usage(input=1000, output=1000), 0),
    ],
    ids=["plain", "parts cost what they are parts of", "cached", "an hour's", "reasoning", "sound", "at the bound", "beyond", "beyond, cached", "half up", "below half", "by request", "free"],
)  # fmt: skip
def test_what_a_call_costs(prices, usage, micros):
    """By hand, from the vendors' own rules."""
    assert rates_of(prices).cost(usage) == micros


@pytest.mark.parametrize(
    ("key", "raw", "usage", "micros"),
    [
        ("web_searches_kcount", {"server_tool_use": {"web_search_requests": 3}}, Usage(input=1, output=1), 30_002),
        ("web_searches_kcount", {"num_search_queries": 2}, Usage(input=1, output=1), 20_002),
        ("web_searches_kcount", {"server_tool_use": {"web_search_requests": "3"}}, Usage(input=1, output=1), 2),
        ("input_image_mtok", {"promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 7}, {"modality": "TEXT", "tokenCount": 3}]}, Usage(input=10), 73),
        ("input_image_mtok", {"input_tokens_details": {"image_tokens": 7, "text_tokens": 3}}, Usage(input=10), 73),
        ("input_image_mtok", {"input_tokens_details": {"image_tokens": 70}}, Usage(input=10), 100),
        ("output_image_mtok", {"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 7}]}, Usage(output=10), 73),
        ("cache_audio_read_mtok", {"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}]}, Usage(cache_read=10), 73),
        ("output_citation_mtok", {"citation_tokens": 7}, Usage(output=3), 73),
    ],
)  # fmt: skip
def test_what_only_the_providers_own_words_tell(key, raw, usage, micros):
    """Pictures and cached sound within an axis, searches and citations beside them; never more of a part than there is of the whole."""
    rates = rates_of(listed(**{"input_mtok": 1, "output_mtok": 1, key: 10}))
    assert rates.cost(Usage(**{name: getattr(usage, name) for name in AXES}, raw=raw)) == micros


def test_searches_that_only_the_answers_items_show():
    """OpenAI's: its usage object says nothing of them. Where one does, it is right."""
    rates = rates_of(listed(input_mtok=1, output_mtok=1, web_searches_kcount=10))
    assert rates.cost(Usage(input=1, output=1, searches=3)) == 30_002
    assert rates.cost(Usage(input=1, output=1, searches=3, raw={"server_tool_use": {"web_search_requests": 1}})) == 10_002


def test_sound_by_the_hour_and_nothing_else():
    """Seconds are told in fractions; without them nothing is known, which is not 0."""
    rates = rates_of(listed(audio_hours=0.36))
    assert rates.cost(Usage(raw={"seconds": 12.5, "type": "duration"})) == 1250
    assert rates.cost(Usage(input=100, output=100)) is None
    assert rates.cost(Usage(raw={"seconds": "NaN"})) is None
    assert rates.most(1000, 1000, any_kind=True) is None


def test_what_tells_nothing_costs_nobody_knows_what():
    """Not 0, but for what is free."""
    assert rates_of(listed(input_mtok=1, output_mtok=1)).cost(Usage(raw={"images": 1})) is None
    assert rates_of(listed(input_mtok=1, output_mtok=1)).cost(Usage(input=0)) == 0
    assert rates_of({}).cost(Usage()) == 0


def test_a_price_for_what_nobody_knows_here_is_no_price():
    """A newer list may bill by something new: then the rest of it would be too little."""
    assert rates_of(listed(input_mtok=1, output_mtok=1, input_smells_kcount=5)) is None


@pytest.mark.parametrize("figure", [10**30, -5, -(10**30)])
def test_figures_that_are_none_fit_into_a_column(figure):
    """A provider tells what it likes."""
    assert 0 <= rates_of(SONNET).cost(Usage(input=figure, output=1)) <= MOST_MICROS


prices = st.decimals(0, 1000, allow_nan=False, places=6)
counts = st.integers(0, 3_000_000)


@given(
    st.fixed_dictionaries(
        {"input_mtok": prices, "output_mtok": prices},
        optional=dict.fromkeys(("cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "input_audio_mtok", "output_reasoning_mtok"), prices),
    ),
    st.tuples(prices, st.integers(1, 400_000)),
    st.tuples(*[counts] * len(AXES)),
)  # fmt: skip
def test_no_call_costs_more_than_was_reserved_for_it(dollars, beyond, figures):
    """Of tokens that are no more than was thought, whichever kinds they are of; the reservation is rounded up, the cost half up."""
    price, bound = beyond
    told = {key: ((-1, Fraction(usd)), (bound, Fraction(usd + price))) for key, usd in dollars.items()}
    rates = rates_of(told)
    usage = Usage(**dict(zip(AXES, figures, strict=True)))
    most = rates.most(usage.total_input, usage.total_output, any_kind=True)
    assert rates.cost(usage) <= most
    assert rates.most(0, usage.total_output, any_kind=True) >= rates.cost(Usage(output=usage.total_output))
    exact = Fraction(0)
    at = 1 if usage.total_input > bound else 0
    for axis, key in (("input", "input_mtok"), ("output", "output_mtok")):
        exact += getattr(usage, axis) * told[key][at][1]
    alone = rates.cost(Usage(input=usage.input, output=usage.output, raw={})) if usage.total_input == usage.input else None
    assert alone is None or abs(alone - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("key", TOLD)
def test_a_usage_object_without_figures_tells_of_no_part(key):
    """So nothing of it is read where there is none."""
    assert not TOLD[key]({})


def test_searches_that_only_the_answer_shows_are_paid():
    """Though its usage object was not kept."""
    rates = rates_of(listed(input_mtok=1, output_mtok=2, web_searches_kcount=10))
    assert rates.cost(Usage(input=10, output=5, searches=3)) == 20 + 30_000
    assert rates.cost(Usage(input=10, output=5)) == 20
