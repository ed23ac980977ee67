"""What the official OpenAI client asks of a server."""
import concurrent.futures
import subprocess

import httpx
import openai
import pytest

from conftest import MODEL_NAME

HELLO = [{"role": "user", "content": "Tell me about rubies."}]
GREEDY = dict(model=MODEL_NAME, messages=HELLO, temperature=0, max_tokens=24)
# Goes on to the last token whatever the model wants.
LONG = {"ignore_eos": True}


def text_of(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def test_chat(client):
    answer = client.chat.completions.create(**GREEDY)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.model == MODEL_NAME
    assert choice.message.role == "assistant" and isinstance(choice.message.content, str)
    assert choice.finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details.reasoning_tokens == 0


def test_finish_reasons(client):
    answer = client.chat.completions.create(**{**GREEDY, "max_tokens": 5}, extra_body=LONG)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5


def test_stream_is_the_whole_answer(client):
    whole = client.chat.completions.create(**GREEDY)
    chunks = list(client.chat.completions.create(
        **GREEDY, stream=True, stream_options={"include_usage": True}))
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(c.choices[0].delta.role is None for c in chunks[1:-1])
    assert [c.choices[0].finish_reason for c in chunks[:-1]].count(None) == len(chunks) - 2
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert len({c.id for c in chunks}) == 1


def test_stream_helper_of_the_client(client):
    with client.chat.completions.stream(**GREEDY) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.content, str)


def test_several_choices(client):
    answer = client.chat.completions.create(
        model=MODEL_NAME, messages=HELLO, n=2, max_tokens=12, temperature=1, seed=1,
        extra_body=LONG)
    assert [c.index for c in answer.choices] == [0, 1]
    assert answer.usage.completion_tokens == 24
    seen = {}
    for chunk in client.chat.completions.create(
            model=MODEL_NAME, messages=HELLO, n=2, max_tokens=12, temperature=1, seed=1,
            stream=True, extra_body=LONG):
        for choice in chunk.choices:
            seen[choice.index] = seen.get(choice.index, "") + (choice.delta.content or "")
    assert seen == {c.index: c.message.content for c in answer.choices}


def test_logprobs(client):
    answer = client.chat.completions.create(
        **{**GREEDY, "max_tokens": 8}, logprobs=True, top_logprobs=3, extra_body=LONG)
    entries = answer.choices[0].logprobs.content
    assert len(entries) == 8
    for entry in entries:
        assert entry.logprob <= 0
        assert len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob == entry.logprob  # greedy takes the best
        values = [t.logprob for t in entry.top_logprobs]
        assert values == sorted(values, reverse=True)
    text = b"".join(bytes(e.bytes) for e in entries).decode(errors="replace")
    assert answer.choices[0].message.content in text or text == answer.choices[0].message.content


def test_seed_repeats(client):
    # Raw text, hot and untruncated: whatever the model is sure of, seeds must show.
    def sample(seed):
        return client.completions.create(
            model=MODEL_NAME, prompt="a", temperature=2, top_p=1, seed=seed, max_tokens=24,
            extra_body={"top_k": 0, "ignore_eos": True, "return_token_ids": True}
        ).choices[0].token_ids

    assert sample(7) == sample(7)
    assert len({tuple(sample(seed)) for seed in range(5)}) == 5


