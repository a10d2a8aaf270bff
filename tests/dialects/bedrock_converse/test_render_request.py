"""Requests for a Converse upstream, from other dialects."""

import msgspec
import pytest

from gatewright.ir.blocks import (
    CacheHint,
    Citation,
    FileRef,
    Inline,
    Media,
    Message,
    Native,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from gatewright.ir.seal import Seal
from tests.dialects.bedrock_converse.asking import CLAUDE, LLAMA, NOVA, OSS, losses_of, parsed, rendered
from tests.laws import bedrock_oracle

SONNET46 = "us.anthropic.claude-sonnet-4-6"
HAIKU3 = "anthropic.claude-3-haiku-20240307-v1:0"


def chat(*messages, **more):
    return Request(origin="openai_chat", model="m", messages=messages, **more)


def user(*blocks):
    return Message(role="user", blocks=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks), at="messages[0]")


def assistant(*blocks):
    return Message(role="assistant", blocks=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks), at="messages[1]")


def call(id_, name="f", arguments="{}", **more):
    return ToolCall(id=id_, name=name, arguments=arguments, at=f"call.{id_}", **more)


def result(id_, text="ok", **more):
    return ToolResult(call_id=id_, content=(Text(text=text),), at=f"result.{id_}", **more)


def tool(name="f", **more):
    return Tool(name=name, parameters={"type": "object", "properties": {}}, at=f"tools.{name}", **more)


def sent(request, model=CLAUDE):
    """The body, which botocore's service model must have no word against."""
    body = rendered(request, model).body
    assert bedrock_oracle.request(body) == []
    return body


def test_neighbours_of_one_role_are_one_turn_and_the_user_begins():
    body = sent(chat(assistant("x"), user("a"), user("b"), assistant("c"), user("d")))
    assert [(turn["role"], len(turn["content"])) for turn in body["messages"]] == [
        ("user", 1), ("assistant", 1), ("user", 2), ("assistant", 1), ("user", 1),
    ]  # fmt: skip


def test_instructions_are_moved_to_the_top():
    system = Message(role="system", blocks=(Text(text="be kind"),), at="messages[2]")
    out = rendered(chat(user("a"), system))
    assert out.body["system"] == [{"text": "be kind"}]
    assert ("messages[2]", "approximated") in losses_of(out)


def test_blank_text_is_left_out_and_blank_results_are_told_so():
    """Bedrock refuses both."""
    out = rendered(chat(user("a", " "), assistant(call("t1")), user(result("t1", "")), tools=(tool(),)))
    assert out.body["messages"][0]["content"] == [{"text": "a"}]
    assert out.body["messages"][2]["content"][0]["toolResult"]["content"] == [{"text": "(empty)"}]


def test_results_stand_first_and_every_call_has_one():
    body = sent(chat(user("a"), assistant(call("t1"), call("t2")), user("b", result("t2")), tools=(tool(),)))
    turn = body["messages"][2]["content"]
    assert [next(iter(block)) for block in turn] == ["toolResult", "toolResult", "text"]
    assert [block["toolResult"]["toolUseId"] for block in turn[:2]] == ["t2", "t1"]
    assert turn[1]["toolResult"]["status"] == "error"


def test_a_result_that_nothing_asked_for_is_told_as_text():
    body = sent(chat(user("a", result("t9", "late"))))
    assert [block["text"] for block in body["messages"][0]["content"]] == ["a", "Result of tool call t9:", "late"]


def test_the_histories_tools_are_declared_when_the_client_declares_none():
    """Bedrock wants toolConfig wherever there are calls in the history (400 otherwise)."""
    body = sent(chat(user("a"), assistant(call("t1", "look")), user(result("t1"))))
    assert [entry["toolSpec"]["name"] for entry in body["toolConfig"]["tools"]] == ["look"]


def test_none_leaves_the_tools_out_where_it_can():
    """There is no word for it."""
    out = rendered(chat(user("a"), tools=(tool(),), tool_choice=ToolChoice(mode="none", at="tool_choice")))
    assert "toolConfig" not in out.body
    assert losses_of(out) == {("tool_choice", "approximated"), ("tools.f", "approximated")}
    with_calls = chat(
        user("a"),
        assistant(call("t1")),
        user(result("t1")),
        tools=(tool(),),
        tool_choice=ToolChoice(mode="none", at="tool_choice"),
    )
    out = rendered(with_calls)
    assert "toolChoice" not in out.body["toolConfig"]
    assert ("tool_choice", "dropped") in losses_of(out)


@pytest.mark.parametrize(
    ("choice", "model", "wire"),
    [
        (ToolChoice(mode="auto"), CLAUDE, {"auto": {}}),
        (ToolChoice(mode="required"), CLAUDE, {"any": {}}),
        (ToolChoice(mode="tool", names=("f",)), NOVA, {"tool": {"name": "f"}}),
        (ToolChoice(mode="required", names=("f",)), NOVA, {"tool": {"name": "f"}}),
        (ToolChoice(mode="tool", names=("nobody",)), NOVA, None),
        (ToolChoice(mode="required"), LLAMA, None),
    ],
)
def test_the_choice_as_the_model_takes_it(choice, model, wire):
    assert sent(chat(user("a"), tools=(tool(),), tool_choice=choice), model)["toolConfig"].get("toolChoice") == wire


