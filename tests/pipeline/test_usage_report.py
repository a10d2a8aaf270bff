"""Who may see what of usage."""

from datetime import UTC, datetime

import pytest

from gatewright.errors import Refused
from gatewright.exchange import Principal
from gatewright.pipeline.usage_report import asked, within

NOW = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("principal", "sees"),
    [
        (Principal("ci", key_id="k1", team="red"), (("key_id", "k1"),)),
        (Principal("ci"), (("key_id", "ci"),)),
        (Principal("ci", key_id="k1", team="red", role="team_admin"), (("team", "red"),)),
        (Principal("ci", key_id="k1", role="team_admin"), (("key_id", "k1"),)),
        (Principal("ci", key_id="k1", team="red", role="viewer"), (("team", "red"),)),
        (Principal("ci", key_id="k1", role="viewer"), ()),
        (Principal("ci", key_id="k1", team="red", role="admin"), ()),
    ],
)
def test_a_role_sees_its_part(principal, sees):
    """Who belongs to no team, and is not trusted with all, sees himself."""
    assert within(principal) == sees
    query = asked((("filter", "key=*"), ("filter", "team=blue"), ("by", "key")), principal, NOW)
    assert query.within == sees
    assert query.only == (("key", "*"), ("team", "blue"))


def test_a_parameter_that_is_not_known_is_refused():
    """A filter that is spelled wrong must not show everything."""
    with pytest.raises(Refused, match="tema"):
        asked((("tema", "red"),), Principal("root", role="admin"), NOW)
