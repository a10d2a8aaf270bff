"""Secrets as other gateways write them."""

import pytest

from gatewright.importing.references import is_variable, reference, referred
from gatewright.importing.source import CannotImport, read_source


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("os.environ/OPENAI_API_KEY", "env:OPENAI_API_KEY"),
        ("env.OPENAI_API_KEY", "env:OPENAI_API_KEY"),
        ("${OPENAI_API_KEY}", "env:OPENAI_API_KEY"),
        ("$KEY", "env:KEY"),
        ("env:KEY", "env:KEY"),
        ("sk-literal", "sk-literal"),
        ("os.environ/", "os.environ/"),
        ("os.environ/A B", "os.environ/A B"),
        ("$ecret-1", "$ecret-1"),
    ],
)
def test_variables_become_references(written, ours):
    """Everything else is itself."""
    assert reference(written) == ours
    assert is_variable(reference(written)) == ours.startswith("env:")


def test_a_variable_may_be_a_mapping():
    """As Bifrost's interface writes it; an empty value is none."""
    top = read_source("f", b"a: {env_var: env.K, from_env: true}\nb: {value: v}\nc: ''\nd: [x]").top
    assert [referred(top, key) for key in ("a", "b", "c", "zz")] == ["env:K", "v", None, None]
    with pytest.raises(CannotImport):
        referred(top, "d")
