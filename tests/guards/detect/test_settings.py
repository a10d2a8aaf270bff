import msgspec
import pytest

from gatewright.config.schema_guards import GuardRuleSection
from gatewright.guards.detect.settings import chosen
from gatewright.guards.kinds import KINDS
from gatewright.pipeline.guard_kinds import ASKED_KINDS


@pytest.mark.parametrize(("kind", "where"), sorted({**KINDS, **ASKED_KINDS}.items()))
def test_no_setting_of_a_kind_is_called_as_one_of_every_rule(kind, where):
    """The rule would take it for itself, and the kind would never hear of it."""
    module = __import__(where.partition(":")[0], fromlist=["Settings"])
    own = {field.encode_name for field in msgspec.structs.fields(module.Settings)}
    assert not own & set(GuardRuleSection.model_fields)


def test_names_and_globs_are_looked_up():
    assert chosen(["b*", "a"], ["a", "b1", "b2"], "x") == ("b1", "b2", "a")
    with pytest.raises(ValueError, match=r"known are a, b - at `\$.x\[0\]`"):
        chosen(["zzz"], ["a", "b"], "x")
