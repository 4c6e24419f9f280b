"""Every route and channel names its policy, or the app does not start."""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from starlette.routing import BaseRoute, Mount

from telerehab.auth.access import Scope
from telerehab.auth.policies import PUBLIC, Policy, policy_of, scope_of
from telerehab.errors import MissingPolicyError


def declared_policies(app: FastAPI) -> Iterator[tuple[str, frozenset[str], Policy]]:
    """Yield path, methods (none for a WebSocket) and policy of every route and channel.

    Raises
    ------
    MissingPolicyError
        One declares none, or is of a kind that cannot (a mount without mark).
    """
    for route in iter_route_contexts(app.routes):
        policy = _policy_of_route(route.original_route)
        if policy is None:
            raise MissingPolicyError(f"{route.path or repr(route.original_route)} declares no policy")
        yield route.path or "", frozenset(route.methods or ()), policy


def declared_scopes(app: FastAPI) -> Iterator[tuple[tuple[str, str], Scope]]:
    """Yield method, path and scope of every route that says what it does with a patient."""
    for route in iter_route_contexts(app.routes):
        original = route.original_route
        scope = scope_of(original.endpoint) if isinstance(original, APIRoute | APIWebSocketRoute) else None
        if scope is not None:
            for method in route.methods or {"ANY"}:
                yield (method, route.path or ""), scope


def require_policies(app: FastAPI) -> None:
    """Raise MissingPolicyError when a route or channel declares no policy."""
    for _ in declared_policies(app):
        pass


def _policy_of_route(route: BaseRoute) -> Policy | None:
    """Return the policy of a route, None where none is declared or none would be enforced.

    Only FastAPI's own routes run `enforce_policy`; a mounted app runs nothing of ours, so it may only be public.
    """
    if isinstance(route, APIRoute | APIWebSocketRoute):
        return policy_of(route.endpoint)
    if isinstance(route, Mount) and policy_of(route.app) is PUBLIC:
        return PUBLIC
    return None
