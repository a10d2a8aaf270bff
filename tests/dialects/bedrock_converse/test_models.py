"""What the models of Bedrock take, by id."""

from gatewright.dialects.bedrock_converse.models import facts_of


def test_the_family_is_read_wherever_the_id_has_it():
    ids = (
        "anthropic.claude-3-haiku-20240307-v1:0", "eu.amazon.nova-lite-v1:0", "openai.gpt-oss-20b-1:0", "qwen.qwen3-32b-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-6",
    )  # fmt: skip
    assert [facts_of(name).family for name in ids] == ["claude", "nova", "gpt-oss", "other", "claude"]


def test_who_has_cache_points():
    """Claude from 3.7 and the small 3.5; Nova, but not in tools. An hour from 4.5."""

    def cached(name):
        facts = facts_of(name)
        return facts.caches, facts.caches_tools, facts.cache_ttl

    assert cached("anthropic.claude-3-5-sonnet-20240620-v1:0") == (False, False, False)
    assert cached("anthropic.claude-3-5-haiku-20241022-v1:0") == (True, True, False)
    assert cached("us.anthropic.claude-sonnet-4-5-20250929-v1:0") == (True, True, True)
    assert cached("amazon.nova-pro-v1:0") == (True, False, False)
    assert cached("meta.llama3-3-70b-instruct-v1:0") == (False, False, False)


def test_who_can_be_forced_and_who_takes_a_schema():
    assert [facts_of(name).forces for name in ("meta.llama3-1", "deepseek.r1-v1:0", "mistral.large", "amazon.nova-pro")] == [
        False, False, True, True,
    ]  # fmt: skip
    assert [facts_of(name).schema for name in ("anthropic.claude-3-haiku", "us.anthropic.claude-opus-4-5", "amazon.nova-pro", "zai.glm-4.7")] == [
        False, True, False, True,
    ]  # fmt: skip
