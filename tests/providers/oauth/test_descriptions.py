"""The logins that are known: rows that can be relied upon."""

import pytest

from gatewright.providers.oauth.descriptions import BY_NAME, DESCRIPTIONS, Description, bearer


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda description: description.name)
def test_rows_are_whole(description):
    """A login can be made and refreshed, and nothing travels in the clear."""
    assert description.flows
    assert description.client_id
    for url in (description.device_url, description.authorize_url, description.token_url):
        assert not url or url.startswith("https://")
    assert description.token_url
    parts = {"access_token", *description.identity, *(part for lookup in description.lookups for part in lookup.takes)}
    for template in description.bearers:
        assert {piece.partition("}")[0] for piece in template.split("{")[1:]} <= parts


def test_a_bearer_says_what_is_known():
    """OB-1 wants the organisation behind the token, if there is one."""
    ob1 = BY_NAME["ob1"]
    assert bearer(ob1, "t", {"org_id": "o"}) == "t:o"
    assert bearer(ob1, "t", {"org_id": ""}) == "t"
    assert bearer(ob1, "t", {}) == "t"
    assert bearer(Description(name="x", title="X"), "t", {"org_id": "o"}) == "t"


def test_a_secret_is_not_shown():
    """An operator's own client may have one."""
    assert "hush" not in repr(Description(name="x", title="X", client_secret="hush"))
