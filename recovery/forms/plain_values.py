"""Forms of values that have no model: a dict has a field per key, anything else is the only field of its form."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretBytes, SecretStr, create_model

from recovery.forms.schema_form import ModelForm

_SCALARS: Final = (str, bool, int, float, Decimal, date, datetime, time, timedelta, UUID)
_OTHERS: Final = (BaseModel, Enum, PurePath, SecretStr, SecretBytes)


def form_for(
    value: Any,
    *,
    prefix: str = "form",
    editable: bool | frozenset[str] | set[str] = True,
    data: Mapping[str, Any] | None = None,
    as_json: bool = False,
) -> ModelForm[Any]:
    """The form of any value. `editable` may name the fields of a model or the keys of a dict.

    Raises:
        ValueError: `editable` names a field or key that is not there.
    """
    if isinstance(value, BaseModel):
        return ModelForm(type(value), value, prefix=prefix, editable=editable, data=data, as_json=as_json)
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return _DictForm(value, prefix=prefix, editable=editable, data=data, as_json=as_json)
    return _RootForm(value, prefix=prefix, editable=bool(editable), data=data, as_json=as_json)


class _RootForm(ModelForm[Any]):
    """The form of one value; its only field has the empty path."""

    def __init__(
        self, value: Any, *, prefix: str, editable: bool, data: Mapping[str, Any] | None, as_json: bool
    ) -> None:
        base: Any = RootModel
        model: type[RootModel[Any]] = create_model("value", __base__=base[_annotation_of(value)])
        super().__init__(
            model, model.model_construct(root=value), prefix=prefix, editable=editable, data=data, as_json=as_json
        )

    @property
    def value(self) -> Any:
        return super().value.root

    @property
    def draft(self) -> Any:
        return super().draft.root


class _DictForm(ModelForm[Any]):
    """The form of a dict with texts as keys; `value` is a dict again, in the same order."""

    def __init__(
        self,
        value: dict[str, Any],
        *,
        prefix: str,
        editable: bool | frozenset[str] | set[str],
        data: Mapping[str, Any] | None,
        as_json: bool,
    ) -> None:
        if not isinstance(editable, bool) and (unknown := set(editable) - set(value)):
            raise ValueError(f"the proposal has no {', '.join(sorted(unknown))}")
        self._names = {key: key if _is_name(key) else f"key_{place}" for place, key in enumerate(value)}
        fields: dict[str, Any] = {
            self._names[key]: (_annotation_of(item), Field(title=key)) for key, item in value.items()
        }
        model = create_model("value", __config__=ConfigDict(arbitrary_types_allowed=True), **fields)
        initial = model.model_construct(**{self._names[key]: item for key, item in value.items()})
        if not isinstance(editable, bool):
            editable = {self._names[key] for key in editable}
        super().__init__(model, initial, prefix=prefix, editable=editable, data=data, as_json=as_json)

    @property
    def value(self) -> Any:
        return self._as_dict(super().value)

    @property
    def draft(self) -> Any:
        return self._as_dict(super().draft)

    def _as_dict(self, model: BaseModel) -> dict[str, Any]:
        stored = vars(model)
        return {key: stored[name] for key, name in self._names.items() if name in stored}


def _is_name(key: str) -> bool:
    """Whether a model can have a field of that name, and a path can hold it."""
    return key.isidentifier() and not key.startswith(("_", "key_", "model_")) and not hasattr(BaseModel, key)


def _annotation_of(value: Any) -> Any:
    """The type of a value, with the one of its elements where they share it; `Any` is edited as JSON."""
    kind = type(value)
    if kind in _SCALARS or isinstance(value, _OTHERS):
        return kind
    if kind is dict and all(isinstance(key, str) for key in value):
        items = {_annotation_of(item) for item in value.values()}
        return dict[str, items.pop()] if len(items) == 1 and items != {Any} else Any  # type: ignore[misc]
    if kind in (list, set, frozenset):
        items = {_annotation_of(item) for item in value}
        return kind[items.pop()] if len(items) == 1 and items != {Any} else Any
    return Any
