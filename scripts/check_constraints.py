#!/usr/bin/env python3
"""Random schemas and tools over HTTP: every constrained answer must parse and validate.

Usage: check_constraints.py LAPIDARY MODEL [COUNT] [SEED]

Serves MODEL (one with random weights says the most surprising things) and asks it, at temperature
1.5, for answers by COUNT random schemas (3000): as response_format, as a call that is required or
named, as a call of a strict function; streamed and not, with and without a thought before. Then
sends schemas, patterns, grammars and lists of tools that are made to hurt, and says how long each
took. Prints what did not hold and one line of counts for each part; exit status 1 when an answer
was wrong or the server is gone. Needs httpx and jsonschema (scripts/setup --tests).
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import httpx

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check_grammars import Maker, fault  # noqa: E402

MODEL_NAME = "test-model"
MAX_TOKENS = 600


class Tokens:
    """What the answers are nudged by: what closes strings, lists and objects."""

    def __init__(self, folder):
        tokenizer = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text())
        self.ids = {**tokenizer["model"]["vocab"],
                    **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}}

    def bias(self, *names, more=()):
        made = {str(self.ids[name]): 9 for name in names if name in self.ids}
        return {**made, **{str(self.ids[name]): 100 for name in more}}


def spellable(schema):
    """Without the two keys that Gemma's call syntax has no spelling for."""
    text = json.dumps(schema, ensure_ascii=False)
    return json.loads(text.replace(r'with\"quote', "with_quote").replace(r"path\\x", "path_x"))


def wrapped(schema):
    """As the parameters of a function, which are an object's."""
    if schema.get("type") == "object":
        return schema
    schema = dict(schema)
    defs = schema.pop("$defs", None)
    made = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    return {**made, "$defs": defs} if defs else made


def request_for(index, schema, tokens):
    """One of the ways in which a schema can be asked for, in turns."""
    body = {"model": MODEL_NAME, "temperature": 1.5, "top_p": 1, "top_k": 0, "seed": index,
            "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": "Go on."}],
            "stream": index % 2 == 1, "stop_on_repetition": False,
            "logit_bias": tokens.bias('"', "}", "]", '<|"|>')}
    if index // 2 % 2 == 1:
        body["chat_template_kwargs"] = {"enable_thinking": True}
        body["thinking_token_budget"] = 20
    way = index // 4 % 4
    if way == 0:
        body["response_format"] = {"type": "json_schema",
                                   "json_schema": {"name": "x", "strict": True, "schema": schema}}
        return body
    function = {"name": "f", "parameters": wrapped(schema)}
    body["tools"] = [{"type": "function", "function": function},
                     {"type": "function", "function": {"name": "other", "parameters": {
                         "properties": {"a": {"type": "integer"}}}}}]
    if way == 1:
        body["tool_choice"] = "required"
        # Further calls are possible; the end of the turn is nudged too.
        body["logit_bias"].update(tokens.bias("<turn|>", "<|tool_response>"))
    elif way == 2:
        body["tool_choice"] = {"type": "function", "function": {"name": "f"}}
    else:
        function["strict"] = True
        body["parallel_tool_calls"] = False
        body["logit_bias"].update(tokens.bias("<turn|>", ":", more=["<|tool_call>"]))
    return body


def streamed_choice(text):
    content, calls, finish = "", [], None
    for line in text.splitlines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event = json.loads(line[6:])
        if "error" in event:
            return {"error": event["error"]}
        choice = event["choices"][0]
        content += choice["delta"].get("content") or ""
        for call in choice["delta"].get("tool_calls", []):
            if "id" in call:
                calls.append(call["function"])
            else:
                calls[call["index"]]["arguments"] += call["function"]["arguments"]
        finish = choice["finish_reason"] or finish
    return {"content": content, "calls": calls, "finish": finish}


def whole_choice(answer):
    choice = answer["choices"][0]
    return {"content": choice["message"]["content"], "finish": choice["finish_reason"],
            "calls": [c["function"] for c in choice["message"].get("tool_calls", [])]}


def judge(body, schema, choice):
    """What is wrong with an answer; None for nothing."""
    if "tools" not in body:
        return None if choice["finish"] == "stop" and not fault(schema, {"text": choice["content"]}) \
            else fault(schema, {"text": choice["content"]}) or f"ended by {choice['finish']}"
    if choice["finish"] != "tool_calls" or not choice["calls"] or choice["content"]:
        return f"no calls alone: {choice}"
    other = body["tools"][1]["function"]["parameters"]
    for call in choice["calls"]:
        must = wrapped(schema) if call["name"] == "f" else {"type": "object", **other}
        if call["name"] == "other" and "tool_choice" not in body:
            must = {"type": "object"}  # not strict
        wrong = fault(must, {"text": call["arguments"]})
        if wrong:
            return wrong
    if isinstance(body.get("tool_choice"), dict) and [c["name"] for c in choice["calls"]] != ["f"]:
        return f"not the one call that was named: {choice}"
    return None


