"""Tools with the official OpenAI client, against a server whose engine says what it is told
(tests/server/scripted_server.cpp): the last user message is the model's raw output."""
import json
import os
import subprocess

import openai
import pytest

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a city.",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string"}, "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}}},
    {"type": "function", "function": {"name": "add"}},
]
TWO_CALLS = ('Both.\n<|tool_call>call:get_weather{city:<|"|>Tokyo, "JP"\n{1}<|"|>,days:3}<tool_call|>'
             '<|tool_call>call:add{a:1.50,b:[null,true]}<tool_call|>')
ARGUMENTS = [{"city": 'Tokyo, "JP"\n{1}', "days": 3}, {"a": 1.5, "b": [None, True]}]
THINKING = [False, True]


@pytest.fixture(scope="module")
def scripted():
    binary = os.environ.get("LAPIDARY_SCRIPTED_SERVER")
    if not binary:
        pytest.skip("LAPIDARY_SCRIPTED_SERVER is not set")
    with subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        yield openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=60)
        server.stdin.close()


def ask(client, messages, thinking, **more):
    return client.chat.completions.create(
        model="tiny", messages=messages, tools=TOOLS,
        extra_body={"chat_template_kwargs": {"enable_thinking": thinking}}, **more)


def streamed(client, messages, thinking):
    """A streamed answer put together the way agents do it."""
    message = {"role": "assistant", "content": "", "tool_calls": []}
    reasoning, finish = "", None
    for chunk in ask(client, messages, thinking, stream=True):
        choice = chunk.choices[0]
        message["content"] += choice.delta.content or ""
        reasoning += getattr(choice.delta, "reasoning_content", None) or ""
        for call in choice.delta.tool_calls or []:
            if call.id:
                assert call.index == len(message["tool_calls"])
                message["tool_calls"].append({"id": call.id, "type": call.type, "function": {
                    "name": call.function.name, "arguments": call.function.arguments}})
            else:
                message["tool_calls"][call.index]["function"]["arguments"] += call.function.arguments
        finish = choice.finish_reason or finish
    if reasoning:
        message["reasoning_content"] = reasoning
    if not message["tool_calls"]:
        del message["tool_calls"]
    return message, finish


def whole(client, messages, thinking):
    choice = ask(client, messages, thinking).choices[0]
    return choice.message.model_dump(exclude_none=True), choice.finish_reason


@pytest.mark.parametrize("thinking", THINKING)
@pytest.mark.parametrize("answer", [whole, streamed])
def test_tool_loop_with_two_parallel_calls(scripted, answer, thinking):
    said = ("<|channel>thought\nTwo calls.\n<channel|>" if thinking else "") + TWO_CALLS
    messages = [{"role": "user", "content": said}]
    message, finish = answer(scripted, messages, thinking)
    assert finish == "tool_calls"
    assert message["content"] == "Both."
    assert message.get("reasoning_content") == ("Two calls." if thinking else None)
    calls = message["tool_calls"]
    assert [c["function"]["name"] for c in calls] == ["get_weather", "add"]
    assert [json.loads(c["function"]["arguments"]) for c in calls] == ARGUMENTS
    assert len({c["id"] for c in calls}) == 2
    # Without a text, as a model says it that only calls: the answer goes on in the same turn.
    message["content"] = None
    messages.append(message)
    for call in calls:
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": '{"ok": true}'})
    message, finish = answer(scripted, messages, thinking)
    assert finish == "stop"
    assert message["content"] == "Done."
    assert message.get("reasoning_content") == ("All there." if thinking else None)
    assert "tool_calls" not in message


def test_stream_helper_sees_the_calls(scripted):
    with scripted.chat.completions.stream(
            model="tiny", messages=[{"role": "user", "content": TWO_CALLS}], tools=TOOLS) as stream:
        done = [e for e in stream if e.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion().choices[0]
    assert [json.loads(e.arguments) for e in done] == ARGUMENTS
    assert [json.loads(c.function.arguments) for c in final.message.tool_calls] == ARGUMENTS
    assert final.finish_reason == "tool_calls"


def test_a_choice_of_no_function_is_refused_by_name(scripted):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(scripted, [{"role": "user", "content": "x"}], False,
            tool_choice={"type": "function", "function": {"name": "h"}})
    assert refused.value.param == "tool_choice.function.name"
