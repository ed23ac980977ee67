"""Random conversations with tools, for make_prompt_goldens.py.

What a client sends as JSON text (declarations, arguments of calls) is kept as text, so that numbers
come in every spelling of JSON. Keys stand in code point order: of keys that differ only in case,
the template would keep the client's order, which a JSON object does not promise. Schemas hold only
what the template shows right: what the server mends before is tested apart.
"""

import json

from make_prompt_goldens import message, text

NAMES = ["get_weather", "add", "look-up", "f", "search.web", "Book_Trip2", "ping"]
KEYS = ["location", "unit", "City", "city", "a", "B", "b", "n", "Z", "type", "description", "items",
        "properties", "required", "nullable", "enum", "stra\u00dfe", "\u00c9t\u00e9", "\u00e9t\u00e9",
        "\u0130x", "\u0130", "\u0416\u0436", "\u65e5\u672c", "\U00010400k", "\u01c5", "x-y", "x_y",
        "max results", "$id", "_", "0", "10", "9", ""]
FLOATS = [0.0, -0.0, 1.0, 1.5, -0.5, 100000.0, 1e5, 1e-5, 0.0001, 0.00012345, 1e15, 1e16, 123456789012345680.0,
          1e20, 1e22, 1.7976931348623157e308, 5e-324, 2.5e-7, 3.14159, 0.1, 1 / 3, -2e-10]
INTEGERS = [0, 1, -1, 7, 42, -7, 1000000, 2**31, -2**63, 2**63 - 1, 2**64 - 1]
RESULTS = ["sunny", "", "  spaced \n", '{"t": 20, "ok": true}', "[1,2]", "null", "Error: no such city",
           "line\nline", "<tool_response|>", '<|"|>', "<turn|>", "}{", "\u65e5\u672c \U0001f48e"]


def subset(rng, options, most):
    return sorted(rng.sample(options, rng.randint(0, min(most, len(options)))))


def value(rng, depth=0):
    kind = rng.random()
    if kind < 0.3:
        return text(rng)
    if kind < 0.45:
        return rng.choice(INTEGERS)
    if kind < 0.6:
        return rng.choice(FLOATS)
    if kind < 0.75 or depth > 2:
        return rng.choice([True, False, None])
    if kind < 0.88:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {key: value(rng, depth + 1) for key in subset(rng, KEYS, 3)}


def spelled_float(rng, number):
    spellings = [repr(number), f"{number:.17g}", f"{number:.17E}", f"{number:.1e}", f"{number:.3f}"]
    fitting = [s for s in spellings if any(c in s for c in ".eE") and json.loads(s) == number
               and (number != 0 or s.startswith("-") == repr(number).startswith("-"))]
    return rng.choice(fitting)


def spelled(rng, item):
    """JSON text of a value, its numbers in any spelling, with white space here and there."""
    space = rng.choice(["", "", " "])
    if isinstance(item, float):
        return spelled_float(rng, item)
    if isinstance(item, list):
        return "[" + ("," + space).join(spelled(rng, one) for one in item) + "]"
    if isinstance(item, dict):
        entries = [json.dumps(key) + ":" + space + spelled(rng, one) for key, one in item.items()]
        return "{" + ("," + space).join(entries) + "}"
    return json.dumps(item, ensure_ascii=rng.random() < 0.5)


def typed(rng, name):
    return rng.choice([name, name, name, name.upper(), name.capitalize()])


def described(rng, schema):
    if rng.random() < 0.5:
        schema["description"] = text(rng)
    if rng.random() < 0.2:
        schema["nullable"] = rng.random() < 0.7
    return schema


def object_of(rng, depth):
    properties = {key: parameter(rng, depth + 1) for key in subset(rng, KEYS, max(0, 3 - depth))}
    made = {"properties": properties, "type": "object"}
    if rng.random() < 0.5:
        made["required"] = subset(rng, list(properties) + ["other"], 3)
    return made


