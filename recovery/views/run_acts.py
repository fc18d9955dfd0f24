"""Acts on one run, each behind a button of its page or of a request's: try it again, let it go on with another version
of its pipeline, cancel it."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from recovery.errors import InvalidInput, NotPermitted, RecoveryError
from recovery.models import State
from recovery.services.accept_version import accept_version
from recovery.services.cancel_run import cancel_run
from recovery.services.retry import retry
from recovery.views.parts import PageRequest


@login_required
@require_POST
def retry_run(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return _act(request, pk, lambda: retry(pk, by=request.user))


@login_required
@require_POST
def accept_run_version(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    version = request.POST.get("version", "")
    return _act(request, pk, lambda: accept_version(pk, version=version, by=request.user))


@login_required
@require_POST
def cancel_one_run(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    reason = request.POST.get("reason", "")
    return _act(request, pk, lambda: cancel_run(pk, by=request.user, reason=reason))


def _act(request: PageRequest, pk: uuid.UUID, act: Callable[[], Any]) -> HttpResponse:
    """Do it, and back to the page that the button was on."""
    get_object_or_404(State.objects.only("pk"), pk=pk)
    try:
        act()
    except NotPermitted as refused:
        raise PermissionDenied(str(refused)) from refused
    except InvalidInput as invalid:
        messages.warning(request, " ".join(words for named in invalid.errors.values() for words in named))
    except RecoveryError as refused:
        messages.warning(request, str(refused))
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back) if is_ours else redirect("recovery:state", pk)
