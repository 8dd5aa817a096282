"""Lets requests for predictions in, as many and as large as the limits allow, and counts them."""

import asyncio
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.deploy.serving.schema import Limits

PREDICT = "/predict"

RETRY_SECONDS = 1
"""After how long a client that was refused may ask again."""

BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds that divide requests in the metrics."""


class Gate:
    """Who is inside, whether anyone may come in, and the metrics of both.

    Args:
        limits: how many requests may be answered at once, and how large each may be.

    Attributes:
        registry: the metrics.
        inputs: counts examples that were answered.
    """

    def __init__(self, limits: Limits) -> None:
        self.registry = CollectorRegistry()
        self.inputs = Counter(
            "one_or_many_inputs", "examples that were answered", registry=self.registry
        )
        self._limits = limits
        self._stopping = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._inside = Gauge(
            "one_or_many_requests_in_flight", "requests being answered", registry=self.registry
        )
        self._requests = Counter(
            "one_or_many_requests", "requests by HTTP code", ["code"], registry=self.registry
        )
        self._seconds = Histogram(
            "one_or_many_request_seconds",
            "from request to response, refused ones left out",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._count = self._let_in = 0

    def refusal(self) -> JSONResponse | None:
        """Why nobody may come in now; None if one may."""
        if self._stopping:
            return _refused(503, "the server is stopping")
        if self._count >= self._limits.requests:
            return _refused(429, f"{self._count} requests are being answered; ask again later")
        return None

    async def close(self) -> int:
        """Let nobody in any more, wait until everyone is out, and return how many were in."""
        self._stopping = True
        await self._empty.wait()
        return self._let_in

    def enter(self) -> None:
        """A request comes in."""
        self._count += 1
        self._let_in += 1
        self._inside.set(self._count)
        self._empty.clear()

    def leave(self, code: int, seconds: float) -> None:
        """A request goes out with this code."""
        self._count -= 1
        self._inside.set(self._count)
        self.refused(code)
        self._seconds.observe(seconds)
        if not self._count:
            self._empty.set()

    def refused(self, code: int) -> None:
        """Count a response."""
        self._requests.labels(str(code)).inc()

    def sized(self, scope: Scope, receive: Receive) -> Receive:
        """``receive`` that raises ``HTTPException`` 413 where a body is too large."""
        limit = self._limits.body_bytes
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit or _announced(scope) > limit:
                raise HTTPException(413, f"a request may have {limit:,} bytes; send fewer texts")
            return message

        return counted


class GateMiddleware:
    """Passes requests for predictions through a gate, and all others by it."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["path"] != PREDICT:
            await self._app(scope, receive, send)
            return
        if (refusal := self._gate.refusal()) is not None:
            self._gate.refused(refusal.status_code)
            await refusal(scope, receive, send)
            return
        code = 500

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        began = time.perf_counter()
        self._gate.enter()
        try:
            await self._app(scope, self._gate.sized(scope, receive), noted)
        finally:
            self._gate.leave(code, time.perf_counter() - began)


def _refused(code: int, error: str) -> JSONResponse:
    return JSONResponse({"error": error}, code, {"Retry-After": str(RETRY_SECONDS)})


def _announced(scope: Scope) -> int:
    """Bytes of the body by the request's header; 0 if it has none."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0
