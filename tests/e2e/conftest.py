"""Starts real servers for the tests, on the demo checkpoint where there is one, else on a tiny
random one: nothing here depends on what the model says."""
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import httpx
import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "config/demo"
TINY = ROOT / "tests/golden/checkpoints/moe"
MODEL_NAME = "test-model"


def model_folder():
    named = os.environ.get("LAPIDARY_E2E_MODEL")
    if named:
        return pathlib.Path(named)
    return DEMO if (DEMO / "model.safetensors").exists() else TINY


class Server:
    """One `lapidary serve` process."""

    def __init__(self, *flags, binary=None, folder=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAPIDARY_")}
        self.process = subprocess.Popen(
            [binary or os.environ["LAPIDARY_BINARY"], "serve", str(folder or model_folder()),
             "--port", "0", "--served-model-name", MODEL_NAME, "--max-model-len", "2048", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        self.lines = []
        self.started = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.started.wait(60)
        # A process whose output has ended may not have been reaped yet: the address it says tells.
        address = re.search(r"http://[\w.:]+", "".join(self.lines))
        if address is None:
            self.stop()
            raise RuntimeError("the server did not start:\n" + "".join(self.lines))
        self.url = address.group(0)
        # The packaged HTTP library sets up statics in its first request and its first stream. It is
        # not instrumented, so two of them at once would look like a race to the thread sanitizer.
        body = {"model": MODEL_NAME, "prompt": "a", "max_tokens": 1, "stream": True}
        httpx.post(self.url + "/v1/completions", json=body, timeout=60)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "curl " in line:
                self.started.set()
        self.started.set()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait(30)

    def expect_exit(self, code):
        """Waits for the end; what the server said stands in the report when it ended otherwise."""
        ended = self.process.wait(30)
        self.reader.join(30)
        assert ended == code, f"exit code {ended}\n" + "".join(self.lines)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def client(self, **options):
        options.setdefault("max_retries", 0)
        options.setdefault("timeout", 120)
        return openai.OpenAI(base_url=self.url + "/v1", api_key="none", **options)

    def ready(self):
        return httpx.get(self.url + "/ready").json()

    def wait_until_idle(self):
        """Every page is free again and nothing runs."""
        for _ in range(1000):
            state = self.ready()
            if (state["running"] == 0 and state["waiting"] == 0
                    and state["pages_free"] == state["pages_total"]):
                return
            time.sleep(0.01)
        raise AssertionError(f"not idle: {state}")


@pytest.fixture(scope="session")
def server():
    one = Server()
    yield one
    one.stop()


@pytest.fixture()
def client(server):
    return server.client()


@pytest.fixture()
def start_server():
    """A server of the test's own, with flags."""
    servers = []

    def start(*flags, binary=None):
        servers.append(Server(*flags, binary=binary))
        return servers[-1]

    yield start
    for one in servers:
        one.stop()


@pytest.fixture(scope="session")
def scripted_url():
    """A server whose engine says what it is told (tests/server/scripted_server.cpp)."""
    binary = os.environ.get("LAPIDARY_SCRIPTED_SERVER")
    if not binary:
        pytest.skip("LAPIDARY_SCRIPTED_SERVER is not set")
    with subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()
