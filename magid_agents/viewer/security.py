"""Refuse requests from other sites, to other hosts and by other methods.

A page on 127.0.0.1 is reachable from every site that the user has open. Only requests that name this host and
port, and come from this page or from the address bar, are answered.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = {"GET", "HEAD"}
LOOPBACK_NAMES = "127.0.0.1", "localhost"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class OnlyThisPage:
    """Middleware that answers requests of this page, and adds HEADERS to every response, refusals too."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in LOOPBACK_NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websocket: some servers forget to check those
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        answer = self._app if refusal is None else refusal
        await answer(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        # A name that another site points at this address (DNS rebinding) is not among the hosts.
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return PlainTextResponse("This page answers to its own address only.\n", 421)
        if method not in METHODS:
            return PlainTextResponse("Nothing can be changed here.\n", 405, {"Allow": ", ".join(METHODS)})
        origins = headers.getlist("origin")
        if origins and (origins != [f"http://{hosts[0]}"] or origins[0] not in self._origins):
            return PlainTextResponse("Another site has no business here.\n", 403)
        site = headers.get("sec-fetch-site", "none")
        # "none" is the address bar; a link elsewhere may lead to a page, but nothing else may be loaded.
        followed = site == "cross-site" and headers.get("sec-fetch-mode") == "navigate"
        top = headers.get("sec-fetch-dest", "document") == "document"
        if site not in ("none", "same-origin") and not (followed and top):
            return PlainTextResponse("Another site has no business here.\n", 403)
        return None
