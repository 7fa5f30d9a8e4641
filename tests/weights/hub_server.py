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

    ``promised`` are the bytes its ETag and length speak of, None for ``body``; ``stalls`` sends
    half, then nothing until the server is closed; ``plain_etag`` is one that is no sha256.
    """

    body: bytes
    promised: bytes | None = None
    stalls: bool = False
    status: int = 200
    plain_etag: bool = False

    @property
    def whole(self) -> bytes:
        return self.body if self.promised is None else self.promised

    @property
    def etag(self) -> str:
        return "plain" if self.plain_etag else hashlib.sha256(self.whole).hexdigest()


def weights_below(folder: Path) -> list[str]:
    """Names of what is or links to a weights file, whole or half; small files are none."""
    found = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return sorted(path.name for path in found if not path.exists() or path.stat().st_size > 900)


class HubServer:
    """Serves ``files``, by address path, until closed; remembers what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[str] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": self})
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

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
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def do_GET(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        served = self.hub.files.get(self.path.removeprefix("/cdn"))
        if served is None:
            self.reply(404, {"X-Error-Code": "EntryNotFound"})
        elif served.status != 200:
            self.reply(served.status, {}, b"<html>no</html>")
        elif self.path.startswith("/cdn"):
            self.send_file(served)
        else:
            elsewhere = f"{self.hub.address}/cdn{self.path}".replace("127.0.0.1", "localhost")
            size = {"X-Linked-Etag": f'"{served.etag}"', "X-Linked-Size": str(len(served.whole))}
            self.reply(302, {**size, "Location": elsewhere})

    do_HEAD = do_GET

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        headers = {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def send_file(self, served: Served) -> None:
        """The body, or what of it was asked for; shorter than its length, and then the end."""
        asked, length = self.headers.get("Range", ""), len(served.whole)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{served.etag}"')
        self.send_header("Content-Length", str(length - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{length - 1}/{length}")
        self.end_headers()
        if self.command == "GET":
            data = served.body[start:]
            self.wfile.write(data[: len(data) // 2] if served.stalls else data)
            self.close_connection = served.stalls or len(data) != length - start
            if served.stalls:
                self.wfile.flush()
                self.hub.closing.wait(20)

    def log_message(self, *_: object) -> None:
        pass
