"""/v1/responses with the official OpenAI client, against a server whose engine says what it is told:
the last user message is the model's raw output."""
import json

import openai
import pydantic
import pytest

TOOLS = [
    {"type": "function", "name": "get_weather", "description": "The weather of a city.", "strict": False,
     "parameters": {"type": "object", "required": ["city"], "properties": {
         "city": {"type": "string"}, "days": {"type": "integer"}}}},
    {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}},
     "strict": False},
]
TWO_CALLS = ('Both.<|tool_call>call:get_weather{city:<|"|>Tokyo, "JP"\n{1}<|"|>,days:3}<tool_call|>'
             '<|tool_call>call:add{a:1.50,b:[null,true]}<tool_call|>')
ARGUMENTS = [{"city": 'Tokyo, "JP"\n{1}', "days": 3}, {"a": 1.5, "b": [None, True]}]
THOUGHT = "<|channel>thought\nTwo calls.\n<channel|>"


@pytest.fixture(scope="module")
def scripted(scripted_url):
    return openai.OpenAI(base_url=scripted_url + "/v1", api_key="none", max_retries=0, timeout=60)


def whole(client, **request):
    return client.responses.create(model="tiny", **request)


def streamed(client, **request):
    """The final response, after a look at the order of the events."""
    events = list(client.responses.create(model="tiny", stream=True, **request))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert [e.type for e in events[:2]] == ["response.created", "response.in_progress"]
    final = events[-1].response
    assert events[-1].type == "response." + final.status
    depth = 0
    for event in events[2:-1]:
        if event.type == "response.output_item.added":
            depth += 1
            assert event.output_index == depth - 1
        elif event.type == "response.output_item.done":
            assert event.item == final.output[event.output_index]
            assert event.output_index == depth - 1
        else:
            assert event.output_index == depth - 1
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == final.output_text
    return final


def helped(client, **request):
    """By way of the client's own helper, which checks what belongs together."""
    with client.responses.stream(model="tiny", **request) as stream:
        return stream.get_final_response()


FORMS = [whole, streamed, helped]


@pytest.mark.parametrize("answer", FORMS)
def test_text(scripted, answer):
    response = answer(scripted, input="Grüße!", instructions="Be kind.")
    assert response.output_text == "Grüße!"
    assert response.status == "completed"
    assert response.instructions == "Be kind."
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.input_tokens_details.cached_tokens == 0


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("answer", FORMS)
def test_tool_loop_with_two_parallel_calls(scripted, answer, thinking):
    request = {"tools": TOOLS, "reasoning": {"effort": "high" if thinking else "none"}}
    history = [{"role": "user", "content": (THOUGHT if thinking else "") + TWO_CALLS}]
    response = answer(scripted, input=history, **request)
    kinds = [item.type for item in response.output]
    assert kinds == ["reasoning"] * thinking + ["message", "function_call", "function_call"]
    assert response.output_text == "Both."
    if thinking:
        assert response.output[0].content[0].text == "Two calls."
        assert response.usage.output_tokens_details.reasoning_tokens > 0
    calls = response.output[-2:]
    assert [c.name for c in calls] == ["get_weather", "add"]
    assert [json.loads(c.arguments) for c in calls] == ARGUMENTS
    # Without the text, as a model says it that only calls: the answer goes on in the same turn.
    history += [item.model_dump(exclude_none=True) for item in response.output if item.type != "message"]
    history += [{"type": "function_call_output", "call_id": c.call_id, "output": '{"ok": true}'}
                for c in calls]
    response = answer(scripted, input=history, **request)
    assert response.output_text == "Done."
    assert [item.type for item in response.output] == ["reasoning"] * thinking + ["message"]


def test_thoughts_stand_in_for_their_summary(scripted):
    response = helped(scripted, input=THOUGHT + "Yes.", reasoning={"effort": "low", "summary": "auto"})
    assert response.output[0].summary[0].text == "Two calls."
    assert response.output_text == "Yes."


def test_parse_helper_with_a_model(scripted):
    class City(pydantic.BaseModel):
        name: str
        people: int

    response = scripted.responses.parse(
        model="tiny", input='{"name": "Tokyo", "people": 14000000}', text_format=City)
    assert response.output_parsed == City(name="Tokyo", people=14000000)


@pytest.mark.parametrize("more, param", [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True}, "background"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": "data:,", "detail": "auto"}]}]}, "input[0].content[0].type"),
    ({"max_output_tokens": -1}, "max_output_tokens"),
])
def test_what_is_not_served_is_refused_by_name(scripted, more, param):
    with pytest.raises(openai.BadRequestError) as refused:
        whole(scripted, **{"input": "x", **more})
    assert refused.value.param == param
