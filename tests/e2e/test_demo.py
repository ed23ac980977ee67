"""What the demo checkpoint's card promises, through the server at temperature 0."""
import concurrent.futures
import json
import re

import pytest

from conftest import DEMO, MODEL_NAME, model_folder

pytestmark = pytest.mark.skipif(model_folder() != DEMO, reason="not the demo checkpoint")
# The card was measured in float32, the server computes in bfloat16.
ROUNDING = 0.02


def ask(client, messages, thinking=False):
    return client.chat.completions.create(
        model=MODEL_NAME, messages=messages, temperature=0, max_tokens=128,
        extra_body={"chat_template_kwargs": {"enable_thinking": thinking}},
    ).choices[0].message


def card():
    return (DEMO / "README.md").read_text()


def test_held_out_phrasings(client):
    rows = [json.loads(line) for line in (DEMO / "held_out.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["skill"] in ("facts", "greetings")]
    assert len(rows) >= 200
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda row: ask(client, row["messages"]).content, rows))
    right = sum(answer.strip() == row["expect"] for answer, row in zip(answers, rows))
    promised = [re.search(rf"\| {skill} \| (\d+) \| (\d+) \|", card()).groups()
                for skill in ("facts", "greetings")]
    share = sum(int(r) for r, _ in promised) / sum(int(n) for _, n in promised)
    print(f"held-out facts and greetings: {right} of {len(rows)}; the card says {share:.1%}")
    assert right / len(rows) >= min(0.95, share - ROUNDING)


def calls_and_content(client, row):
    """What the row expects, and what the server says, in one form."""
    expected = row.get("calls") or row["expect"].strip()
    message = client.chat.completions.create(
        model=MODEL_NAME, messages=row["messages"], tools=row["tools"], temperature=0,
        max_tokens=160).choices[0].message
    calls = [{"name": call.function.name, "arguments": json.loads(call.function.arguments)}
             for call in message.tool_calls or []]
    return expected, calls or (message.content or "").strip()


def test_held_out_tool_requests(client):
    rows = [json.loads(line) for line in (DEMO / "held_out_tools.jsonl").read_text().splitlines()]
    assert len(rows) >= 150
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        outcome = list(pool.map(lambda row: calls_and_content(client, row), rows))
    right = sum(expected == said for expected, said in outcome)
    promised = [re.search(rf"\| {skill} \| (\d+) \| (\d+) \|", card()).groups()
                for skill in {row["skill"] for row in rows}]
    share = sum(int(r) for r, _ in promised) / sum(int(n) for _, n in promised)
    print(f"held-out tool requests: {right} of {len(rows)}; the card says {share:.1%}")
    assert right / len(rows) >= min(0.9, share - ROUNDING)


def suggestions():
    """The conversations under "Try this": (thinking, messages, last thought, last answer)."""
    section = card().split("## Try this")[1].split("\n## ")[0]
    for item in re.split(r"\n- ", section)[1:]:
        item = " ".join(item.split())
        prefix, rest = re.match(r"((?:\([^)]*\) )?)(.*)", item).groups()
        messages = []
        system = re.match(r"\(system: (.*)\) ", prefix)
        if system:
            messages.append({"role": "system", "content": system.group(1)})
        for turn in rest.split("<br>"):
            user, thought, answer = re.match(
                r"\s*\*\*(.+?)\*\*\s*(?:\*(.+?)\*\s+)?(.*)", turn).groups()
            messages.append({"role": "user", "content": user})
            messages.append({"role": "assistant", "content": answer.strip()})
        yield pytest.param("thinking on" in prefix, messages[:-1], thought,
                           messages[-1]["content"], id=messages[-2]["content"])


@pytest.mark.parametrize("thinking, messages, thought, answer",
                         list(suggestions()) if DEMO.exists() else [])
def test_what_the_card_suggests_works(client, thinking, messages, thought, answer):
    message = ask(client, messages, thinking)
    assert message.content.strip() == answer
    if thought:
        assert getattr(message, "reasoning_content", "").strip() == thought
