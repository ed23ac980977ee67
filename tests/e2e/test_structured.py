"""Answers of a given form with the official OpenAI client, on a real engine: whatever the model
would rather say, what it says parses and validates."""
import json
import re
import sys
from typing import Literal

import openai
import pydantic
import pytest

from conftest import MODEL_NAME, ROOT, TINY, Server

sys.path.insert(0, str(ROOT / "scripts"))
checks = pytest.importorskip("check_constraints")  # needs jsonschema

ASK = [{"role": "user", "content": "Tell me of a stone."}]


class Stone(pydantic.BaseModel):
    kind: Literal["ruby", "opal"]
    hardness: int = pydantic.Field(ge=1, le=10)
    colours: list[Literal["red", "green", "blue"]] = pydantic.Field(max_length=3)
    note: str = pydantic.Field(max_length=20)


TOOLS = [
    {"type": "function", "function": {"name": "find", "strict": True, "parameters": {
        "type": "object", "properties": {"stone": {"enum": ["ruby", "opal"]},
                                         "count": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["stone", "count"], "additionalProperties": False}}},
    {"type": "function", "function": {"name": "sell", "parameters": {
        "type": "object", "properties": {"price": {"type": ["integer", "null"], "maximum": 99,
                                                   "minimum": 0}},
        "required": ["price"]}}},
]


@pytest.fixture(scope="module")
def tiny():
    """A checkpoint with random weights."""
    one = Server(folder=TINY)
    yield one
    one.stop()


def thinking(on):
    return {"chat_template_kwargs": {"enable_thinking": on}, "thinking_token_budget": 16}


@pytest.mark.parametrize("think", [False, True])
def test_parse_helper(tiny, think):
    for seed in range(4):
        done = tiny.client().chat.completions.parse(
            model=MODEL_NAME, messages=ASK, response_format=Stone, temperature=1.5, seed=seed,
            max_tokens=400, n=2, extra_body=thinking(think))
        for choice in done.choices:
            assert choice.finish_reason == "stop"
            assert isinstance(choice.message.parsed, Stone)


@pytest.mark.parametrize("think", [False, True])
def test_streamed_parse_equals_the_whole(tiny, think):
    options = {"model": MODEL_NAME, "messages": ASK, "response_format": Stone, "temperature": 1.5,
               "seed": 7, "max_tokens": 400, "extra_body": thinking(think)}
    whole = tiny.client().chat.completions.parse(**options).choices[0].message
    with tiny.client().chat.completions.stream(**options) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion().choices[0].message
    assert final.parsed == whole.parsed
    assert final.content == whole.content


def test_extras(tiny):
    def say(**form):
        done = tiny.client().chat.completions.create(
            model=MODEL_NAME, messages=ASK, temperature=1.5, max_tokens=200,
            extra_body={"structured_outputs": form})
        assert done.choices[0].finish_reason == "stop"
        return done.choices[0].message.content

    assert say(choice=["yes", "no"]) in ("yes", "no")
    assert re.fullmatch(r"[A-Z]{2}-\d{4}", say(regex=r"[A-Z]{2}-\d{4}"))
    assert re.fullmatch(r"(ab){1,3}!", say(grammar='root ::= ("a" "b"){1,3} "!"'))
    assert json.loads(say(json={"type": "boolean"})) in (True, False)
    done = tiny.client().completions.create(
        model=MODEL_NAME, prompt="x", temperature=1.5,
        extra_body={"structured_outputs": {"choice": ["yes", "no"]}})
    assert done.choices[0].text in ("yes", "no")


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("think", [False, True])
def test_agents_loop_of_three_turns(tiny, think, streams):
    """Two parallel calls or more, their results, a named call, its result, an answer of a form."""
    client = tiny.client()
    messages = [{"role": "user", "content": "Find and sell stones."}]

    def turn(**more):
        """The model's, and the results of its calls."""
        options = {"model": MODEL_NAME, "messages": messages, "tools": TOOLS, "temperature": 1.5,
                   "seed": len(messages), "max_tokens": 600, "extra_body": thinking(think), **more}
        if streams:
            with client.chat.completions.stream(**options) as stream:
                for _ in stream:
                    pass
                choice = stream.get_final_completion().choices[0]
        else:
            choice = client.chat.completions.create(**options).choices[0]
        message = choice.message
        messages.append({"role": "assistant", "content": message.content or None} | ({
            "tool_calls": [{"id": c.id, "type": "function", "function": {
                "name": c.function.name, "arguments": c.function.arguments}}
                for c in message.tool_calls]} if message.tool_calls else {}))
        for call in message.tool_calls or []:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "done"})
        return choice

    # Where the turn must not end yet, another call is all that is left to say. A thought counts.
    choice = turn(tool_choice="required", extra_body={**thinking(think), "min_tokens": 90})
    assert choice.finish_reason == "tool_calls"
    assert len(choice.message.tool_calls) > 1
    for call in choice.message.tool_calls:
        arguments = json.loads(call.function.arguments)
        if call.function.name == "find":
            assert arguments["stone"] in ("ruby", "opal") and 1 <= arguments["count"] <= 9
        else:
            assert arguments["price"] is None or 0 <= arguments["price"] <= 99

    choice = turn(tool_choice={"type": "function", "function": {"name": "sell"}})
    assert [c.function.name for c in choice.message.tool_calls] == ["sell"]
    assert choice.finish_reason == "tool_calls"

    choice = turn(tool_choice="none", response_format={"type": "json_schema", "json_schema": {
        "name": "stone", "schema": Stone.model_json_schema(), "strict": True}})
    assert not choice.message.tool_calls
    Stone.model_validate_json(choice.message.content)


def test_one_call_where_calls_are_not_parallel(tiny):
    for seed in range(6):
        choice = tiny.client().chat.completions.create(
            model=MODEL_NAME, messages=ASK, tools=TOOLS, tool_choice="required", seed=seed,
            parallel_tool_calls=False, temperature=1.5, max_tokens=300).choices[0]
        assert len(choice.message.tool_calls) == 1
        assert choice.message.content is None


def test_what_cannot_be_kept_to_is_refused(tiny):
    schema = {"type": "object", "properties": {"a": {"type": "string", "contains": {}}}}
    with pytest.raises(openai.BadRequestError) as refused:
        tiny.client().chat.completions.create(
            model=MODEL_NAME, messages=ASK, response_format={
                "type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert refused.value.param == "response_format.json_schema.schema.properties.a.contains"
    assert refused.value.code == "invalid_json_schema"


def test_random_schemas(tiny):
    counts, faults, _ = checks.check_random(tiny.url, TINY, 160, seed=9, threads=4)
    assert not faults, "\n".join(faults[:5])
    assert counts["valid"] > 100
    tiny.wait_until_idle()


def test_hostile_requests_leave_the_server_alive(tiny):
    bodies = list(checks.hostile_bodies())
    assert len(bodies) >= 100
    times = checks.check_hostile(tiny.url, bodies[::3], tiny.process.pid)
    assert sum(status != 200 for _, _, status, _ in times) > 20
    tiny.wait_until_idle()
