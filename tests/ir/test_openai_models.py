"""Facts about OpenAI's models, read off their names."""

import pytest

from gatewright.ir.openai_models import facts_of


@pytest.mark.parametrize(
    ("model", "samples", "reasons"),
    [
        ("gpt-4.1-mini", "always", False),
        ("gpt-4o", "always", False),
        ("gpt-5-chat-latest", "always", False),
        ("gpt-5", "never", True),
        ("openai/gpt-5-mini", "never", True),
        ("o3", "never", True),
        ("o4-mini", "never", True),
        ("gpt-5.1-codex", "unless reasoning", True),
        ("gpt-oss-120b", "always", True),
        ("olmo-3", "always", True),
        ("", "always", True),
    ],
)
def test_a_name_tells_what_its_model_takes(model, samples, reasons):
    """What is not certainly OpenAI's is believed to take everything."""
    facts = facts_of(model)
    assert (facts.samples, facts.reasons) == (samples, reasons)


def test_newer_models_sample_when_they_do_not_reason():
    """gpt-5.1 and later take a temperature with the effort `none`."""
    assert facts_of("gpt-5.1").takes_sampling("none")
    assert not facts_of("gpt-5.1").takes_sampling(None)
    assert not facts_of("gpt-5").takes_sampling("none")
    assert facts_of("gpt-4o").takes_sampling(None)
