"""Requests from abroad: limits, sampling, thinking, formats, tools, and what is said of them."""

import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.ir.blocks import CacheHint, Text, ToolCall, ToolResult
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from tests.dialects.anthropic.asking import abroad, paths, said, target

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
LOOK = Tool(name="look", parameters=SCHEMA, at="tools[0]")
USED = (
    said("user", "Go"),
    said("assistant", ToolCall(id="a", name="look", arguments="{}")),
    said("user", ToolResult(call_id="a", content=(Text(text="x"),))),
)


def test_path_and_headers():
    """The base URL has no /v1, and the API insists on a version."""
    _, _, rendered = abroad()
    assert rendered.path == "/v1/messages"
    assert ("anthropic-version", "2023-06-01") in rendered.headers


@pytest.mark.parametrize(
    ("model", "told", "expected"),
    [
        ("claude-3-opus-20240229", 0, 4096),
        ("claude-3-5-haiku-latest", 0, 8192),
        ("anthropic.claude-sonnet-4-5-v1:0", 0, 32000),
        ("claude-next", 0, 32000),
        ("glm-9", 0, 8192),
        ("claude-opus-5", 123, 123),
    ],
)
def test_a_limit_is_always_sent(model, told, expected):
    """max_tokens is required: the route's, else one that the model's generation takes."""
    request = Request(origin="openai_chat", model="m", messages=(said("user", "Hi"),))
    rendered = ANTHROPIC.render_request(request, target(model, max_tokens=told))
    assert rendered.body["max_tokens"] == expected
    assert rendered.losses == ()


def test_a_limit_beyond_the_models_is_lowered_and_said():
    """Old models refuse more than they can give."""
    body, losses, _ = abroad(model="claude-3-haiku-20240307", max_tokens=9000)
    assert body["max_tokens"] == 4096
    assert paths(losses) == ["max_completion_tokens"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-3-5-sonnet-20241022", {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ("claude-sonnet-4-5", {"temperature": 0.5, "top_k": 5}),
        ("claude-opus-4-7", {}),
        ("claude-haiku-5-5", {}),
    ],
)
def test_sampling_is_what_the_generation_takes(model, expected):
    """Newer models refuse temperature together with top_p, the newest refuse all three; what is left out is said."""
    body, losses, _ = abroad(model=model, sampling=Sampling(temperature=0.5, top_p=0.9, top_k=5))
    assert {key: body[key] for key in ("temperature", "top_p", "top_k") if key in body} == expected
    assert set(paths(losses)) == {"temperature", "top_p", "top_k"} - set(expected)


def test_hot_sampling_is_cooled_to_the_highest():
    """Elsewhere temperature goes to 2."""
    body, losses, _ = abroad(sampling=Sampling(temperature=1.7))
    assert body["temperature"] == 1
    assert paths(losses, "approximated") == ["temperature"]


def test_what_only_others_sample_by_is_said():
    """Seed, penalties, n and logprobs have no place; their void values are hints."""
    sampling = Sampling(seed=1, frequency_penalty=0.5, presence_penalty=0, n=2, logprobs=True, stop=("END", " \n"))
    body, losses, _ = abroad(sampling=sampling)
    assert body["stop_sequences"] == ["END"]
    assert set(paths(losses, "dropped")) == {"seed", "frequency_penalty", "n", "logprobs", "stop"}
    assert paths(losses, "hint") == ["presence_penalty"]


