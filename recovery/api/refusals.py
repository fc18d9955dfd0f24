"""Every refusal and its answer: the one place where errors become status codes."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, AuthorizationError, HttpError, ValidationError

from recovery.api.rows import resolution_of
from recovery.errors import (
    AlreadyResolved,
    Held,
    InvalidInput,
    NotActedOn,
    NotAllowed,
    NotASide,
    NotPermitted,
    NotUndoable,
    NotWaiting,
    OneByOne,
    OtherVersion,
    PipelineGone,
    RecoveryError,
    Refused,
    StaleProposal,
    UnknownPipeline,
)

Said = tuple[int, dict[str, Any]]
# The parts of a request; everybody knows which of them a field is in.
_PARTS = ("body", "query", "path", "header", "cookie", "form")


def answer_refusals(api: NinjaAPI) -> None:
    """Install the answers. What is not named here is a fault of ours: 500."""
    for kind, say in _ANSWERS.items():
        api.add_exception_handler(kind, _handler(api, say))


def _handler(api: NinjaAPI, say: Callable[[Any], Said]) -> Callable[[HttpRequest, Any], HttpResponse]:
    def answer(request: HttpRequest, error: Any) -> HttpResponse:
        status, body = say(error)
        return api.create_response(request, body, status=status)

    return answer


def _said(status: int, code: str, message: str, **more: Any) -> Said:
    return status, {"code": code, "message": message, **more}


def _not_signed_in(error: AuthenticationError) -> Said:
    return _said(HTTPStatus.UNAUTHORIZED, "not_signed_in", "Sign in first.")


def _not_allowed(error: Exception) -> Said:
    return _said(HTTPStatus.FORBIDDEN, "not_allowed", str(error))


def _http(error: HttpError) -> Said:
    """What ninja itself refuses: a body that is no JSON, a missing CSRF token."""
    codes = {HTTPStatus.BAD_REQUEST: "bad_request", HTTPStatus.FORBIDDEN: "csrf_failed"}
    return _said(error.status_code, codes.get(HTTPStatus(error.status_code), "refused"), str(error))


def _not_found(error: Exception) -> Said:
    return _said(HTTPStatus.NOT_FOUND, "not_found", str(error) or "There is no such thing.")


def _unknown_pipeline(error: UnknownPipeline) -> Said:
    return _said(HTTPStatus.NOT_FOUND, "unknown_pipeline", str(error), known=error.known)


def _not_a_side(error: NotASide) -> Said:
    return _said(HTTPStatus.NOT_FOUND, "not_found", str(error), side=error.side)


def _invalid(error: InvalidInput) -> Said:
    return _said(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input", str(error), errors=error.errors)


def _malformed(error: ValidationError) -> Said:
    errors: dict[str, list[str]] = {}
    for one in error.errors:
        errors.setdefault(_path(one["loc"]), []).append(one["msg"])
    return _invalid(InvalidInput(errors, "the call"))


def _path(loc: tuple[Any, ...]) -> str:
    """Dotted, without the part of the request and the name of our own parameter that ninja puts in front."""
    parts = [str(part) for part in loc]
    if parts and parts[0] in _PARTS:
        parts = parts[1:]
    if parts and parts[0] in _WRAPPERS:
        parts = parts[1:]
    return ".".join(parts)


# How the functions of the API call a whole body and a whole query.
_WRAPPERS = ("sent", "filters")


def _already_resolved(error: AlreadyResolved) -> Said:
    return _said(HTTPStatus.CONFLICT, error.code, str(error), resolution=resolution_of(error.resolution))


def _refused(error: Refused) -> Said:
    return _said(HTTPStatus.CONFLICT, error.code, str(error))


def _stale(error: StaleProposal) -> Said:
    current = error.current
    return _said(
        HTTPStatus.PRECONDITION_FAILED,
        error.code,
        str(error),
        seen=error.seen.number if error.seen else None,
        current={"version": current.number, "digest": current.digest, "by": current.by_name, "at": current.created_at},
        changes=[{"field": field, "seen": seen, "current": now} for field, seen, now in error.changes],
    )


def _pipeline_gone(error: PipelineGone) -> Said:
    return _said(HTTPStatus.CONFLICT, "pipeline_gone", str(error))


def _not_acted_on(error: NotActedOn) -> Said:
    return _said(HTTPStatus.CONFLICT, error.code, str(error))


def _other_version(error: OtherVersion) -> Said:
    return _said(HTTPStatus.CONFLICT, error.code, str(error), seen=error.seen, current=error.current)


def said_of(error: RecoveryError) -> dict[str, Any]:
    """The body that answers to a refusal, for one of several."""
    for kind, say in _ANSWERS.items():
        if isinstance(error, kind):
            status, body = say(error)
            return {"status": int(status), **body}
    raise error


_ANSWERS: dict[type[Exception], Callable[[Any], Said]] = {
    AuthenticationError: _not_signed_in,
    AuthorizationError: _not_allowed,
    HttpError: _http,
    Http404: _not_found,
    ObjectDoesNotExist: _not_found,
    ValidationError: _malformed,
    InvalidInput: _invalid,
    NotASide: _not_a_side,
    UnknownPipeline: _unknown_pipeline,
    NotAllowed: _not_allowed,
    AlreadyResolved: _already_resolved,
    NotWaiting: _refused,
    Held: _refused,
    OneByOne: _refused,
    NotUndoable: _refused,
    StaleProposal: _stale,
    PipelineGone: _pipeline_gone,
    NotPermitted: _not_allowed,
    OtherVersion: _other_version,
    NotActedOn: _not_acted_on,
}
