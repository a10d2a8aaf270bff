"""Prices: whose price holds, when, in which tier of service; and that an unknown one stays unknown."""

import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from gatewright.ir.response import Usage
from gatewright.providers import prices as prices_file
from gatewright.providers.price_rules import PriceRules, Stated
from gatewright.providers.prices import KEPT, PriceBook, micros_since
from gatewright.providers.pricing import ASSUMED, NO_HOST, NO_MODEL, STATED, Prices, context_of, dollars

HOSTS = {"oa": "openai", "claude": "anthropic", "google": "google", "deep": "deepseek", "azure": "azure", "groq": "groq"}
NOON = micros_since(datetime(2026, 11, 20, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def book():
    book = PriceBook()
    book.load()
    return book


@pytest.fixture
def prices(book):
    return Prices(book, PriceRules(hosts=HOSTS))


def target(name):
    return SimpleNamespace(name=name)


def test_the_list_says_what_a_call_costs(prices):
    """With whose price it was; 1,000 tokens read, 9,000 more from the cache, 100 written and 100 thought."""
    usage = Usage(input=1000, cache_read=9000, output=100, reasoning=100)
    priced = prices.price("oa", "gpt-5", usage, NOON)
    assert (priced.micros, priced.source.split()[0]) == (1250 + 1125 + 2000, "genai-prices")


@pytest.mark.parametrize(
    ("provider", "model", "why"), [("mine", "gpt-5", NO_HOST), ("oa", "no-such-model", NO_MODEL), ("", "", NO_HOST), ("oa", "", NO_MODEL)]
)  # fmt: skip
def test_an_unknown_price_is_none_and_says_why(prices, provider, model, why):
    """Not 0, and not that of a model with a like name."""
    priced = prices.price(provider, model, Usage(input=1000, output=1000), NOON)
    assert (priced.micros, priced.source) == (None, why)
    assert prices.upper(target(f"{provider}/{model}"), 1, 1) is None


@pytest.mark.parametrize(
    ("model", "tier", "input_usd"),
    [
        ("oa/gpt-5", None, "1.25"),
        ("oa/gpt-5", "default", "1.25"),
        ("oa/gpt-5", "flex", "0.625"),
        ("oa/gpt-5", "priority", "2.5"),
        ("oa/gpt-5", "a-tier-of-tomorrow", "1.25"),
        ("claude/claude-sonnet-4-5", "standard", "3"),
        ("claude/claude-fable-5", "batch", "5"),
        ("groq/openai/gpt-oss-120b", "on_demand", "0.15"),
        ("azure/gpt-5", "priority", "1.25"),
    ],
)
def test_the_tier_that_served_is_what_is_paid(prices, model, tier, input_usd):
    """As the answer says it. A tier that the list has no price for, or that another host's model has there, costs the standard price."""
    provider, _, name = model.partition("/")
    priced = prices.price(provider, name, Usage(input=1_000_000 // 8, output=0, service_tier=tier), NOON)
    assert priced.micros == Decimal(input_usd) * 125_000


def test_anthropics_fast_mode_is_told_beside_the_tier(prices):
    """`usage.speed`; a word that is none is none."""
    model, used = "claude-fable-5-2", {"input": 1000, "output": 0, "service_tier": "standard"}
    costs = [
        prices.price("claude", model, Usage(**used, raw=raw), NOON).micros
        for raw in ({}, {"speed": "standard"}, {"speed": "fast"}, {"speed": []})
    ]
    assert costs == [8000, 8000, 16_000, 8000]


def test_vertex_tells_the_tier_in_other_words():
    """`trafficType`, as OpenAI's and Google's own APIs say `service_tier`."""
    assert context_of("ON_DEMAND") == {}
    assert context_of("ON_DEMAND_FLEX") == {"service_tier": "flex"}
    assert context_of("batch") == {"processing": "batch"}


@pytest.mark.parametrize(
    ("when", "input_usd", "since"),
    [
        (datetime(2026, 8, 16, 23, 59, 59, tzinfo=UTC), "0.14", ""),
        (datetime(2026, 8, 17, 0, 0, tzinfo=UTC), "0.22", "2026-08-17"),
        (datetime(2026, 9, 10, 0, 0, tzinfo=UTC), "0.15", "2026-09-10"),
        (datetime(2026, 11, 20, 0, 59, 59, tzinfo=UTC), "0.15", "2026-09-10"),
        (datetime(2026, 11, 20, 1, 0, tzinfo=UTC), "0.3", ""),
        (datetime(2026, 11, 20, 4, 0, tzinfo=UTC), "0.15", "2026-09-10"),
        (datetime(2026, 11, 20, 9, 59, 59, tzinfo=UTC), "0.3", ""),
    ],
)
def test_prices_change_with_the_day_and_with_the_hour(prices, when, input_usd, since):
    """One after another in one gateway: what was found for a moment holds until the next change, and not a microsecond longer."""
    priced = prices.price("deep", "deepseek-v4-flash", Usage(input=1_000_000, output=0), micros_since(when))
    assert (priced.micros, priced.dated) == (Decimal(input_usd) * 1_000_000, since)


def test_every_edge_is_seen_by_one_that_has_run_for_long(book):
    """The same as by one that is asked for the first time, a minute at a time over three days."""
    old = Prices(book, PriceRules(hosts=HOSTS))
    usage, start = Usage(input=1_000_000, output=1000), micros_since(datetime(2026, 9, 9, tzinfo=UTC))
    for minute in range(0, 3 * 24 * 60, 7):
        at = start + minute * 60_000_000
        new = Prices(book, PriceRules(hosts=HOSTS))
        assert old.price("deep", "deepseek-v4-flash", usage, at) == new.price("deep", "deepseek-v4-flash", usage, at)


STATED_RULES = PriceRules(
    hosts=HOSTS,
    stated=(
        Stated("oa/gpt-5*", dollars={"input": Decimal(1), "output": Decimal(2)}),
        Stated("oa/gpt-5-mini", dollars={"input": Decimal(5), "output": Decimal(6)}, beyond=((100, {"input": Decimal(10)}),)),
        Stated("oa/*", factor=Decimal("0.8")),
        Stated("mine/*", like=("openai", "*")),
        Stated("azure/our-deployment", like=("azure", "gpt-5"), factor=Decimal("0.5")),
    ),
)


@pytest.mark.parametrize(
    ("model", "micros", "source"),
    [
        ("oa/gpt-5", 3000, STATED),
        ("oa/gpt-5-mini", 16_000, STATED),
        ("oa/gpt-4.1", 8000, f"{STATED}, by genai-prices"),
        ("mine/gpt-4.1", 10_000, f"{STATED}, by genai-prices"),
        ("azure/our-deployment", 5625, f"{STATED}, by genai-prices"),
        ("azure/gpt-5", 11_250, "genai-prices"),
        ("mine/none", None, NO_MODEL),
    ],
)
def test_what_the_operator_says_goes_first(book, model, micros, source):
    """The most exact name holds; prices of its own, another model's, or so much of the list's. 1,000 tokens each way."""
    provider, _, name = model.partition("/")
    priced = Prices(book, STATED_RULES).price(provider, name, Usage(input=1000, output=1000), NOON)
    assert priced.micros == micros
    assert priced.source.startswith(source)


def test_lists_and_the_cheapest_see_the_same_prices(book):
    """What `/v1/models` shows and what the strategy `cheapest` compares is what is billed."""
    prices = Prices(book, STATED_RULES)
    assert prices.stated("oa", "gpt-5").input_usd == 1
    assert prices.stated("oa", "gpt-4.1").output_usd == Decimal("6.4")
    assert prices.stated("mine", "gpt-4.1").input_usd == 2
    assert prices.stated("claude", "x").input_usd is None


def test_an_assumed_price_is_marked(book):
    """For those who would rather count too much than nothing."""
    prices = Prices(book, PriceRules(unknown="assume", assume=(Decimal(3), Decimal(15))))
    assert prices.price("x", "y", Usage(input=1000, output=100), NOON) == type(prices.price("x", "y", Usage(), NOON))(
        4500, ASSUMED, ""
    )
    assert prices.upper(target("x/y"), 1000, 100) == 4500


def test_another_configuration_holds_at_once(prices):
    """What was found by the old one is forgotten."""
    usage = Usage(input=1000, output=0)
    assert prices.price("oa", "gpt-5-mini", usage, NOON).micros == 250
    assert prices.upper(target("oa/gpt-5-mini"), 1000, 0, dear=False) == 250
    prices.follow(STATED_RULES)
    assert prices.price("oa", "gpt-5-mini", usage, NOON).micros == 10_000
    assert prices.upper(target("oa/gpt-5-mini"), 1000, 0, dear=False) == 10_000


def test_what_may_be_asked_for_faster_is_reserved_so(prices):
    """Without a word of it in the request, the standard price; with one, that of the dearest tier."""
    gpt = target("oa/gpt-5")
    assert prices.upper(gpt, 1000, 1000, dear=False) == 11_250
    assert prices.upper(gpt, 1000, 1000, dear=True) == 22_500


def test_what_plain_requests_cost_is_told_by_its_rates(prices):
    """The same sum, and until when; nothing where it depends on how much is read, or is not known."""
    gpt = target("oa/gpt-5")
    until, request, read, written, scale = prices.flat(gpt)
    assert until > time.time() * 1_000_000
    assert -(-(request + 1234 * read + 567 * written) // scale) == prices.upper(gpt, 1234, 567, dear=False)
    assert prices.flat(target("oa/no-such-model")) is None
    assert prices.flat(target("google/gemini-2.5-pro")) is None


def test_names_are_remembered_only_so_many(prices):
    """Clients choose them."""
    for i in range(KEPT + 50):
        prices.price("oa", f"m{i}", Usage(), NOON)
        prices.upper(target(f"oa/m{i}"), 1, 1)
    assert len(prices._plans) <= KEPT
    assert len(prices._most) <= KEPT


def test_many_threads_load_the_list_once(monkeypatch):
    """The ingest's thread and the loop's may ask at the same moment."""
    book = PriceBook()
    read, times = book._read, []

    def slowly():
        times.append(1)
        time.sleep(0.05)
        return read()

    monkeypatch.setattr(book, "_read", slowly)
    prices = Prices(book, PriceRules(hosts=HOSTS))
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(prices.price("oa", "gpt-5", Usage(input=8, output=0), NOON).micros))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen, times) == ([10] * 8, [1])


def test_without_the_package_nothing_has_a_price(monkeypatch, tmp_path):
    """And nothing fails."""
    monkeypatch.setitem(__import__("sys").modules, "genai_prices.data_snapshot", None)
    assert prices_file.PriceBook().loaded is False
    assert Prices(PriceBook(), PriceRules(hosts=HOSTS)).price("oa", "gpt-5", Usage(input=1), NOON).micros is None


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "0"), (1, "0.000001"), (1_000_000, "1"), (12_345_600, "12.3456"), (None, None), (-500_000, "-0.5")]
)
def test_a_cost_as_text(micros, text):
    """Exact, without zeros that say nothing; unknown is no text at all."""
    assert dollars(micros) == text
