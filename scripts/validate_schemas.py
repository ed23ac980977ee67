#!/usr/bin/env python3
"""Validates every kind of body that a running server gives against OpenAI's published schemas.

    scripts/validate_schemas.py SCHEMAS.json BASE_URL

SCHEMAS.json is OpenAI's OpenAPI description as JSON (with components.schemas); BASE_URL is the
server's, e.g. http://127.0.0.1:8000. Prints how many bodies were valid; exit code 1 if one was not.
Needs httpx and jsonschema (scripts/setup --tests, then build/venv/bin/python).
"""
import itertools
import json
import sys

import httpx
import jsonschema

# Where OpenAI's own servers differ from the description, and so do we.
ALSO_NULL = {
    # Every chunk but the last of a streamed completion; the description knows whole answers only.
    ("CreateCompletionResponse", "choices", "finish_reason"),
    # include_usage: "All other chunks will also include a usage field, but with a null value."
    ("CreateCompletionResponse", "usage"),
}


def as_json_schema(node):
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def load_schemas(path):
    with open(path, encoding="utf-8") as file:
        document = as_json_schema(json.load(file))
    for name, *way in ALSO_NULL:
        holder = document["components"]["schemas"][name]["properties"]
        if len(way) == 2:
            holder = holder[way[0]]["items"]["properties"]
        holder[way[-1]] = {"anyOf": [holder[way[-1]], {"type": "null"}]}
    # The first token of an echoed prompt has no logprob.
    logprobs = document["components"]["schemas"]["CreateCompletionResponse"]["properties"][
        "choices"]["items"]["properties"]["logprobs"]["anyOf"][0]["properties"]
    for key in ("token_logprobs", "top_logprobs"):
        logprobs[key]["items"] = {"anyOf": [logprobs[key]["items"], {"type": "null"}]}
    return document


class Checker:
    def __init__(self, document):
        self.document = document
        self.counts = {}
        self.failures = 0

    def check(self, schema, body):
        validator = jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{schema}", "components": self.document["components"]})
        error = jsonschema.exceptions.best_match(validator.iter_errors(body))
        if error is not None:
            self.failures += 1
            print(f"NOT VALID as {schema}: {error.message} at {error.json_path}")
        else:
            self.counts[schema] = self.counts.get(schema, 0) + 1


def chat_requests(model):
    base = {"model": model, "max_tokens": 12,
            "messages": [{"role": "user", "content": "Tell me about rubies."}]}
    options = [
        [{}, {"temperature": 0}, {"temperature": 1.2, "seed": 3}],
        [{}, {"n": 2}],
        [{}, {"logprobs": True, "top_logprobs": 2}],
        [{}, {"stop": ["e"]}],
        [{}, {"chat_template_kwargs": {"enable_thinking": True}}],
    ]
    for combination in itertools.product(*options):
        body = dict(base)
        for part in combination:
            body.update(part)
        yield body


def completion_requests(model):
    options = [
        [{"prompt": "Rubies are"}, {"prompt": ["Rubies", "Opals"]}, {"prompt": [5, 6, 7]}],
        [{}, {"n": 2}],
        [{}, {"logprobs": 2}],
        [{}, {"echo": True}],
    ]
    for combination in itertools.product(*options):
        body = {"model": model, "max_tokens": 8}
        for part in combination:
            body.update(part)
        yield body


def bad_requests(model):
    good = {"model": model, "messages": [{"role": "user", "content": "x"}]}
    yield "/v1/chat/completions", {**good, "model": "no-such-model"}
    for field, value in [("n", 0), ("n", 99), ("temperature", 3), ("messages", []),
                         ("messages", "x"), ("stop", ""), ("logit_bias", {"x": 1}),
                         ("max_tokens", 10**9), ("tools", [{"type": "function"}]),
                         ("response_format", {"type": "json_schema"}), ("model", None)]:
        yield "/v1/chat/completions", {**good, field: value}
    yield "/v1/completions", {"model": model}
    yield "/v1/completions", {"model": model, "prompt": "x", "logprobs": 99}
    yield "/v1/embeddings", {"model": model, "input": "x"}


def events(text):
    for line in text.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line[len("data: "):])


def check_endpoint(client, checker, path, requests, whole, chunk):
    for body in requests:
        checker.check(whole, client.post(path, json=body).raise_for_status().json())
        for options in ({}, {"stream_options": {"include_usage": True}}):
            answer = client.post(path, json={**body, "stream": True, **options})
            for event in events(answer.raise_for_status().text):
                checker.check(chunk, event)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    checker = Checker(load_schemas(sys.argv[1]))
    with httpx.Client(base_url=sys.argv[2], timeout=300) as client:
        models = client.get("/v1/models").json()
        checker.check("ListModelsResponse", models)
        model = models["data"][0]["id"]
        checker.check("Model", client.get(f"/v1/models/{model}").json())
        check_endpoint(client, checker, "/v1/chat/completions", chat_requests(model),
                       "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse")
        check_endpoint(client, checker, "/v1/completions", completion_requests(model),
                       "CreateCompletionResponse", "CreateCompletionResponse")
        for path, body in bad_requests(model):
            answer = client.post(path, json=body)
            if answer.status_code < 400:
                sys.exit(f"{path} took {body}")
            checker.check("ErrorResponse", answer.json())
    for schema, count in sorted(checker.counts.items()):
        print(f"{count:6d} valid as {schema}")
    print(f"{sum(checker.counts.values())} bodies valid, {checker.failures} not")
    sys.exit(1 if checker.failures else 0)


if __name__ == "__main__":
    main()