def ask(client, index, schema, tokens):
    """(what came of it, what is wrong)."""
    body = request_for(index, schema, tokens)
    answer = client.post("/v1/chat/completions", json=body)
    if answer.status_code == 400:
        error = answer.json()["error"]
        if not error["param"] or "chema" not in error["message"] + error["param"]:
            return "wrong", f"refused for no reason of its schema: {error}"
        return "refused", error["message"].split(": ", 1)[-1][:60]
    if answer.status_code != 200:
        return "wrong", f"status {answer.status_code}: {answer.text[:300]}"
    choice = streamed_choice(answer.text) if body["stream"] else whole_choice(answer.json())
    if "error" in choice:
        return "wrong", str(choice["error"])
    if choice["finish"] == "length":
        return "cut", None
    wrong = judge(body, schema, choice)
    return ("wrong", wrong) if wrong else ("valid", None)


def check_random(url, folder, count, seed=1, threads=8):
    """Counts by outcome, what was wrong, and why schemas were refused."""
    tokens = Tokens(folder)
    schemas = [Maker(f"{seed}.{i}").root() for i in range(count)]
    # Mostly: a few are to be refused.
    schemas = [s if i // 16 % 8 == 0 else spellable(s) for i, s in enumerate(schemas)]
    counts, faults, reasons = {"valid": 0, "refused": 0, "cut": 0, "wrong": 0}, [], {}
    with httpx.Client(base_url=url, timeout=300) as client, \
            concurrent.futures.ThreadPoolExecutor(threads) as pool:
        outcomes = pool.map(lambda i: ask(client, i, schemas[i], tokens), range(count))
        for index, (outcome, why) in enumerate(outcomes):
            counts[outcome] += 1
            if outcome == "refused":
                reasons[why] = reasons.get(why, 0) + 1
            elif why:
                faults.append(f"{index}: {json.dumps(schemas[index], ensure_ascii=False)} -> {why}")
    return counts, faults, reasons


def nested(opening, closing, depth):
    return opening * depth + "{}" + closing * depth


def hostile_schemas():
    """JSON texts."""
    for depth in (50, 1000, 10000):
        yield nested('{"items":', "}", depth)
        yield nested('{"anyOf":[', "]}", depth)
        yield nested('{"properties":{"a":', "}}", depth)
        yield nested('{"not":', "}", depth)
        yield nested('{"additionalProperties":', "}", depth)
    for n in (2000, 20000, 60000):
        yield json.dumps({"enum": [f"value{i * 7919}" for i in range(n)]})
        yield json.dumps({"properties": {f"p{i}": {} for i in range(n)}})
        yield json.dumps({f"k{i}": 1 for i in range(n)})
        yield json.dumps({"anyOf": [{"const": i} for i in range(n)]})
        yield json.dumps({"oneOf": [{"type": "string", "pattern": f"a{i}.*b"} for i in range(n // 20)]})
        yield json.dumps({"required": [f"p{i}" for i in range(n)]})
        yield json.dumps({"allOf": [{"properties": {f"p{i}": {}}} for i in range(n // 10)]})
    yield json.dumps({"enum": ["x" * 1_000_000]})
    yield json.dumps({"const": {"k": ["x" * 200_000]}})
    for pattern in ("(a+)+$", "(a|a)*b", "(a|b)*a(a|b){20}", "(a|b)*a(a|b){300}", ".*" * 40 + "x",
                    "((a{100}){100}){100}", "(.*a){30}", "(.*a.*b){200}", "(a?){1000}a{1000}",
                    "[^a]{1000}", "(x{0,1000}){1000}", "(" * 5000 + ")" * 5000, "a" * 60000,
                    "|".join(f"w{i}.*" for i in range(3000)), "(?=a)b", "\\1", "[z-a]", "(",
                    "(a*)*" * 50, "^(([a-z])+.)+[A-Z]([a-z])+$", "\\p{L}+", "x{1000,1}"):
        yield json.dumps({"type": "string", "pattern": pattern})
        yield json.dumps({"type": "string", "pattern": pattern, "minLength": 20, "maxLength": 9000})
    for loop in ('{"$ref":"#/$defs/a"}', '{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}]}',
                 '{"properties":{"x":{"$ref":"#/$defs/b"}}}'):
        yield loop[:-1] + ',"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}'
    chain = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    yield json.dumps({"$ref": "#/$defs/d0", "$defs": {**chain, "d40": {"type": "integer"}}})
    doubled = {f"d{i}": {"properties": {k: {"$ref": f"#/$defs/d{i + 1}"} for k in "ab"}}
               for i in range(40)}
    yield json.dumps({"$ref": "#/$defs/d0", "$defs": {**doubled, "d40": {"type": "integer"}}})
    for more in ({"maxLength": 1_000_000}, {"minLength": 1_000_000}, {"minItems": 1_000_000},
                 {"maxItems": 5000}, {"minProperties": 1_000_000}, {"multipleOf": 1_000_000_007},
                 {"minimum": 1e308}, {"type": "array", "prefixItems": [{}] * 5000},
                 {"patternProperties": {f"{c}.*": {} for c in "abcdefg"}}):
        yield json.dumps(more)


def hostile_bodies():
    """Request bodies, as text."""
    head = f'{{"model":"{MODEL_NAME}","max_tokens":1,"messages":[{{"role":"user","content":"x"}}],'
    for schema in hostile_schemas():
        yield head + f'"response_format":{{"type":"json_schema","json_schema":{{"name":"x","schema":{schema}}}}}}}'
    extras = [{"grammar": "root ::= " + "(" * 30000 + '"a"' + ")" * 30000},
              {"grammar": 'root ::= root "a" | "b"'}, {"grammar": "root ::= " + '"a" | ' * 5000 + '"b"'},
              {"grammar": "".join(f'r{i} ::= r{i + 1} r{i + 1}\n' for i in range(60)) + 'r60 ::= "a"\nroot ::= r0'},
              {"grammar": 'root ::= ("a"{0,1000}){0,1000}'}, {"grammar": 'root ::= "a"*' * 3000},
              {"regex": "(a|b)*a(a|b){300}"}, {"regex": "x" * 70000},
              {"choice": ["c" * 4000 + str(i) for i in range(900)]},
              {"choice": [f"choice {i}" for i in range(5000)]}]
    for extra in extras:
        yield head + f'"structured_outputs":{json.dumps(extra)}}}'
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(300)}}
    deep = json.loads(nested('{"properties":{"a":', "}}", 20))
    many = {"properties": {f"p{i}": {"enum": [f"v{j}" for j in range(40)]} for i in range(40)}}
    for schema in (wide, deep, many, {"properties": {"a": {"pattern": "(a|b)*a(a|b){20}"}}}):
        for n in (1, 128, 129):
            tools = [{"type": "function", "function": {"name": f"f{i}", "parameters": schema}}
                     for i in range(n)]
            yield head + f'"tool_choice":"required","tools":{json.dumps(tools)}}}'


def cpu_ms(pid):
    """What a process has computed so far: unlike the clock's time, not that of its neighbours."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_hostile(url, bodies, pid):
    """(milliseconds, those of CPU, status, beginning of the body) of each."""
    times = []
    with httpx.Client(base_url=url, timeout=300) as client:
        client.get("/health")
        for body in bodies:
            begin, cpu = time.monotonic(), cpu_ms(pid)
            answer = client.post("/v1/chat/completions", content=body,
                                 headers={"Content-Type": "application/json"})
            times.append((1000 * (time.monotonic() - begin), cpu_ms(pid) - cpu, answer.status_code,
                          body[80:200]))
            if answer.status_code not in (200, 400, 413):
                raise AssertionError(f"status {answer.status_code} for {body[:300]}")
        assert client.get("/health").status_code == 200
    return times


def start(binary, folder):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAPIDARY_")}
    server = subprocess.Popen([binary, "serve", folder, "--port", "0", "--served-model-name",
                               MODEL_NAME, "--log-level", "warning"], stdout=subprocess.PIPE,
                              text=True, env=environment)
    for line in server.stdout:
        if found := re.search(r"http://[\w.:]+", line):
            return server, found.group(0)
    sys.exit("the server did not start")


def peak_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) // 1024


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, folder = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    server, url = start(binary, folder)
    try:
        counts, faults, reasons = check_random(url, folder, count, seed)
        for reason, n in sorted(reasons.items(), key=lambda item: -item[1])[:8]:
            print(f"refused {n}: {reason}")
        for wrong in faults[:10]:
            print(wrong)
        print(f"{count} schemas: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items()) +
              f"; peak memory {peak_mib(server.pid)} MiB")
        times = sorted(check_hostile(url, list(hostile_bodies()), server.pid), reverse=True)
        refused = [t for t in times if t[2] != 200]
        for milliseconds, cpu, status, text in times[:8]:
            print(f"{milliseconds:6.0f} ms ({cpu:.0f} of CPU)  {status}  {text}")
        print(f"{len(times)} hostile requests: {len(refused)} refused, the slowest after "
              f"{refused[0][0]:.0f} ms ({max(t[1] for t in refused):.0f} of CPU at most); "
              f"{len(times) - len(refused)} answered; "
              f"{sum(t[0] > 200 for t in times)} above 200 ms; "
              f"peak memory {peak_mib(server.pid)} MiB")
        return 1 if faults or server.poll() is not None else 0
    finally:
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    sys.exit(main())
