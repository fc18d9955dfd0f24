"""Typed forms made from pydantic models: rendered, bound to a POST, and given back as a validated instance.

    form = ModelForm(Refund, initial=proposal, prefix="proposal", editable=frozenset({"amount"}), data=request.POST)

    form.action                 # "add items", "remove items.2", "reset amount", "set home", "show shape", "check", ""
    form.is_valid()             # False while there is an `action`
    form.value                  # the validated instance; equal to `initial`, types included, when nothing was edited
    form.is_edited, form.changes                    # [Change(path, label, old, new)] against `initial`
    form.errors, form.non_field_errors              # {"items.2.amount": ["..."]}, ["..."]
    form.invalid_fields                             # the nodes that have errors: .path .id .label .errors, for links
    form.draft                                      # the value as entered so far, not validated: for `call_lines`

In a view, in this order:

    form = ModelForm(..., data=request.POST)
    if form.action or not form.is_valid():
        return render(..., status=200 if form.action else 422)     # nothing is decided
    decide(..., payload=form.value)

In a template, inside of a `<form method="post">` that has the CSRF token and the deciding buttons:

    {% include "recovery/_model_form.html" with form=form only %}

and what will run: `call_lines(action, form.draft, initial=proposal, errors=form.errors)`.

`editable` is `True`, `False` or the names of top-level fields. Everything else, and what the model calls frozen, is
shown fixed, has no control and is never read from `data`. `initial` may be a plain dict, also one that is not
complete; without it the form is blank, or shows the defaults. `form_for(proposal, ...)` is the form of any proposal:
of a model the same as above, of a dict or another plain value one whose `value` is of that same type.

Buttons that add and remove rows, undo an edit or switch a variant are submit buttons of the same form: they come back
as `action`, and so does Enter in a text field ("check": shows what is wrong and what would run, decides nothing).

Everything the browser may send is looked up by the names that the model gives; a key that no control has is never
read. A list or group that would need more keys than a request may have (`DATA_UPLOAD_MAX_NUMBER_FIELDS`), has more than
1 000 rows or stands more than 12 levels deep is one JSON text instead, or fixed where it holds models.
"""

from recovery.forms.fields import Change
from recovery.forms.plain_values import form_for
from recovery.forms.schema_form import ModelForm

__all__ = ["Change", "ModelForm", "form_for"]
