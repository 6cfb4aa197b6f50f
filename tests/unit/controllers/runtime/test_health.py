from __future__ import annotations

import urllib.error
import urllib.request

from controllers.runtime.health import serve_health


def status(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_liveness_says_what_is_wrong() -> None:
    problem = [""]
    server = serve_health(0, lambda: problem[0], "127.0.0.1")
    port = server.server_address[1]
    try:
        assert status(port, "/healthz") == (200, "ok")
        problem[0] = "3 keys wait and nothing was handled for 400 s"
        assert status(port, "/healthz") == (503, problem[0])
        assert status(port, "/")[0] == 404
    finally:
        server.shutdown()
        server.server_close()
