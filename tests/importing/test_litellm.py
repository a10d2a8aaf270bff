"""LiteLLM's config.yaml, made into a configuration that means the same."""

import pytest
from tests.importing.bench import carry, reasons

from gatewright.importing import CannotImport

DEPLOYMENTS = """
model_list:
  - model_name: gpt-4
    litellm_params:
      model: azure/chatgpt-v-2
      api_base: https://my-resource.openai.azure.com/
      api_version: "2024-10-21"
      api_key: os.environ/AZURE_API_KEY
      rpm: 480
      timeout: 300
      stream_timeout: 60
  - model_name: gpt-4
    litellm_params: {model: gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 160}
    model_info: {mode: chat, supports_vision: true, supports_function_calling: true, max_input_tokens: 128000, max_output_tokens: 16384}
"""


def test_a_model_group_is_a_model_and_its_deployments_are_targets():
    """By weight, or by rpm where that is what LiteLLM would draw by; with the sizes that model_info tells."""
    config, draft = carry("litellm", DEPLOYMENTS)
    model = config.models["gpt-4"]
    assert [(t.provider, t.model, t.weight) for t in model.targets] == [("azure", "chatgpt-v-2", 3), ("openai", "gpt-4o", 1)]
    assert (model.facts.context, model.facts.max_output, model.facts.capabilities) == (128000, 16384, ("vision", "tools"))
    azure = config.providers["azure"]
    assert azure.api_key.reveal() == "value-of-AZURE_API_KEY"
    assert azure.bases["openai_chat"].startswith("https://my-resource.openai.azure.com")
    assert dict(azure.settings)["api_version"] == "2024-10-21"
    assert (azure.timeouts.headers_s, azure.timeouts.first_event_s) == (300, 60)
    assert reasons(draft) == {
        "model_list[0].litellm_params.rpm": "a limit for one deployment; it is used as its weight alone",
        "model_list[1].litellm_params.rpm": "a limit for one deployment; it is used as its weight alone",
    }


@pytest.mark.parametrize(
    ("params", "provider", "model"),
    [
        ("{model: gpt-4o}", "openai", "gpt-4o"),
        ("{model: o3-mini}", "openai", "o3-mini"),
        ("{model: text-embedding-3-small}", "openai", "text-embedding-3-small"),
        ("{model: claude-sonnet-4-5}", "anthropic", "claude-sonnet-4-5"),
        ("{model: together_ai/meta-llama/Llama-3}", "together", "meta-llama/Llama-3"),
        ("{model: openrouter/anthropic/claude-opus-4.1}", "openrouter", "anthropic/claude-opus-4.1"),
        ("{model: ollama_chat/llama3.3}", "ollama", "llama3.3"),
        ("{model: openai/responses/gpt-5}", "openai", "gpt-5"),
        ("{model: azure/o_series/dep, api_base: 'https://r.openai.azure.com', api_key: k}", "azure", "dep"),
        (
            "{model: 'bedrock/arn:aws:bedrock:us-east-1:1:x/y', aws_region_name: us-east-1}",
            "bedrock",
            "arn:aws:bedrock:us-east-1:1:x/y",
        ),
        ("{model: hosted_vllm/Qwen/Qwen3, api_base: 'http://10.0.0.1:8000/v1'}", "vllm", "Qwen/Qwen3"),
        ("{model: my-model, custom_llm_provider: groq}", "groq", "my-model"),
        ("{model: org/model, api_base: 'https://h.example.com/v1', api_key: sk-1}", "custom", "org/model"),
        ("{model: bedrock/converse/us.amazon.nova-pro-v1:0, aws_region_name: us-east-1}", "bedrock", "us.amazon.nova-pro-v1:0"),
        ("{model: bedrock/eu-west-1/anthropic.claude-v2, aws_region_name: eu-west-1}", "bedrock", "anthropic.claude-v2"),
        ("{model: vertex_ai/gemini-2.5-pro, vertex_project: p, vertex_location: us-central1}", "vertex", "gemini-2.5-pro"),
    ],
)
def test_every_way_to_name_a_providers_model(params, provider, model):
    """By prefix, by a separate word, by a vendor's own names, by nothing but a base URL."""
    config, draft = carry("litellm", f"model_list: [{{model_name: m, litellm_params: {params}}}]")
    assert [(t.provider, t.model) for t in config.models["m"].targets] == [(provider, model)]
    assert reasons(draft) == {}


def test_one_host_with_one_credential_is_one_provider():
    """However often it is repeated; another key or another base is another one."""
    config, _ = carry(
        "litellm",
        """
model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/K1}}
  - {model_name: b, litellm_params: {model: openai/b, api_key: os.environ/K1}}
  - {model_name: c, litellm_params: {model: openai/c, api_key: os.environ/K2}}
  - {model_name: d, litellm_params: {model: openai/d, api_key: os.environ/K1, api_base: "https://mirror.example.com/v1"}}
  - {model_name: e, litellm_params: {model: openai/e, litellm_credential_name: shared}}
credential_list: [{credential_name: shared, credential_values: {api_key: os.environ/K2}, credential_info: {}}]
""",
    )
    assert {name: model.targets[0].provider for name, model in config.models.items()} == {
        "a": "openai", "b": "openai", "c": "openai-2", "d": "openai-3", "e": "openai-2",
    }  # fmt: skip


