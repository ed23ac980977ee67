"""Images through the official OpenAI client, on a model with random weights and a vision tower:
what it says means nothing, what it is given and what is counted does."""
import base64
import json
import os
import shutil
import threading

import openai
import pytest

from conftest import MODEL_NAME, ROOT, Server

FILES = ROOT / "tests/golden/media/files"


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    """The shape of E2B with a tower, its tokenizer, and no weights but random ones."""
    checkpoints = ROOT / "tests/golden/checkpoints"
    folder = tmp_path_factory.mktemp("seeing")
    config = json.loads((checkpoints / "e2b/config.json").read_text())
    tower = json.loads((checkpoints / "vision_small/config.json").read_text())["vision_config"]
    tower["position_embedding_size"] = 512
    (folder / "config.json").write_text(json.dumps(dict(config, vision_config=tower)))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(checkpoints / "e2b" / name, folder)
    one = Server("--load-format", "dummy", folder=folder)
    yield one
    one.stop()


def part(data, kind="png", **fields):
    url = f"data:image/{kind};base64," + base64.b64encode(data).decode()
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def ask(server, *parts, **options):
    content = [*parts, {"type": "text", "text": "What is this?"}]
    return server.client().chat.completions.create(
        model=MODEL_NAME, messages=[{"role": "user", "content": content}], max_tokens=4,
        temperature=0, **options)


def image_tokens(answer):
    return answer.usage.prompt_tokens_details.image_tokens


@pytest.mark.parametrize("name", ["rgb.png", "444.jpg", "exif_6.jpg", "lossy.webp", "plain.gif",
                                  "palette_transparent.png", "gray_16.png", "one.png"])
def test_every_format_is_seen(seeing, name):
    data = (FILES / name).read_bytes()
    low = ask(seeing, part(data, detail="low"))
    auto = ask(seeing, part(data))
    assert 0 < image_tokens(low) <= 70 < image_tokens(auto) <= 280
    text_only = low.usage.prompt_tokens - image_tokens(low)
    assert text_only == auto.usage.prompt_tokens - image_tokens(auto)


def test_images_count_alone_and_together(seeing):
    data = (FILES / "rgb.png").read_bytes()
    one = ask(seeing, part(data, max_soft_tokens=140))
    two = ask(seeing, part(data, max_soft_tokens=140), part(data, max_soft_tokens=140))
    assert image_tokens(two) == 2 * image_tokens(one)
    with_marks = two.usage.prompt_tokens - one.usage.prompt_tokens
    assert with_marks == image_tokens(one) + 2  # begin and end of image


def test_streams_say_the_same(seeing):
    data = (FILES / "444.jpg").read_bytes()
    whole = ask(seeing, part(data))
    pieces = list(ask(seeing, part(data), stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in pieces if c.choices) == \
        (whole.choices[0].message.content or "")
    assert pieces[-1].usage.prompt_tokens_details.image_tokens == image_tokens(whole)


HOSTILE = {
    "nothing": b"", "one byte": b"\x89", "text": b"hello", "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "playlist": b"#EXTM3U\nfile:///etc/passwd\n", "html": b"<html><img src=http://169.254.169.254/></html>",
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64), "tiff": b"II*\0" + bytes(64),
    "bmp": b"BM" + bytes(64), "cut png": (FILES / "rgb.png").read_bytes()[:60],
    "cut jpeg": (FILES / "444.jpg").read_bytes()[:300],
    "bomb": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0" + bytes(40),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_file_is_one_bad_request(seeing, name):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(seeing, part(HOSTILE[name]))
    assert caught.value.param == "messages[0].content[0].image_url.url"
    assert "libpng" not in str(caught.value)
    assert ask(seeing, part((FILES / "one.png").read_bytes(), detail="low")).usage


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.png", "https://example.com/a.png",
                                 "file:///etc/passwd", "data:image/png,abc", "gopher://x"])
def test_nothing_is_fetched(seeing, url):
    with pytest.raises(openai.BadRequestError):
        ask(seeing, {"type": "image_url", "image_url": {"url": url}})


def test_a_killed_worker_is_replaced(seeing):
    workers = [int(pid) for pid in os.listdir("/proc") if pid.isdigit()
               and parent_of(pid) == seeing.process.pid]
    assert workers
    for pid in workers:
        os.kill(pid, 9)
    data = (FILES / "rgb.png").read_bytes()
    assert image_tokens(ask(seeing, part(data, detail="low"))) > 0


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return -1


def test_many_at_once(seeing):
    data = (FILES / "rgb.png").read_bytes()
    alone = ask(seeing, part(data, detail="low")).choices[0].message.content
    answers = []

    def one():
        answers.append(ask(seeing, part(data, detail="low")).choices[0].message.content)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [alone] * 8
    seeing.wait_until_idle()