@pytest.mark.parametrize(
    ("model", "thinking", "expected", "effort"),
    [
        ("claude-sonnet-4-5", Thinking(effort="low"), {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-sonnet-4-5", Thinking(budget=5000, enabled=True), {"type": "enabled", "budget_tokens": 5000}, None),
        ("claude-sonnet-4-5", Thinking(budget=10, enabled=True), {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-sonnet-4-5", Thinking(effort="none"), {"type": "disabled"}, None),
        ("claude-opus-4-6", Thinking(effort="xhigh"), {"type": "adaptive"}, "max"),
        ("claude-opus-5", Thinking(effort="minimal"), {"type": "adaptive"}, "low"),
        ("claude-opus-5", Thinking(budget=9000, enabled=True), {"type": "adaptive"}, "high"),
        ("claude-opus-5", Thinking(budget=-1), {"type": "adaptive"}, None),
        ("claude-opus-5", Thinking(effort="high", summary="auto"), {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-fable-5", Thinking(effort="none"), None, None),
        ("claude-3-5-haiku-latest", Thinking(effort="high"), None, None),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_way(model, thinking, expected, effort):
    """Budgets for older models, adaptive with an effort for newer ones, nothing where there is none."""
    body, losses, _ = abroad(model=model, thinking=thinking)
    assert body.get("thinking") == expected
    assert body.get("output_config", {}).get("effort") == effort
    if expected is None:
        assert paths(losses) == ["reasoning_effort"]


def test_an_effort_that_says_what_adaptive_says_hides_no_word():
    """The two are written as one would be: which of them was said is told."""
    body, losses, _ = abroad(model="claude-opus-5", thinking=Thinking(adaptive=True, effort="high"))
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})
    assert paths(losses, "hint") == ["reasoning_effort"]


@pytest.mark.parametrize("limit", [600, 1024, 1200, 1500, 4000, 60000])
def test_a_budget_is_always_below_the_limit(limit):
    """The API refuses budgets that are not, and budgets below 1024."""
    body, losses, _ = abroad(max_tokens=limit, thinking=Thinking(effort="high"))
    assert 1024 <= body["thinking"]["budget_tokens"] < body["max_tokens"]
    if body["max_tokens"] != limit:
        assert "max_completion_tokens" in paths(losses, "approximated")


def test_thinking_goes_off_where_a_tool_is_forced():
    """The API refuses the two together."""
    for model in ("claude-sonnet-4-5", "claude-opus-5"):
        body, losses, _ = abroad(
            model=model, thinking=Thinking(effort="high"), tools=(LOOK,), tool_choice=ToolChoice(mode="required")
        )
        assert body["thinking"] == {"type": "disabled"}
        assert body["tool_choice"] == {"type": "any"}
        assert "reasoning_effort" in paths(losses, "approximated")


def test_a_model_that_always_thinks_is_not_forced():
    """Then the choice gives way."""
    choice = ToolChoice(mode="tool", names=("look",))
    body, losses, _ = abroad(model="claude-mythos-5", thinking=Thinking(effort="high"), tools=(LOOK,), tool_choice=choice)
    assert body["thinking"]["type"] == "adaptive"
    assert body["tool_choice"] == {"type": "auto"}
    assert "tool_choice" in paths(losses, "approximated")


def test_thinking_goes_off_after_unsigned_calls():
    """With a budget the API wants the last turn of calls to begin with signed thinking, which another provider cannot give."""
    body, losses, _ = abroad(*USED, thinking=Thinking(effort="high"), tools=(LOOK,))
    assert body["thinking"] == {"type": "disabled"}
    assert "reasoning_effort" in paths(losses, "approximated")
    assert (
        abroad(*USED, model="claude-opus-5", thinking=Thinking(effort="high"), tools=(LOOK,))[0]["thinking"]["type"] == "adaptive"
    )


def test_thinking_and_sampling_agree():
    """Only temperature 1 goes with thinking, top_k never."""
    body, losses, _ = abroad(thinking=Thinking(effort="low"), sampling=Sampling(temperature=0.2, top_p=0.5, top_k=3))
    assert not {"temperature", "top_p", "top_k"} & set(body)
    assert {"temperature", "top_p", "top_k"} <= set(paths(losses, "dropped"))


def test_a_schema_is_native_where_the_model_has_it():
    """Objects are closed, which the API insists on; labels are hints."""
    output = OutputFormat(kind="json_schema", schema=SCHEMA, name="answer", strict=True)
    body, losses, rendered = abroad(output=output)
    assert body["output_config"]["format"]["schema"] == {**SCHEMA, "additionalProperties": False}
    assert rendered.asked.json_tool == ""
    assert set(paths(losses)) == {"response_format", "response_format.name", "response_format.strict"}


@pytest.mark.parametrize(
    ("model", "schema"),
    [("claude-3-7-sonnet-latest", SCHEMA), ("claude-sonnet-4-5", {"type": "object", "additionalProperties": {"type": "string"}})],
)
def test_a_schema_is_a_forced_tool_elsewhere(model, schema):
    """On older models, and for schemas that the native way refuses; the parser is told the tool's name."""
    body, losses, rendered = abroad(model=model, output=OutputFormat(kind="json_schema", schema=schema, name="answer"))
    assert body["tools"][0]["name"] == "answer"
    assert body["tools"][0]["input_schema"] == schema
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert rendered.asked.json_tool == "answer"
    assert paths(losses, "approximated") == ["response_format"]


def test_json_without_a_schema_is_asked_for_in_words_beside_tools():
    """A forced tool would keep the model from calling the client's own."""
    body, losses, rendered = abroad(
        said("system", "Be kind."), said("user", "Hi"), tools=(LOOK,), output=OutputFormat(kind="json_object")
    )
    assert body["system"].startswith("Be kind.\n\n")
    assert rendered.asked.json_tool == ""
    assert paths(losses, "approximated") == ["response_format"]


def test_effort_and_format_share_a_setting():
    """Both live in output_config."""
    body, _, _ = abroad(
        model="claude-opus-5", thinking=Thinking(effort="low"), output=OutputFormat(kind="json_schema", schema=SCHEMA)
    )
    assert set(body["output_config"]) == {"effort", "format"}


def test_tools_of_every_kind():
    """Functions as they are, free-form tools as functions, hosted ones as the API's own or not at all."""
    tools = (
        LOOK,
        Tool(name="bare", at="tools[1]"),
        Tool(name="patch", kind="custom", native={"type": "custom", "name": "patch"}, at="tools[2]"),
        Tool(
            name="web_search",
            kind="hosted",
            hosted="web_search",
            native={"type": "web_search", "filters": {"allowed_domains": ["a.example"]}, "user_location": {"city": "Oslo"}},
            at="tools[3]",
        ),
        Tool(name="painter", kind="hosted", hosted="image_generation", native={"type": "image_generation"}, at="tools[4]"),
        Tool(name="code", kind="hosted", hosted="code_execution", native={"type": "code_interpreter"}, at="tools[5]"),
    )
    body, losses, rendered = abroad(tools=tools)
    assert [tool["name"] for tool in body["tools"]] == ["look", "bare", "patch", "web_search", "code_execution"]
    assert body["tools"][1]["input_schema"] == {"type": "object", "properties": {}}
    assert body["tools"][2]["input_schema"]["required"] == ["input"]
    assert body["tools"][3]["allowed_domains"] == ["a.example"]
    assert body["tools"][3]["user_location"] == {"type": "approximate", "city": "Oslo"}
    assert paths(losses, "dropped") == ["tools[4]"]
    assert paths(losses, "approximated") == ["tools[2]", "tools[3]", "tools[5]"]
    assert ("anthropic-beta", "code-execution-2025-08-25") in rendered.headers


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (ToolChoice(mode="required"), None, {"type": "any"}),
        (ToolChoice(mode="none"), None, {"type": "none"}),
        (ToolChoice(mode="tool", names=("look",)), False, {"type": "tool", "name": "look", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="required", names=("look",)), None, {"type": "tool", "name": "look"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, {"type": "auto", "disable_parallel_tool_use": False}),
    ],
)
def test_choices(choice, parallel, expected):
    """The word on parallel calls stands inside the choice."""
    body, losses, _ = abroad(tools=(LOOK,), tool_choice=choice, parallel_tool_calls=parallel)
    assert body["tool_choice"] == expected
    assert paths(losses) == ([] if choice else ["tool_choice"])


def test_a_choice_without_tools_is_left_out():
    """The API refuses it."""
    body, losses, _ = abroad(tool_choice=ToolChoice(mode="auto"), parallel_tool_calls=True)
    assert "tool_choice" not in body
    assert paths(losses) == ["tool_choice", "parallel_tool_calls"]


def test_strictness_is_kept_where_the_schema_allows():
    """Open objects and limits on values are refused in strict schemas."""
    closed = {**SCHEMA, "additionalProperties": False}
    body, losses, _ = abroad(
        tools=(Tool(name="a", parameters=closed, strict=True), Tool(name="b", parameters=SCHEMA, strict=True, at="tools[1]"))
    )
    assert [tool.get("strict") for tool in body["tools"]] == [True, None]
    assert paths(losses, "approximated") == ["tools[1].strict"]


def test_labels():
    """The user and the tier have a place, the rest is said."""
    body, losses, _ = abroad(user="u1", service_tier="default", metadata={"k": "v"}, cache_key="c", store=False, verbosity="low")
    assert body["metadata"] == {"user_id": "u1"}
    assert body["service_tier"] == "standard_only"
    assert paths(losses, "dropped") == ["metadata", "verbosity"]
    assert paths(losses, "hint") == ["prompt_cache_key", "store"]


def test_cache_points_of_others_are_kept():
    """A neutral cache hint is a cache_control here."""
    body, _, _ = abroad(said("user", Text(text="Long", cache=CacheHint(ttl="1h"))))
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize("arguments", ["{}{}", "[1]", "not json", '{"a": NaN}', '"text"'])
def test_arguments_that_are_no_object_survive(arguments):
    """They are wrapped, said, and come back unchanged when the client replays them."""
    history = (said("user", "Go"), said("assistant", ToolCall(id="a", name="n", arguments=arguments, at="m")))
    body, losses, _ = abroad(*history)
    wrapped = body["messages"][1]["content"][0]["input"]
    assert wrapped == {"_raw": arguments}
    assert "m.arguments" in paths(losses, "approximated")