def test_cache_points_follow_their_blocks_where_the_model_has_them():
    hint = CacheHint(ttl="1h", at="cache")
    request = chat(user(Text(text="a", cache=hint)), tools=(tool(cache=hint),))
    body = sent(request)
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    nova = rendered(request, NOVA)
    assert nova.body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
    assert len(nova.body["toolConfig"]["tools"]) == 1
    assert losses_of(nova) == {("cache.ttl", "hint"), ("cache", "hint")}
    assert losses_of(rendered(request, LLAMA)) == {("cache", "hint")}


def test_media_in_the_formats_that_the_api_takes():
    png = Media(kind="image", source=Inline(media_type="", data="iVBO\nRw0KGgo="), at="i")
    text = Media(kind="document", title="a_b.md  c", source=Inline(media_type="text/plain", data="hi", text=True), at="d")
    stored = Media(kind="video", source=Url(url="s3://bucket/k.mp4", media_type="video/mp4"), at="v")
    body = sent(chat(user("x", png, text, text, stored)))
    _, image, first, second, video = body["messages"][0]["content"]
    assert image == {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
    assert first == {"document": {"format": "txt", "name": "a b md c", "source": {"bytes": "aGk="}}}
    assert second["document"]["name"] == "a b md c 2"
    assert video == {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/k.mp4"}}}}


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="image", source=Url(url="https://x/y.png"), at="m"),
        Media(kind="image", source=FileRef(id="file-1", origin="openai_responses"), at="m"),
        Media(kind="image", source=Inline(media_type="image/tiff", data="QQ=="), at="m"),
        Media(kind="image", source=Inline(media_type="image/png", data="not base64!"), at="m"),
    ],
)
def test_media_that_it_cannot_read_are_told_as_lost(media):
    out = rendered(chat(user("a", media)))
    assert len(out.body["messages"][0]["content"]) == 1
    assert ("m", "dropped") in losses_of(out)


def test_a_document_never_stands_alone():
    """Bedrock wants text beside it."""
    document = Media(kind="document", source=Inline(media_type="application/pdf", data="QQ=="), at="d")
    assert [next(iter(b)) for b in sent(chat(user(document)))["messages"][0]["content"]] == ["document", "text"]


def test_reasoning_goes_back_to_the_endpoint_that_sealed_it_and_nowhere_else():
    def reasoning(**seal):
        return Reasoning(text="t", seal=Seal(data="EqQB", **seal), at="r")

    own = chat(user("a"), assistant(reasoning(dialect="bedrock_converse", issuer="aws"), "b"), user("c"))
    first = sent(own)["messages"][1]["content"][0]
    assert first == {"reasoningContent": {"reasoningText": {"text": "t", "signature": "EqQB"}}}
    for seal in ({"dialect": "bedrock_converse", "issuer": "other"}, {"dialect": "anthropic"}):
        out = rendered(chat(user("a"), assistant(reasoning(**seal), "b"), user("c")))
        assert out.body["messages"][1]["content"] == [{"text": "b"}]
        assert ("r", "dropped") in losses_of(out)


def test_a_redacted_block_goes_back_as_it_came():
    seal = Seal(dialect="bedrock_converse", data="QQ==", issuer="aws", kind="redactedContent")
    body = sent(chat(user("a"), assistant(Reasoning(redacted=True, seal=seal), "b"), user("c")))
    assert body["messages"][1]["content"][0] == {"reasoningContent": {"redactedContent": "QQ=="}}


