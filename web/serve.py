#!/usr/bin/env python3
"""Serves the page that `make web` has built, on this machine alone, with the headers that allow it threads."""

import argparse
import functools
import http.server
import os
import sys

HEADERS = {
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # As web/site/service-worker.js.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self'; style-src 'self'; img-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }
    plain = False
    quiet = False

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")
        if not self.plain:
            for name, value in HEADERS.items():
                self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments):
        if not self.quiet:
            super().log_message(*arguments)


def server(site, port=0, plain=False, quiet=False):
    """Bound to the loopback; port 0: a free one."""
    kind = type("SiteHandler", (Handler,), {"plain": plain, "quiet": quiet})
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(kind, directory=site))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", nargs="?", default="build-web/site", help="folder of the page (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s; 0: a free one)")
    parser.add_argument("--plain", action="store_true", help="send no headers beyond a plain server's, as simple hosts do")
    options = parser.parse_args()
    if not os.path.isfile(os.path.join(options.site, "index.html")):
        parser.exit(2, f"error: {options.site} holds no page: make web builds it\n")
    if not 0 <= options.port <= 65535:
        parser.exit(2, f"error: --port {options.port}: not a port\n")
    try:
        serving = server(options.site, options.port, options.plain)
    except OSError as fault:
        parser.exit(2, f"error: port {options.port}: {fault.strerror}\n")
    print(f"http://localhost:{serving.server_port}/ (Ctrl-C ends it)", flush=True)
    try:
        serving.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
