"""A collector on a loopback socket: it decodes what it is sent, and answers as it is told."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def _plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_plain(item) for item in value.array_value.values)
    return getattr(value, kind)


def attributes(items):
    return {item.key: _plain(item.value) for item in items}


class Collector:
    """`requests`: (path, headers, decoded). `answers`: statuses to give, the last one for ever."""

    def __init__(self) -> None:
        self.requests = []
        self.answers = [200]
        self.headers = {}
        self.body = b""
        self.came = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                with collector.came:
                    status = collector.answers.pop(0) if len(collector.answers) > 1 else collector.answers[0]
                    told = {name.lower(): value for name, value in self.headers.items()}
                    collector.requests.append((self.path, told, ExportTraceServiceRequest.FromString(body), status))
                    collector.came.notify_all()
                self.send_response(status)
                for name, value in collector.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(collector.body)))
                self.end_headers()
                self.wfile.write(collector.body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def spans(self):
        """Of all requests that were answered well."""
        return [
            span
            for _, _, request, status in self.requests
            if status == 200
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, count, seconds=20):
        """Until so many requests have come."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, seconds), f"{len(self.requests)} of {count} came"
