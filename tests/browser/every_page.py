"""One of everything, and the address of every page of the product: for whoever has to look at all of them. As addresses
of a test (`ROOT_URLCONF`) it adds pages that fail in each of the ways there are."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.views.csrf import csrf_failure
from django.views.decorators.csrf import requires_csrf_token

from recovery.models import (
    ApprovalRequest,
    AutoRule,
    Notice,
    PipelinePolicy,
    Reader,
    RequestDecider,
    Risk,
    State,
)
from recovery.services.decide import decide
from recovery.services.delegations import give
from recovery.services.start_run import start_run
from recovery.services.work import work_on_state
from rhdashboard.urls import urlpatterns as real
from tests.recovery.stuck_runs import stuck
from tests.web import order_pipeline  # noqa: F401  registers its pipeline
from tests.web.runs import Told, failed_refund
from tests.web.waiting import ask, settle

# Named addresses that answer with a redirect, a part of another page, a file, or to a POST only.
NO_PAGES = {
    "next",
    "inbox_news",
    "decide",
    "undo",
    "act",
    "comment",
    "progress",
    "state_news",
    "artifact_download",
    "revoke_delegation",
    "retry",
    "accept_version",
    "cancel",
    "answer_zone",
    "live",
    "together",
    "save_view",
    "delete_view",
    "request_changes",
    "proposal_download",
    "bell",
    "read_notices",
    "logout",
}


def _broken(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("on purpose")


def _forbidden(_request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def _senseless(_request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation("on purpose")


urlpatterns = [
    path("fails/400/", _senseless),
    path("fails/403/", _forbidden),
    path("fails/csrf/", requires_csrf_token(csrf_failure)),
    path("fails/500/", _broken),
    *real,
]


def one_of_everything(viewer: User, other: User, work: Callable[[Any], None] = work_on_state) -> dict[str, str]:
    """What to call each page, and its address. `viewer` is an admin who decides; `other` decides too; `work` takes a
    run as far as it goes."""
    now = timezone.now()
    Group.objects.create(name="Finance").user_set.add(viewer)
    ask("Held and due", risk=Risk.CRITICAL, tags=["eu", "vip"], due=now - timedelta(minutes=5), holder=other)
    ask("Escalated and soon over", risk=Risk.HIGH, expires_at=now + timedelta(minutes=40), escalated_at=now)
    decided = settle(ask("Refund 80 for A-3?"), other)
    nobody = ask("Only who is gone may decide", open_to_all=False)
    RequestDecider.objects.create(request=nobody, username="gone")
    told = failed_refund()
    before = Told("Refund for order SE-204416").step("draft::llm_call", 0, 1, result={"a": 1}).save(1, "completed")
    stuck("Import of July")
    stuck("Another version", status="blocked", error="The pipeline is version 2", version="0")
    waiting = _waiting_run("test-refund", work)
    voted = _waiting_run("test-order", work)
    ApprovalRequest.objects.filter(pk=voted.pk).update(policy={**voted.policy, "needed": 2})
    decide(voted.pk, by=other, kind="approve", comment="Fine with me, @ada.")
    decide(voted.pk, by=other, kind="comment", comment="Is the price still right?")
    give(giver=viewer, taker=other, starts_at=now, ends_at=now + timedelta(days=7), reason="Leave")
    give(giver=other, taker=viewer, starts_at=now + timedelta(days=1), ends_at=now + timedelta(days=2))
    Reader.objects.create(user=viewer, time_zone="Europe/Berlin", unread=2)
    for number, kind in enumerate(Notice.Kind.values):
        Notice.objects.create(
            person=viewer,
            kind=kind,
            request=None if kind == "handed_over" else waiting,
            by_name=other.get_full_name() or other.username,
            words="Is the amount right?",
            source=f"audit:{number}",
            created_at=now - timedelta(hours=number),
            read_at=now if number > 1 else None,
        )
    PipelinePolicy.objects.create(pipeline="test-refund", rules={"needed": 2, "from_groups": {"Finance": 1}})
    AutoRule.objects.create(
        name="Small refunds",
        pipeline="test-refund",
        conditions=[{"path": "amount", "is": "below", "value": 50}],
        starts_at=now,
        ends_at=now + timedelta(days=30),
        max_uses=100,
    )
    state = told.state
    of_state = f"/states/{state.pk}/"
    artifact = state.artifact_refs.first()
    position = state.events.filter(result__gt="").first()
    return {
        "inbox": "/",
        "inbox, all open": "/?tab=open",
        "inbox, decided": "/?tab=decided",
        "inbox, nothing found": "/?text=nothing&risk=purple",
        "inbox, a request beside it": f"/?request={waiting.pk}",
        "inbox_options": "/inbox/options/",
        "request": f"/requests/{waiting.pk}/",
        "request with votes": f"/requests/{voted.pk}/",
        "request decided": f"/requests/{decided.pk}/",
        "proposal": f"/requests/{waiting.pk}/proposal/",
        "request nobody may decide": f"/requests/{nobody.pk}/",
        "states": "/states/",
        "states, nothing found": "/states/?text=nothing",
        **{f"state, {tab}": f"{of_state}?tab={tab}" for tab in _TABS},
        "state at a checkpoint": f"{of_state}?checkpoint=2",
        "state that waits": f"/states/{waiting.state_id}/",
        "step": f"{of_state}steps/{position.position}/",
        "artifact": f"{of_state}artifacts/{artifact.artifact_id}/",
        "storage_entry": f"{of_state}storage/{state.storage_entries.first().pk}/",
        "compare, choose": "/compare/",
        "compare": f"/compare/?left={before.state_id}&right={state.pk}",
        "pipelines": "/pipelines/",
        "pipeline": "/pipelines/test-refund/",
        "stuck": "/stuck/",
        "delegations": "/delegations/",
        "settings": "/settings/",
        "notices": "/notices/",
        "password_change": "/accounts/password_change/",
        "password_change_done": "/accounts/password_change/done/",
        "login": "/accounts/login/?next=/stuck/",
        "error 400": "/fails/400/",
        "error 403": "/fails/403/",
        "error 403, old form": "/fails/csrf/",
        "error 404": "/no/such/page/",
        "error 500": "/fails/500/",
        **_of_admin(state),
    }


_TABS = ("timeline", "storage", "artifacts", "checkpoints", "requests", "audit")


def _waiting_run(pipeline: str, work: Callable[[Any], None]) -> ApprovalRequest:
    state = start_run(pipeline, {"order": "A-17", "amount": "420.00"})
    work(state.pk)
    return ApprovalRequest.objects.get(state=state, resolved_at=None)


def _of_admin(state: State) -> dict[str, str]:
    pages = {"admin": "/admin/", "admin, app": "/admin/recovery/"}
    for model, its in admin.site._registry.items():
        name, base = model._meta.model_name, f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        pages[f"admin, {name} list"] = base
        one: Any = model._default_manager.order_by("pk").first()
        if one is not None:
            pages[f"admin, {name}"] = f"{base}{one.pk}/change/"
        if name in ("pipelinepolicy", "autorule", "user", "group") and its is not None:
            pages[f"admin, new {name}"] = f"{base}add/"
    pages["admin, delete state"] = f"/admin/recovery/state/{state.pk}/delete/"
    pages["admin, history"] = "/admin/recovery/pipelinepolicy/1/history/"
    return pages