@pytest.mark.parametrize(
    ("thinking", "model", "more"),
    [
        (Thinking(budget=2000), CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (Thinking(effort="low"), CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (Thinking(enabled=False), CLAUDE, {"thinking": {"type": "disabled"}}),
        (Thinking(effort="xhigh"), SONNET46, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        (Thinking(budget=9000), SONNET46, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (Thinking(effort="high"), NOVA, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        (Thinking(effort="none"), NOVA, {"reasoningConfig": {"type": "disabled"}}),
        (Thinking(effort="minimal"), OSS, {"reasoning_effort": "low"}),
        (Thinking(effort="low"), HAIKU3, None),
        (Thinking(effort="low"), LLAMA, None),
        (Thinking(summary="auto"), CLAUDE, None),
    ],
)
def test_thinking_in_the_words_of_each_family(thinking, model, more):
    out = rendered(chat(user("a"), thinking=thinking), model)
    assert out.body.get("additionalModelRequestFields") == more
    assert more == {"thinking": {"type": "enabled", "budget_tokens": 2000}} or out.losses


def test_a_budget_leaves_room_for_the_answer():
    """Claude wants maxTokens above it."""
    assert sent(chat(user("a"), thinking=Thinking(budget=2000)))["inferenceConfig"] == {"maxTokens": 10192}
    body = sent(chat(user("a"), thinking=Thinking(budget=9000), max_tokens=5000))
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 4000
    small = sent(chat(user("a"), thinking=Thinking(budget=9000), max_tokens=100))
    assert small["inferenceConfig"]["maxTokens"] > small["additionalModelRequestFields"]["thinking"]["budget_tokens"] >= 1024 or (
        small["inferenceConfig"]["maxTokens"] == 1124
    )


def test_thinking_is_off_where_a_tool_is_forced_or_the_history_is_unsigned():
    forced = chat(user("a"), tools=(tool(),), tool_choice=ToolChoice(mode="required"), thinking=Thinking(budget=2000))
    unsigned = chat(user("a"), assistant(call("t1")), user(result("t1")), tools=(tool(),), thinking=Thinking(budget=2000))
    for request in (forced, unsigned):
        assert sent(request)["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}


def test_sampling_as_the_model_takes_it():
    sampling = Sampling(temperature=1.7, top_p=0.5, top_k=7, seed=1, stop=("END", " "), n=1)
    out = rendered(chat(user("a"), sampling=sampling, max_tokens=9))
    assert out.body["inferenceConfig"] == {"maxTokens": 9, "temperature": 1, "stopSequences": ["END"]}
    assert out.body["additionalModelRequestFields"] == {"top_k": 7}
    nova = sent(chat(user("a"), sampling=sampling), NOVA)
    assert nova["inferenceConfig"] == {"temperature": 1, "topP": 0.5, "stopSequences": ["END", " "]}
    assert nova["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 7}}
    assert "additionalModelRequestFields" not in sent(chat(user("a"), sampling=sampling), LLAMA)


def test_a_schema_is_native_forced_or_told_in_words():
    """By what the model has: textFormat, a tool that it must call, or an instruction."""
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}
    request = chat(user("a"), output=OutputFormat(kind="json_schema", schema=schema, name="n", strict=True))
    told = sent(request)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert told["name"] == "n"
    assert told["schema"].count('"additionalProperties":false') == 2
    nova = rendered(request, NOVA)
    assert nova.asked.json_tool == "n"
    assert nova.body["toolConfig"]["toolChoice"] == {"tool": {"name": "n"}}
    assert '"properties"' in sent(request, LLAMA)["system"][0]["text"]
    free = chat(user("a"), output=OutputFormat(kind="json_object"))
    assert "JSON object" in sent(free)["system"][0]["text"]


def test_labels_go_where_the_api_takes_them():
    out = rendered(chat(user("a"), metadata={"team": "x", "bad": "a\n!", "n": 1}, service_tier="flex", user="u", store=True))
    assert out.body["requestMetadata"] == {"team": "x"}
    assert out.body["serviceTier"] == {"type": "flex"}
    assert losses_of(out) == {("metadata.bad", "dropped"), ("metadata.n", "dropped"), ("user", "hint"), ("store", "hint")}


def test_hosted_tools_are_novas_or_lost():
    request = chat(user("a"), tools=(Tool(name="s", kind="hosted", hosted="web_search", native={"type": "web_search"}, at="s"),))
    assert sent(request, NOVA)["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]
    out = rendered(request)
    assert "toolConfig" not in out.body
    assert losses_of(out) == {("s", "dropped")}


def test_ids_and_names_are_made_to_fit():
    request = chat(user("a"), assistant(call("call.1/x" * 20)), user(result("call.1/x" * 20)), tools=(tool("a.b"),))
    body = sent(request)
    used = body["messages"][1]["content"][0]["toolUse"]["toolUseId"]
    assert used == body["messages"][2]["content"][0]["toolResult"]["toolUseId"]
    assert body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "a_b"


def test_what_only_others_know_is_lost_aloud():
    cited = Text(text="x", citations=(Citation(kind="url_citation", origin="openai_chat", url="https://x", at="c"),), at="t")
    native = Native(origin="openai_chat", data={"type": "x"}, at="n")
    assert losses_of(rendered(chat(user(cited, native)))) == {("c", "dropped"), ("n", "dropped")}


def test_a_route_may_set_what_a_client_of_this_dialect_did_not():
    """The route's word on thinking is told in the model's own fields, beside the client's."""
    request = parsed({"messages": [{"role": "user", "content": [{"text": "a"}]}]})
    out = rendered(msgspec.structs.replace(request, thinking=Thinking(budget=2000), max_tokens=5000))
    assert out.body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    assert out.body["inferenceConfig"] == {"maxTokens": 5000}
    set_by_route = msgspec.structs.replace(request, sampling=Sampling(top_k=5))
    assert rendered(set_by_route, NOVA).body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert rendered(set_by_route).body["additionalModelRequestFields"] == {"top_k": 5}
