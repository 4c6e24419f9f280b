"""The API's own description (OpenAPI), with every refusal that an operation may answer.

What FastAPI derives knows only the good answer and its own form of a malformed request; ours are problems (RFC 9457).
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from telerehab.api.problems import CODE_OF, MEDIA_TYPE, STATUS_OF

_METHODS: Final = frozenset({"get", "post", "put", "delete", "patch"})
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457).",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "What pages translate."},
        "detail": {"type": "string", "description": "For programmers; repeats nothing that was sent."},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["at", "kind"],
                "properties": {"at": {"type": "string"}, "kind": {"type": "string"}},
            },
        },
    },
}


def describe_app(app: FastAPI, routes: list[BaseRoute]) -> dict[str, Any]:
    """Return the description of an app's routes, with the problems that each operation may answer."""
    description = get_openapi(title=app.title, version=app.version, routes=routes)
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM_SCHEMA
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problems = _describe_problems()
    for methods in description["paths"].values():
        for method in methods.keys() & _METHODS:
            methods[method].setdefault("responses", {}).update(problems)
    return description


def _describe_problems() -> dict[str, Any]:
    """Return, by status, the refusals that any operation may answer."""
    codes: dict[int, list[str]] = {400: ["refused"]}  # the framework's own: a body in which no text can be read
    for kind, status in STATUS_OF.items():
        codes.setdefault(int(status), []).append(CODE_OF[kind])
    return {
        str(status): {"description": " or ".join(sorted(named)), "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
        for status, named in sorted(codes.items())
    }
