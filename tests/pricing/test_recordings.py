"""The same call costs the same: reckoned by us in the books of a running gateway, for clients of every dialect, and by genai-prices.

In the suite each recorded answer is asked for by a client of its own dialect, whose bytes pass, and by one of another, in turns;
`python -m tests.pricing` has all clients ask for all of them.
"""

import os
from collections import Counter

import pytest

from gatewright.ir.response import Usage
from gatewright.providers import pricing
from gatewright.providers.price_rules import PriceRules
from gatewright.providers.prices import PriceBook
from gatewright.providers.pricing import NO_MODEL, Priced, Prices
from tests.laws import cases
from tests.pricing.comparing import CLOSED, compare
from tests.pricing.oracle import HOSTS, NotCovered, covered
from tests.pricing.replaying import every


def test_every_recorded_call_costs_what_genai_prices_says(tmp_path):
    """Through passing bytes and through translation alike. Where we differ, genai-prices is wrong for a reason that the answer shows."""
    found = compare(tmp_path, share=True)
    print(found.told())
    assert not found.wrong, "\n".join(found.wrong)
    assert not found.apart, "\n".join(found.apart)
    assert found.equal["corpus"] >= 2 * 150
    if cases.recordings_root() is not None:
        assert found.equal["recordings"] >= 2 * 700
        assert set(found.excused) <= set(CLOSED)


def test_a_cost_that_is_a_millionth_off_is_noticed(tmp_path, monkeypatch):
    """The comparison itself can fail."""
    monkeypatch.setattr(pricing, "Priced", lambda micros, source, dated="": Priced(micros and micros + 1, source, dated))
    found = compare(tmp_path, share=True, most=30)
    assert len(found.wrong) >= 20
    assert not found.equal


def test_recordings_are_there():
    """The acceptance is over recorded traffic: without it this says so, and in CI fails."""
    if cases.recordings_root() is None:
        assert not os.environ.get("CI"), "no recordings: set GATEWRIGHT_RECORDINGS"
        pytest.skip("NO RECORDINGS: only the corpus was priced; set GATEWRIGHT_RECORDINGS")


def test_where_the_list_has_no_price_neither_have_we():
    """Unknown is unknown for both."""
    prices = Prices(PriceBook(), PriceRules(hosts={host: host for host in HOSTS.values()}))
    unknown = Counter()
    for case in every():
        try:
            covered(case)
        except NotCovered as reason:
            document = case.document if isinstance(case.document, dict) else {}
            name = document.get("model") or document.get("modelVersion")
            if str(reason) == "no price for its model" and isinstance(name, str):
                priced = prices.price(HOSTS[case.provider], name, Usage(input=1, output=1), 1_760_000_000_000_000)
                assert (priced.micros, priced.source) == (None, NO_MODEL), case.id
                unknown[case.place] += 1
    assert unknown["corpus"] >= 10