def element(rng, depth):
    """The schema of an array's elements, of which every key is shown."""
    kind = rng.random()
    if kind < 0.3:
        made = object_of(rng, depth)
    elif kind < 0.45:
        made = {"type": ["string", "null"]}
    elif kind < 0.6:
        made = {"type": "array", "items": rng.choice([{"type": "string"}, {"type": "object", "x": 1}])}
    else:
        made = {"type": typed(rng, rng.choice(["string", "integer", "number", "boolean"]))}
    for key in subset(rng, ["default", "minItems", "title", "examples", "format", "x-Y"], 2):
        made[key] = value(rng)
    if rng.random() < 0.2:
        made["enum"] = [value(rng) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.2:
        made["additionalProperties"] = rng.choice([False, True, {"type": "string"}])
    return described(rng, made)


def parameter(rng, depth):
    kind = rng.choice(["string", "string", "integer", "number", "boolean", "array", "object", "null"])
    if kind == "object":
        made = object_of(rng, depth) if depth < 2 else {"properties": {}, "type": "object"}
    else:
        made = {"type": typed(rng, kind)}
    if kind == "array" and rng.random() < 0.85:
        made["items"] = element(rng, depth + 1) if rng.random() < 0.9 else rng.choice([{}, True, []])
    if kind in ("string", "integer") and rng.random() < 0.35:
        made["enum"] = [rng.choice([text(rng), value(rng)]) for _ in range(rng.randint(0, 3))]
    for key in subset(rng, ["default", "minimum", "format", "pattern", "title", "const", "examples"], 2):
        made[key] = value(rng)
    return described(rng, made)


def tool(rng, name):
    function = {"name": name}
    if rng.random() < 0.9:
        function["description"] = text(rng)
    if rng.random() < 0.85:
        parameters = object_of(rng, 0) if rng.random() < 0.85 else {"type": "object"}
        parameters["type"] = typed(rng, "object")
        for key in subset(rng, ["additionalProperties", "$schema", "title", "$defs"], 2):
            parameters[key] = rng.choice([False, {}])
        function["parameters"] = parameters if rng.random() < 0.95 else {}
    return {"type": "function", "function": function}


def result(rng, call_id):
    made = {"role": "tool", "content": rng.choice(RESULTS) if rng.random() < 0.7 else text(rng)}
    if call_id is not None:
        made["tool_call_id"] = call_id
    if rng.random() < 0.2:
        parts = [{"type": "text", "text": text(rng)} for _ in range(rng.randint(0, 2))]
        if rng.random() < 0.4:
            kind = rng.choice(["image", "image_url", "audio", "input_audio", "video"])
            parts.insert(rng.randint(0, len(parts)), {"type": kind})
        made["content"] = parts
    if rng.random() < 0.2:
        made["name"] = "other_name"
    return made


def calling(rng, numbers):
    """An assistant's message with calls, and the results behind it, if there are any."""
    made = message(rng, "assistant")
    if rng.random() < 0.55:
        made["content"] = rng.choice([None, "", " \n"])
    if rng.random() < 0.3:
        made["reasoning_content"] = text(rng)
    made["tool_calls"] = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        arguments = {key: value(rng) for key in subset(rng, KEYS, 4)}
        function = {"name": rng.choice(NAMES), "arguments": spelled(rng, arguments)}
        made["tool_calls"].append({"id": f"call_{next(numbers)}", "type": "function", "function": function})
    if rng.random() < 0.05:
        made["tool_calls"][0].pop("id")
    if rng.random() < 0.12:
        return [made]
    results = [result(rng, call.get("id")) for call in made["tool_calls"]]
    if rng.random() < 0.2:
        rng.shuffle(results)
    if rng.random() < 0.1 and len(results) > 1:
        results.pop()
    return [made, *results]


def conversation(rng):
    numbers = iter(range(1000))
    messages = []
    if rng.random() < 0.3:
        messages.append(message(rng, rng.choice(["system", "developer"])))
    for _ in range(rng.choice([1, 1, 2, 3])):
        messages.append(message(rng, "user"))
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            messages.extend(calling(rng, numbers))
        if rng.random() < 0.6:
            messages.append(message(rng, "assistant"))
    return messages


def tools(rng):
    """JSON text of the declarations, or None."""
    if rng.random() < 0.15:
        return None
    return spelled(rng, [tool(rng, name) for name in rng.sample(NAMES, rng.randint(1, 2))])


def as_template_takes_it(messages):
    """Arguments as objects: the template refuses JSON text."""
    made = []
    for one in messages:
        one = dict(one)
        if "tool_calls" in one:
            one["tool_calls"] = [
                {**call, "function": {**call["function"],
                                      "arguments": json.loads(call["function"]["arguments"])}}
                for call in one["tool_calls"]]
        made.append(one)
    return made
