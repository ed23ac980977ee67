"""Clients that leave, connections that stay, a server that goes down."""
import contextlib
import http.client
import json
import signal
import socket
import threading
import time

import httpx
import pytest

from conftest import MODEL_NAME

LONG = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "Go on."}],
        "max_tokens": 1800, "ignore_eos": True, "temperature": 0}
SHORT = {**LONG, "max_tokens": 8}
CHAT = "/v1/chat/completions"


def connection_to(server):
    host, port = server.url.removeprefix("http://").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=120)


def post(connection, body):
    connection.request("POST", CHAT, json.dumps(body), {"Content-Type": "application/json"})
    return connection.getresponse()


def test_a_connection_goes_on_after_a_stream(server):
    connection = connection_to(server)
    post(connection, SHORT).read()
    socket_before = connection.sock
    for _ in range(10):
        assert post(connection, {**SHORT, "stream": True}).read().endswith(b"data: [DONE]\n\n")
        assert json.loads(post(connection, SHORT).read())["object"] == "chat.completion"
    assert connection.sock is socket_before


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_before_the_answer_frees_the_pages(server, stream):
    connection = connection_to(server)
    connection.request("POST", CHAT, json.dumps({**LONG, "stream": stream}),
                       {"Content-Type": "application/json"})
    while server.ready()["running"] == 0:
        time.sleep(0.002)
    connection.sock.close()
    connection.close()
    server.wait_until_idle()


def test_leaving_a_stream_frees_the_pages(server):
    with httpx.stream("POST", server.url + CHAT, json={**LONG, "stream": True, "n": 2}) as answer:
        for i, _ in enumerate(answer.iter_lines()):
            if i > 10:
                break
    server.wait_until_idle()
    assert server.ready()["generated_tokens"] > 0


def test_leaving_while_queued_frees_the_place(start_server):
    server = start_server("--max-num-seqs", "1", "--max-num-batched-tokens", "64")
    with httpx.stream("POST", server.url + CHAT, json={**LONG, "stream": True}) as running:
        lines = running.iter_lines()
        next(lines)
        waiting = connection_to(server)
        waiting.request("POST", CHAT, json.dumps(SHORT), {"Content-Type": "application/json"})
        while server.ready()["waiting"] == 0:
            time.sleep(0.002)
        waiting.sock.close()
        while server.ready()["waiting"] > 0:
            time.sleep(0.002)
    server.wait_until_idle()


def test_a_client_that_never_reads_is_let_go(server):
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({**LONG, "stream": True, "logprobs": True, "top_logprobs": 20})
    silent = socket.create_connection((host, int(port)))
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
                   f"\r\n\r\n{body}".encode())
    while server.ready()["running"] == 0:
        time.sleep(0.002)
    server.wait_until_idle()  # generation does not wait for the reader
    silent.close()


def test_sigterm_finishes_what_runs(start_server):
    server = start_server("--drain-timeout", "60")
    # A connection that is there before; a new one would do as well while the listener lives.
    late = connection_to(server)
    late.request("GET", "/ready")
    assert late.getresponse().read()
    result = {}

    def read_stream():
        with httpx.stream("POST", server.url + CHAT, json={**LONG, "stream": True},
                          timeout=120) as answer:
            for line in answer.iter_lines():
                result["started"] = True
                result["last"] = line or result.get("last")

    reader = threading.Thread(target=read_stream)
    reader.start()
    while not result.get("started"):
        time.sleep(0.002)
    server.signal()
    time.sleep(0.05)
    refused = post(late, SHORT)
    assert json.loads(refused.read())["error"]["code"] == "engine_overloaded"
    assert refused.status == 503 and refused.getheader("Retry-After")
    late.request("GET", "/ready")
    assert late.getresponse().status == 503
    reader.join(120)
    assert result["last"] == "data: [DONE]"
    server.expect_exit(0)


def test_a_drain_that_takes_too_long_ends_streams_with_an_error(start_server):
    server = start_server("--drain-timeout", "0.2", "--max-num-seqs", "1",
                          "--max-num-batched-tokens", "64")
    lines = []

    def read_stream():
        with httpx.stream("POST", server.url + CHAT, json={**LONG, "stream": True},
                          timeout=120) as answer:
            lines.extend(line for line in answer.iter_lines() if line)

    # Far more than one sequence at a time can do in the time that is left.
    readers = [threading.Thread(target=read_stream) for _ in range(20)]
    for reader in readers:
        reader.start()
    while server.ready()["running"] == 0:
        time.sleep(0.002)
    server.signal()
    for reader in readers:
        reader.join(60)
    assert any('"engine_overloaded"' in line for line in lines)
    server.expect_exit(0)


def test_a_second_signal_aborts(start_server):
    server = start_server("--drain-timeout", "600", "--max-num-seqs", "1",
                          "--max-num-batched-tokens", "64")

    def ask():
        with contextlib.suppress(http.client.HTTPException, OSError):  # the abort cuts it off
            post(connection_to(server), LONG)

    askers = [threading.Thread(target=ask) for _ in range(20)]
    for asker in askers:
        asker.start()
    while server.ready()["running"] == 0:
        time.sleep(0.002)
    server.signal(signal.SIGINT)
    time.sleep(0.1)
    server.signal(signal.SIGTERM)
    server.expect_exit(1)
    for asker in askers:
        asker.join(10)
