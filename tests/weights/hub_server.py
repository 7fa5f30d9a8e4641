"""A loopback server that speaks enough of the Hugging Face hub's protocol, and misbehaves."""

import hashlib
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Served:
    """One file and how it is served.

    Attributes:
        body: the bytes sent.
        promised: the bytes its ETag and length speak of; None means ``body``.
        cut_after: close the connection after so many bytes of each answer.
        stalls: send half, then nothing until the server is closed.
        status: HTTP status.
        kind: Content-Type.
        plain_etag: an ETag that is no sha256.
    """

    body: bytes
    promised: bytes | None = None
    cut_after: int | None = None
    stalls: bool = False
    status: int = 200
    kind: str = "application/octet-stream"
    plain_etag: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body if self.promised is None else self.promised).hexdigest()


def weights_below(folder: Path) -> list[str]:
    """Names of what is or links to a weights file, whole or half; small files are none."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(path.name for path in found if not path.exists() or path.stat().st_size > 900)


@dataclass
class HubServer:
    """Serves ``files``, by address path, until closed; remembers what was asked."""

    files: dict[str, Served] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def add_repo(self, repo: str, files: dict[str, Served], revision: str = "main") -> None:
        for name, served in files.items():
            for version in (revision, COMMIT):
                self.files[f"/{repo}/resolve/{version}/{name}"] = served

    def misbehave(self, ending: str, **how: object) -> None:
        for path, served in self.files.items():
            if path.endswith(ending):
                self.files[path] = replace(served, **how)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                served = hub.files.get(self.path.removeprefix("/cdn"))
                if served is None:
                    self.reply(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
                elif served.status != 200:
                    self.reply(served.status, {"X-Repo-Commit": COMMIT}, b"<html>no</html>")
                elif "/resolve/" in self.path and not self.path.startswith("/cdn"):
                    etag = "plain" if served.plain_etag else served.sha256
                    length = len(served.body if served.promised is None else served.promised)
                    headers = {
                        "X-Repo-Commit": COMMIT,
                        "X-Linked-Etag": f'"{etag}"',
                        "X-Linked-Size": str(length),
                        "Location": f"{hub.address}/cdn{self.path}".replace(
                            "127.0.0.1", "localhost"
                        ),
                    }
                    self.reply(302, headers)
                else:
                    self.send_file(served, body)

            def send_file(self, served: Served, body: bool) -> None:
                length = len(served.body if served.promised is None else served.promised)
                start = self.range_start()
                self.send_response(206 if start else 200)
                self.send_header("Content-Type", served.kind)
                self.send_header("ETag", f'"{served.sha256}"')
                self.send_header("Content-Length", str(length - start))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{length - 1}/{length}")
                self.end_headers()
                if not body:
                    return
                data = served.body[start:]
                if served.stalls:
                    self.wfile.write(data[: len(data) // 2])
                    self.wfile.flush()
                    hub.closing.wait(20)
                    self.close_connection = True
                elif served.cut_after is not None:
                    self.wfile.write(data[: served.cut_after])
                    self.close_connection = True
                else:
                    self.wfile.write(data)
                    self.close_connection = len(data) != length - start

            def range_start(self) -> int:
                asked = self.headers.get("Range", "")
                return int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0

            def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
