"""The CUDA backend behind HTTP: its kernels run thread by thread on the CPU, so no GPU is needed."""
import json
import os

import pytest
from conftest import DEMO, MODEL_NAME

EMULATED = os.environ.get("LAPIDARY_EMULATED")
SMALL = ("--max-num-seqs", "4", "--max-num-batched-tokens", "64")

pytestmark = pytest.mark.skipif(not EMULATED or not (DEMO / "held_out.jsonl").exists(),
                                reason="no emulated build, or no demo checkpoint")


def questions():
    """A few of each skill."""
    lines = [json.loads(line) for line in (DEMO / "held_out.jsonl").read_text().splitlines()]
    by_skill = {}
    for line in lines:
        by_skill.setdefault(line["skill"], []).append(line["messages"])
    return [messages for some in by_skill.values() for messages in some[:2]]


def answers(server):
    client = server.client(timeout=600)
    return [client.chat.completions.create(model=MODEL_NAME, messages=messages, temperature=0,
                                           max_tokens=24).choices[0]
            for messages in questions()]


def test_the_demo_answers_on_cuda_as_on_the_cpu(start_server):
    on_cuda = answers(start_server("--device", "cuda", *SMALL, binary=EMULATED))
    on_cpu = answers(start_server("--device", "cpu"))
    same = [a.message.content == b.message.content for a, b in zip(on_cuda, on_cpu, strict=True)]
    # A trained model is sure of nearly every token; where it is not, bf16 may go either way.
    assert sum(same) >= 0.9 * len(same), [a.message.content for a in on_cuda]


def test_streams_choices_and_logprobs_from_the_device(start_server):
    server = start_server("--device", "cuda", *SMALL, binary=EMULATED)
    client = server.client(timeout=600)
    request = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Hello!"}], "n": 2,
               "seed": 5, "temperature": 0.7, "max_tokens": 12, "logprobs": True, "top_logprobs": 3}
    whole = client.chat.completions.create(**request)
    streamed = {0: "", 1: ""}
    for chunk in client.chat.completions.create(**request, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    for choice in whole.choices:
        assert streamed[choice.index] == choice.message.content
        for token in choice.logprobs.content:
            assert token.logprob <= 0 and len(token.top_logprobs) == 3
    server.wait_until_idle()


@pytest.mark.parametrize("flags, words", [
    (("--dtype", "float32"), "float32 is computed on the CPU only"),
    (("--kv-cache-dtype", "float32"), "--kv-cache-dtype float32 is known on the CPU only"),
])
def test_types_that_the_device_lacks_are_refused(start_server, flags, words):
    with pytest.raises(RuntimeError, match=words):
        start_server("--device", "cuda", *flags, binary=EMULATED)


def test_fp8_pages_serve(start_server):
    server = start_server("--device", "cuda", "--kv-cache-dtype", "fp8", *SMALL, binary=EMULATED)
    answer = server.client(timeout=600).chat.completions.create(
        model=MODEL_NAME, temperature=0, max_tokens=24,
        messages=[{"role": "user", "content": "How hard is a diamond?"}])
    assert "10" in answer.choices[0].message.content
