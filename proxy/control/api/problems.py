"""Refusals as `application/problem+json` (RFC 9457), without internals: no version, stack, exception text or path.

But where a file is what stands in the way, its path is the hint.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiohttp import web

SAFE_FIELDS = {"Server": "shadow-proxy", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Fields of every answer."""


class Problem(Exception):  # noqa: N818  an answer, not an accident
    """A refusal: `kind` names its type, `errors` the parts at fault, `hint` what to do."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Iterable[Mapping[str, Any]] = (),
        hint: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.hint = hint
        self.fields = dict(fields or {})

    def response(self) -> web.Response:
        """The answer."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.kind}",
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        if self.hint:
            body["hint"] = self.hint
        return web.Response(
            status=self.status,
            body=orjson.dumps(body) + b"\n",
            content_type="application/problem+json",
            headers={**SAFE_FIELDS, **self.fields},
        )


def answer(body: Mapping[str, Any]) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(body) + b"\n", content_type="application/json", headers=SAFE_FIELDS)


def plain(body: bytes, content_type: str = "text/plain; charset=utf-8") -> web.Response:
    """An answer that is not JSON."""
    return web.Response(body=body, headers={**SAFE_FIELDS, "Content-Type": content_type})
