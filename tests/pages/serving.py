"""A folder of built pages behind HTTP, which counts what a page loads."""

import gzip
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMPRESSED = {".html", ".js", ".css", ".svg", ".json"}  # as a static host sends them


class _Counting(SimpleHTTPRequestHandler):
    def __init__(self, *arguments, sent, **options):
        self.sent = sent
        super().__init__(*arguments, **options)

    def copyfile(self, source, outputfile):
        content = source.read()
        path = self.path.partition("?")[0]
        packed = Path(path).suffix in COMPRESSED
        self.sent[path] = len(gzip.compress(content, 6) if packed else content)
        outputfile.write(content)

    def log_message(self, *arguments):
        """Nothing: the tests read what was sent."""


@contextmanager
def serve(folder):
    """Give the address of a server of this folder, and what it sent: bytes by path."""
    sent = {}
    handler = partial(_Counting, directory=folder, sent=sent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", sent
        server.shutdown()
