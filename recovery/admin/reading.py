"""What all read-only pages of the admin share: nothing is added or changed, and no list counts a whole table."""

import json
import uuid
from functools import cached_property, reduce
from operator import or_
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from rh_agents.core.errors import SerializationError
from rh_agents.core.serialization import to_plain

# Nobody leafs further; whoever looks for something filters.
COUNT_AT_MOST = 10_000

_SHORT_ID = 8


class CappedPaginator(Paginator):
    """Counts no further than `COUNT_AT_MOST`, so that the last page is quick too."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet, self.object_list)
        return rows.order_by()[:COUNT_AT_MOST].count()


class ReadOnlyAdmin(admin.ModelAdmin):
    """Looked at, never written: what is recorded is changed by services alone.

    `search_columns` are looked up with "contains"; an id, whole or its first eight digits, is found in `id_columns`.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    list_select_related: ClassVar[bool | tuple[str, ...]] = False
    sortable_by: ClassVar[tuple[str, ...]] = ()
    actions: Any = None
    search_columns: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        request.GET = _storable(request.GET)
        return super().changelist_view(request, extra_context)

    def get_object(self, request: Any, object_id: str, from_field: str | None = None) -> Any:
        return None if "\x00" in object_id else super().get_object(request, object_id, from_field)

    def get_search_fields(self, request: Any) -> tuple[str, ...]:
        # What Django makes of them is not used: an id is not looked for with "contains".
        return (*self.id_columns, *self.search_columns)

    def get_search_results(self, request: Any, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        text = search_term.strip().replace("\x00", "")
        if not text:
            return queryset, False
        if ids := _id_range(text):
            by_id = queryset.filter(reduce(or_, (_between(column, *ids) for column in self.id_columns), Q()))
            # Words are looked for only then: that reads every row.
            if self.id_columns and (ids[0] == ids[1] or by_id.exists()):
                return by_id, False
        return queryset.filter(self.search(text)), False

    def search(self, text: str) -> Q:
        found = Q()
        for column in self.search_columns:
            found |= Q(**{f"{column}__icontains": text})
        return found


class WrittenAdmin(ReadOnlyAdmin):
    """The few records that admins write themselves, with Django's own permissions; each change is audited."""

    def has_add_permission(self, request: Any) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


def _storable(query: Any) -> Any:
    """The query of an address without NUL, which is an error to PostgreSQL; what was nothing else is left out."""
    if not any("\x00" in value for _, values in query.lists() for value in values):
        return query
    kept = query.copy()
    for name, values in query.lists():
        texts = [text for value in values if (text := value.replace("\x00", "")) or not value]
        if texts:
            kept.setlist(name, texts)
        else:
            del kept[name]
    return kept


def _between(column: str, first: uuid.UUID, last: uuid.UUID) -> Q:
    # Not `range`: a foreign key has no such lookup.
    return Q(**{f"{column}__gte": first, f"{column}__lte": last})


def _id_range(text: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """The ids that `text` may mean, first and last: one, or all that begin with these eight digits."""
    try:
        if len(text) == _SHORT_ID:
            return uuid.UUID(f"{text}{'0' * 24}"), uuid.UUID(f"{text}{'f' * 24}")
        return uuid.UUID(text), uuid.UUID(text)
    except ValueError:
        return None


# ---- What pages show ----


def link(words: Any, name: str, *args: Any, **query: Any) -> SafeString:
    """A link to the page `name`."""
    address = reverse(name, args=args) + (f"?{urlencode(query)}" if query else "")
    return format_html('<a href="{}">{}</a>', address, words)


def rows_of(count: int, model: str, **query: Any) -> SafeString:
    """How many there are, as a link to their list."""
    return link(f"{count:,}", f"admin:recovery_{model}_changelist", **query)


def plain_text(encoded: str) -> SafeString:
    """A saved value, as indented JSON."""
    if not encoded:
        return SafeString("")
    try:
        text = json.dumps(to_plain(encoded), indent=2, ensure_ascii=False)
    except SerializationError as error:
        text = f"cannot be read: {error}"
    return preformatted(text)


def preformatted(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", text) if text else SafeString("")
