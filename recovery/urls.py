"""Addresses of the app."""

from django.urls import URLPattern, URLResolver, path

from recovery.views import (
    acts,
    artifacts,
    compare,
    delegations,
    inbox,
    no_stream,
    notices,
    pipelines,
    proposal,
    reader,
    request_changes,
    requests,
    run_acts,
    saved_views,
    state,
    states,
    steps,
    stuck,
    together,
)

app_name = "recovery"


urlpatterns: list[URLPattern | URLResolver] = [
    path("", inbox.inbox, name="inbox"),
    path("inbox/new/", inbox.inbox_news, name="inbox_news"),
    path("inbox/options/", saved_views.inbox_options, name="inbox_options"),
    path("inbox/views/", saved_views.save_view, name="save_view"),
    path("inbox/views/<int:pk>/delete/", saved_views.delete_view, name="delete_view"),
    path("inbox/together/", together.decide_together, name="together"),
    path("next/", inbox.next_request, name="next"),
    path("requests/<uuid:pk>/", requests.show_request, name="request"),
    path("requests/<uuid:pk>/decide/", requests.decide_request, name="decide"),
    path("requests/<uuid:pk>/undo/", acts.undo_decision, name="undo"),
    path("requests/<uuid:pk>/act/", acts.act_on_request, name="act"),
    path("requests/<uuid:pk>/comment/", acts.comment_on_request, name="comment"),
    path("requests/<uuid:pk>/changes/", request_changes.request_changes, name="request_changes"),
    path("requests/<uuid:pk>/proposal/", proposal.show_proposal, name="proposal"),
    path("requests/<uuid:pk>/proposal/download/", proposal.download_proposal, name="proposal_download"),
    path("requests/<uuid:pk>/progress/", requests.show_progress, name="progress"),
    path("states/", states.show_states, name="states"),
    path("states/<uuid:pk>/", state.show_state, name="state"),
    path("states/<uuid:pk>/news/", state.state_news, name="state_news"),
    path("states/<uuid:pk>/steps/<int:position>/", steps.show_step, name="step"),
    path("states/<uuid:pk>/storage/<int:entry_id>/", steps.show_storage_entry, name="storage_entry"),
    path("states/<uuid:pk>/artifacts/<str:artifact_id>/", artifacts.show_artifact, name="artifact"),
    path(
        "states/<uuid:pk>/artifacts/<str:artifact_id>/download/", artifacts.download_artifact, name="artifact_download"
    ),
    path("delegations/", delegations.show_delegations, name="delegations"),
    path("delegations/<int:pk>/revoke/", delegations.revoke_delegation, name="revoke_delegation"),
    path("states/<uuid:pk>/retry/", run_acts.retry_run, name="retry"),
    path("states/<uuid:pk>/accept-version/", run_acts.accept_run_version, name="accept_version"),
    path("states/<uuid:pk>/cancel/", run_acts.cancel_one_run, name="cancel"),
    path("live/", no_stream.no_stream, name="live"),
    path("notices/", notices.show_notices, name="notices"),
    path("notices/bell/", notices.show_bell, name="bell"),
    path("notices/read/", notices.mark_read, name="read_notices"),
    path("settings/", reader.show_settings, name="settings"),
    path("settings/zone/", reader.answer_zone, name="answer_zone"),
    path("stuck/", stuck.show_stuck, name="stuck"),
    path("compare/", compare.compare, name="compare"),
    path("pipelines/", pipelines.show_pipelines, name="pipelines"),
    path("pipelines/<path:name>/", pipelines.show_pipeline, name="pipeline"),
]
