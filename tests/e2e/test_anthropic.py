"""/v1/messages with the official Anthropic client, against a server whose engine says what it is
told: the last user message is the model's raw output."""
import anthropic
import pytest

TOOLS = [
    {"name": "get_weather", "description": "The weather of a city.", "input_schema": {
        "type": "object", "required": ["city"], "properties": {
            "city": {"type": "string"}, "days": {"type": "integer"}}}},
    {"name": "add", "input_schema": {"type": "object", "properties": {}}},
]
TWO_CALLS = ('Both.<|tool_call>call:get_weather{city:<|"|>Tokyo, "JP"\n{1}<|"|>,days:3}<tool_call|>'
             '<|tool_call>call:add{a:1.50,b:[null,true]}<tool_call|>')
ARGUMENTS = [{"city": 'Tokyo, "JP"\n{1}', "days": 3}, {"a": 1.5, "b": [None, True]}]
THOUGHT = "<|channel>thought\nTwo calls.\n<channel|>"


@pytest.fixture(scope="module")
def scripted(scripted_url):
    return anthropic.Anthropic(base_url=scripted_url, api_key="none", max_retries=0, timeout=60)


def whole(client, **request):
    return client.messages.create(model="tiny", max_tokens=4000, **request)


def streamed(client, **request):
    with client.messages.stream(model="tiny", max_tokens=4000, **request) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(message.content)
    return message


FORMS = [whole, streamed]


@pytest.mark.parametrize("answer", FORMS)
def test_text(scripted, answer):
    message = answer(scripted, system="Be kind.", messages=[{"role": "user", "content": "Grüße!"}])
    assert [b.text for b in message.content] == ["Grüße!"]
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert message.usage.cache_read_input_tokens == 0


def test_raw_events(scripted):
    events = list(whole(scripted, messages=[{"role": "user", "content": "Hi"}], stream=True))
    assert [e.type for e in events[:2]] == ["message_start", "content_block_start"]
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == "Hi"
    assert [e.type for e in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("answer", FORMS)
def test_tool_loop_with_two_parallel_calls(scripted, answer, thinking):
    request = {"tools": TOOLS, "system": [
        {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]}
    if thinking:
        request["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    messages = [{"role": "user", "content": (THOUGHT if thinking else "") + TWO_CALLS}]
    message = answer(scripted, messages=messages, **request)
    assert message.stop_reason == "tool_use"
    assert [b.type for b in message.content] == ["thinking"] * thinking + ["text", "tool_use", "tool_use"]
    if thinking:
        assert message.content[0].thinking == "Two calls."
    calls = [b for b in message.content if b.type == "tool_use"]
    assert [c.name for c in calls] == ["get_weather", "add"]
    assert [c.input for c in calls] == ARGUMENTS
    # Without the text, as a model says it that only calls: the answer goes on in the same turn.
    messages.append({"role": "assistant", "content": [b for b in message.content if b.type != "text"]})
    messages.append({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": c.id, "content": '{"ok": true}'} for c in calls]})
    message = answer(scripted, messages=messages, **request)
    assert message.stop_reason == "end_turn"
    assert [b.type for b in message.content] == ["thinking"] * thinking + ["text"]
    assert message.content[-1].text == "Done."


def test_count_tokens_is_what_the_message_uses(scripted):
    request = {"messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS, "system": "Be kind."}
    counted = scripted.messages.count_tokens(model="tiny", **request).input_tokens
    assert counted == whole(scripted, **request).usage.input_tokens


def test_stop_sequences(scripted):
    message = whole(scripted, messages=[{"role": "user", "content": "one two three"}],
                    stop_sequences=["three", " two"])
    assert message.stop_reason == "stop_sequence"
    assert message.stop_sequence == " two"
    assert message.content[0].text == "one"


@pytest.mark.parametrize("more, name", [
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": ""}}]}]}, "messages[0].content[0].type"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"stop_sequences": [""]}, "stop_sequences[0]"),
])
def test_what_is_not_served_is_refused_by_name(scripted, more, name):
    with pytest.raises(anthropic.BadRequestError) as refused:
        whole(scripted, **{"messages": [{"role": "user", "content": "x"}], **more})
    assert refused.value.body["type"] == "error"
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    assert f"'{name}'" in refused.value.body["error"]["message"]
    assert refused.value.request_id


def test_an_unknown_model_is_not_found(scripted):
    with pytest.raises(anthropic.NotFoundError):
        scripted.messages.create(model="claude", max_tokens=5,
                                 messages=[{"role": "user", "content": "x"}])