ROUTED = """
model_list:
  - {model_name: main, litellm_params: {model: openai/a, order: 1}}
  - {model_name: main, litellm_params: {model: groq/b, order: 2}}
  - {model_name: spare, litellm_params: {model: mistral/c}}
  - {model_name: "claude-*", litellm_params: {model: "anthropic/claude-*"}}
  - {model_name: "*", litellm_params: {model: "openai/*"}}
  - {model_name: any, litellm_params: {model: "*"}}
litellm_settings:
  drop_params: true
  request_timeout: 90
  fallbacks: [{main: [spare, claude-opus-5, nobody/x/y]}]
  default_fallbacks: [spare]
  context_window_fallbacks: [{main: [spare]}]
  callbacks: [otel]
router_settings:
  routing_strategy: latency-based-routing
  model_group_alias: {gpt-4: main, hidden: {model: spare, hidden: true}, main: spare, lost: {hidden: true}}
  num_retries: 3
"""


def test_orders_fallbacks_aliases_and_patterns():
    """Fallbacks name groups there, and targets here; an order beyond the first is a fallback too."""
    config, draft = carry("litellm", ROUTED)
    main = config.models["main"]
    assert [(t.provider, t.model) for t in main.targets] == [("openai", "a")]
    assert [f"{t.provider}/{t.model}" for t in main.fallback] == [
        "groq/b", "mistral/c", "anthropic/claude-opus-5", "openai/nobody/x/y",
    ]  # fmt: skip
    assert [f"{t.provider}/{t.model}" for t in config.models["claude-*"].fallback] == ["mistral/c"]
    assert config.models["*"].targets[0].model == "*"
    assert config.aliases == {"gpt-4": "main", "hidden": "spare"}
    assert config.timeouts.headers_s == 90
    assert set(reasons(draft)) == {
        "model_list[5]",
        "litellm_settings.context_window_fallbacks",
        "litellm_settings.callbacks",
        "router_settings.routing_strategy",
        "router_settings.num_retries",
        "router_settings.model_group_alias.main",
        "router_settings.model_group_alias.lost",
        "router_settings.model_group_alias.hidden.hidden",
        "router_settings.model_group_alias.lost.hidden",
    }


def test_parameters_of_a_deployment_are_defaults():
    """LiteLLM sends them where the client says nothing."""
    params = (
        "{model: gpt-4o, temperature: 0.2, max_tokens: 50, stop: END, reasoning_effort: low, extra_headers: {x-a: os.environ/H}}"
    )
    config, draft = carry("litellm", f"model_list: [{{model_name: m, litellm_params: {params}}}]")
    assert config.models["m"].defaults == {"temperature": 0.2, "max_tokens": 50, "stop": ["END"], "effort": "low"}
    assert [(n, v.reveal()) for n, v in config.providers["openai"].headers] == [("x-a", "value-of-H")]
    assert reasons(draft) == {}


def test_deployments_that_say_different_things_are_told():
    """A model has one set of defaults."""
    entries = (
        "[{model_name: m, litellm_params: {model: gpt-4o}}, {model_name: m, litellm_params: {model: gpt-4, temperature: 0}}]"
    )
    _, draft = carry("litellm", f"model_list: {entries}")
    assert list(reasons(draft)) == ["model_list[1].litellm_params"]


def test_clouds_keep_their_credentials():
    """AWS's and Google's settings go where they belong, and only there."""
    config, draft = carry(
        "litellm",
        """
model_list:
  - model_name: b
    litellm_params: {model: bedrock/x, aws_region_name: us-east-1, aws_access_key_id: os.environ/A, aws_secret_access_key: os.environ/S}
  - {model_name: o, litellm_params: {model: openai/x, aws_region_name: us-east-1}}
  - {model_name: v, litellm_params: {model: vertex_ai/x, vertex_project: p, vertex_credentials: '{"type": "service_account"}'}}
""",
    )
    assert config.providers["bedrock"].credential is not None
    assert config.providers["vertex"].settings["project"] == "p"
    assert set(reasons(draft)) == {
        "model_list[1].litellm_params.aws_region_name",
        "model_list[2].litellm_params.vertex_credentials",
    }


def test_the_master_key_is_a_client_key_and_the_database_is_told():
    """Without the database's password."""
    config, draft = carry(
        "litellm",
        "model_list: []\ngeneral_settings: {master_key: sk-0123456789abcdef, database_url: 'postgresql://u:secretpw@h/d'}",
    )
    assert [(key.name, key.key.reveal()) for key in config.keys] == [("master", "sk-0123456789abcdef")]
    assert "secretpw" not in str(reasons(draft))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\n", 'f.yaml:1:1 expected LiteLLM\'s proxy configuration: a mapping with "model_list"'),
        ("model_list: 5\n", "f.yaml:1:13 model_list: expected a list, got a number"),
        ("model_list:\n  - 5\n", "f.yaml:2:5 model_list[0]: expected a mapping, got a number"),
        ("model_list:\n  - {model_name: a}\n", 'f.yaml:2:5 model_list[0]: missing key "litellm_params"'),
        (
            "model_list:\n  - {model_name: a, litellm_params: {}}\n",
            'f.yaml:2:37 model_list[0].litellm_params: missing key "model"',
        ),
        (
            "model_list:\n  - {model_name: a, litellm_params: {model: gpt-4, timeout: soon}}\n",
            "f.yaml:2:61 model_list[0].litellm_params.timeout: expected a number, got text",
        ),
        (
            "model_list: []\nlitellm_settings: {fallbacks: [x]}\n",
            "f.yaml:2:32 litellm_settings.fallbacks[0]: expected a mapping of a group to its fallbacks, got text",
        ),
    ],
)
def test_what_is_no_litellm_configuration_is_told_with_its_place(text, complaint):
    """The first thing that cannot be understood ends it: half of a list of models would be a trap."""
    with pytest.raises(CannotImport) as caught:
        carry("litellm", text, file="f.yaml")
    assert str(caught.value) == complaint
