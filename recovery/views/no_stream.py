"""Where the event streams are, as a server answers that has none: nothing is wrong, and pages poll."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def no_stream(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)
