"""A loopback server that speaks enough of the Hugging Face hub's protocol, and misbehaves."""

import hashlib
import threading
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Served:
    """One file and how it is served.

    ``promised`` are the bytes its ETag and length speak of, None for ``body``; ``etag`` is said in
    place of their sha256; ``stalls`` sends half, then nothing until the server is closed.
    """

    body: bytes
    promised: bytes | None = None
    stalls: bool = False
    status: int = 200
    etag: str | None = None


def weights_below(folder: Path) -> list[str]:
    """Names of what is or links to a weights file, whole or half; small files are none."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(path.name for path in found if not path.exists() or path.stat().st_size > 900)


class HubServer(ThreadingHTTPServer):
    """Serves ``files``, by address path, until closed; remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, Served] = {}
        self.requests: list[str] = []
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def add_repo(self, repo: str, files: dict[str, Served]) -> None:
        for name, served in files.items():
            for version in ("main", COMMIT):
                self.files[f"/{repo}/resolve/{version}/{name}"] = served

    def misbehave(self, ending: str, **how: object) -> None:
        for path, served in self.files.items():
            if path.endswith(ending):
                self.files[path] = replace(served, **how)

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        served = self.server.files.get(self.path.removeprefix("/cdn"))
        if served is None:
            self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if served.status != 200:
            self.reply(served.status, b"<html>no</html>", {})
            return
        whole = served.body if served.promised is None else served.promised
        etag = f'"{served.etag or hashlib.sha256(whole).hexdigest()}"'
        if not self.path.startswith("/cdn"):
            elsewhere = f"{self.server.address}/cdn{self.path}".replace("127.0.0.1", "localhost")
            size = {"X-Linked-Etag": etag, "X-Linked-Size": str(len(whole))}
            self.reply(302, b"", {**size, "Location": elsewhere})
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"ETag": etag, "Content-Length": str(len(whole) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        body = served.body[start:]
        if served.stalls:
            body = body[: len(body) // 2]
        self.reply(206 if start else 200, body, headers)
        self.close_connection = len(body) != len(whole) - start
        if served.stalls and self.command == "GET":
            self.server.closing.wait(20)

    do_HEAD = do_GET

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        always = {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body))}
        for name, value in (always | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