def test_stop(client):
    whole = client.chat.completions.create(**GREEDY, extra_body=LONG).choices[0].message.content
    mark = whole[len(whole) // 2:][:3]
    answer = client.chat.completions.create(**GREEDY, stop=[mark], extra_body=LONG)
    assert answer.choices[0].message.content == whole[:whole.index(mark)]
    assert answer.choices[0].finish_reason == "stop"
    streamed = client.chat.completions.create(**GREEDY, stop=mark, stream=True, extra_body=LONG)
    assert text_of(streamed) == whole[:whole.index(mark)]


def test_several_turns(client):
    messages = [{"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
                {"role": "assistant", "content": "Hello!"},
                {"role": "user", "content": "And again?"}]
    answer = client.chat.completions.create(
        model=MODEL_NAME, messages=messages, temperature=0, max_tokens=8)
    more = client.chat.completions.create(
        model=MODEL_NAME, temperature=0, max_tokens=8,
        messages=messages + [{"role": "assistant", "content": "x"},
                             {"role": "user", "content": "y"}])
    assert more.usage.prompt_tokens > answer.usage.prompt_tokens


@pytest.mark.parametrize("switch", [
    dict(extra_body={"chat_template_kwargs": {"enable_thinking": True}}),
    dict(reasoning_effort="low"),
])
def test_thinking(client, server, switch):
    plain = client.chat.completions.create(**{**GREEDY, "max_tokens": 64})
    answer = client.chat.completions.create(**{**GREEDY, "max_tokens": 64}, **switch)
    assert answer.usage.prompt_tokens != plain.usage.prompt_tokens
    message = answer.choices[0].message
    reasoning = getattr(message, "reasoning_content", None)
    assert (reasoning is not None) <= (answer.usage.completion_tokens_details.reasoning_tokens > 0)
    assert "<|channel>" not in message.content and "<channel|>" not in message.content


def test_models(client):
    models = client.models.list().data
    assert [m.id for m in models] == [MODEL_NAME]
    assert models[0].max_model_len == 2048
    assert client.models.retrieve(MODEL_NAME).id == MODEL_NAME
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_completions(client):
    text = client.completions.create(model=MODEL_NAME, prompt="Rubies are", max_tokens=8,
                                     temperature=0)
    assert text.object == "text_completion"
    ids = httpx.post(str(client.base_url).replace("/v1/", "/tokenize"),
                     json={"prompt": "Rubies are"}).json()["tokens"]
    same = client.completions.create(model=MODEL_NAME, prompt=ids, max_tokens=8, temperature=0)
    assert same.choices[0].text == text.choices[0].text
    several = client.completions.create(model=MODEL_NAME, prompt=["Rubies are", "Opals"],
                                        max_tokens=8, temperature=0)
    assert several.choices[0].text == text.choices[0].text
    assert [c.index for c in several.choices] == [0, 1]
    echoed = client.completions.create(model=MODEL_NAME, prompt="Rubies are", max_tokens=0,
                                       echo=True, logprobs=2)
    assert echoed.choices[0].text == "Rubies are"
    logprobs = echoed.choices[0].logprobs
    assert len(logprobs.tokens) == len(ids) == len(logprobs.token_logprobs)
    assert logprobs.token_logprobs[0] is None
    assert all(value < 0 for value in logprobs.token_logprobs[1:])
    streamed = client.completions.create(model=MODEL_NAME, prompt="Rubies are", max_tokens=8,
                                         temperature=0, stream=True)
    assert "".join(c.choices[0].text for c in streamed) == text.choices[0].text


def test_concurrent_answers_equal_the_lonely_one(client):
    lonely = client.chat.completions.create(**GREEDY, extra_body=LONG).choices[0].message.content
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(lambda: text_of(client.chat.completions.create(
            **GREEDY, stream=True, extra_body=LONG))) for _ in range(64)]
    assert {f.result() for f in futures} == {lonely}


def test_errors_become_the_clients_exceptions(client, server):
    create = client.chat.completions.create
    with pytest.raises(openai.BadRequestError) as bad:
        create(model=MODEL_NAME, messages=HELLO, n=1000)
    assert (bad.value.code, bad.value.param, bad.value.type) == (
        "integer_above_max_value", "n", "invalid_request_error")
    assert bad.value.request_id
    with pytest.raises(openai.NotFoundError) as unknown:
        create(model="gpt-4o", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as long:
        create(model=MODEL_NAME, messages=[{"role": "user", "content": "gem " * 5000}])
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as other:
        create(model=MODEL_NAME, messages=HELLO, modalities=["text", "audio"])
    assert other.value.param == "modalities"
    with pytest.raises(openai.APIStatusError) as large:
        create(model=MODEL_NAME, messages=[{"role": "user", "content": "x" * 5_000_000}])
    assert large.value.status_code == 413
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=MODEL_NAME, input="x")
    with pytest.raises(openai.PermissionDeniedError):
        create(**GREEDY, extra_headers={"Host": "attacker.example"})
    assert create(**GREEDY).choices


def test_full_server_refuses_at_once(start_server):
    server = start_server("--max-num-seqs", "1", "--max-queued-requests", "1",
                          "--max-num-batched-tokens", "64")
    client = server.client()
    streams = [client.chat.completions.create(**{**GREEDY, "max_tokens": 1500}, stream=True,
                                              extra_body=LONG) for _ in range(2)]
    with pytest.raises(openai.InternalServerError) as full:
        client.chat.completions.create(**GREEDY)
    assert full.value.status_code == 503
    assert full.value.code == "engine_overloaded"
    assert full.value.response.headers["retry-after"] == "1"
    for stream in streams:
        stream.close()
    server.wait_until_idle()
    assert client.chat.completions.create(**GREEDY).choices


def test_printed_curl_line_works(server):
    line = next(line for line in server.lines if "curl " in line)
    output = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert '"role":"assistant"' in output.stdout, output.stderr
