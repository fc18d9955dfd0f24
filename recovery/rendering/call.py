"""What will run, written out line by line: every argument whole, nothing shortened, nothing that only looks alike."""

import dataclasses
import keyword
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, RootModel, SecretBytes, SecretStr

from recovery.languages import lazy as _
from recovery.rendering.literals import quoted, scalar_literal

INDENT: Final = "  "
INLINE_LENGTH: Final = 110
# So many lines are read at a glance; of a longer run, what leads into it and out of it stays.
LONGEST_UNFOLDED: Final = 24
LINES_AROUND: Final = 3


@dataclass(frozen=True, slots=True)
class CallLine:
    """One line of the call. `is_edited`: it differs from what the run proposed; `is_invalid`: an error stands here."""

    text: str
    is_edited: bool = False
    is_invalid: bool = False


@dataclass(frozen=True, slots=True)
class CallBlock:
    """Lines that stand together; folded ones are nothing that anybody edited."""

    lines: list[CallLine]
    is_folded: bool = False


class _Mark(Enum):
    UNKNOWN = _("there is nothing to compare with")
    NEW = _("the initial value has nothing here")


class _Part(NamedTuple):
    head: str
    key: str
    value: Any
    old: Any


def call_lines(
    action: str, value: Any, *, initial: Any = None, errors: Mapping[str, Any] | Collection[str] = ()
) -> list[CallLine]:
    """The call `action(...)` with the fields of `value` (a model, a dict, any other value) as its arguments.

    `initial` is what the run proposed (`None`: mark nothing as edited). `errors` are dotted paths as in
    `ModelForm.errors`, such as `items.2.amount` or, in a dict, `prices.0.value`.
    """
    writer = _Writer(frozenset(errors))
    old = _Mark.UNKNOWN if initial is None else initial
    name = action or (type(value).__name__ if isinstance(value, BaseModel) else "run")
    if value is None:
        return [CallLine(f"{name}()")]
    parts = _arguments(value, old)
    if not parts:
        return [CallLine(f"{name}()")]
    lines = [CallLine(f"{name}(")]
    for part in parts:
        lines.extend(writer.lines(part, "", 1))
    return [*lines, CallLine(")")]


def blocks(call: Sequence[CallLine]) -> list[CallBlock]:
    """A long call with its long runs of untouched lines folded."""
    found: list[CallBlock] = []
    shown: list[CallLine] = []
    for is_touched, group in groupby(call, lambda line: line.is_edited or line.is_invalid):
        run = list(group)
        if is_touched or len(run) <= LONGEST_UNFOLDED:
            shown += run
            continue
        found.append(CallBlock([*shown, *run[:LINES_AROUND]]))
        found.append(CallBlock(run[LINES_AROUND:-LINES_AROUND], is_folded=True))
        shown = run[-LINES_AROUND:]
    return [*found, CallBlock(shown)]


def literal(value: Any) -> str:
    """The value on one line, as in `Decimal("1180.00")` or `Address(city = "Lund")`."""
    return _Writer(frozenset()).inline(value)


def _split(text: str) -> list[str]:
    """Its lines, with their ends; at "\\n" alone, unlike `splitlines`."""
    *lines, rest = text.split("\n")
    return [*(f"{line}\n" for line in lines), *([rest] if rest else [])]


def _arguments(value: Any, old: Any) -> list[_Part]:
    if isinstance(value, dict):
        parts = [part._replace(key=str(key)) for part, key in zip(_dict_parts(value, old), value, strict=True)]
        if all(isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value):
            return [part._replace(head=f"{part.key} = ") for part in parts]
        return parts
    fields = _fields(value)
    return [_Part("", "", value, old)] if fields is None else _field_parts(fields, old, value)


def _fields(value: Any) -> dict[str, Any] | None:
    """Name to value, for whatever is built by naming its parts."""
    if isinstance(value, RootModel):
        return {"": value.root}
    if isinstance(value, BaseModel):
        stored = value.__dict__
        named = {name: stored[name] for name in type(value).model_fields if name in stored}
        return {**named, **(value.__pydantic_extra__ or {})}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    return None


def _field_parts(fields: dict[str, Any], old: Any, value: Any) -> list[_Part]:
    before = old if isinstance(old, _Mark) else _fields(old) if type(old) is type(value) else _Mark.NEW
    return [
        _Part(f"{name} = " if name else "", name, field, _old_under(before, name)) for name, field in fields.items()
    ]


def _dict_parts(value: dict[Any, Any], old: Any) -> list[_Part]:
    before = old if isinstance(old, _Mark) or type(old) is type(value) else _Mark.NEW
    return [
        _Part(f"{literal(key)}: ", f"{place}.value", item, _old_under(before, key))
        for place, (key, item) in enumerate(value.items())
    ]


def _old_under(before: Any, key: Any) -> Any:
    return before if isinstance(before, _Mark) else before.get(key, _Mark.NEW)


def _item_parts(items: Sequence[Any], before: Sequence[Any] | _Mark) -> list[_Part]:
    """Elements beside the ones they came from: by place, or from both ends inwards when their number changed."""
    olds: list[Any]
    if isinstance(before, _Mark):
        olds = [before] * len(items)
    elif len(before) == len(items):
        olds = list(before)
    else:
        shorter = min(len(before), len(items))
        front = next((i for i in range(shorter) if not _is_same(items[i], before[i])), shorter)
        left = shorter - front
        back = next((i for i in range(left) if not _is_same(items[-1 - i], before[-1 - i])), left)
        olds = [*before[:front], *[_Mark.NEW] * (len(items) - front - back), *before[len(before) - back :]]
    return [_Part("", str(place), item, old) for place, (item, old) in enumerate(zip(items, olds, strict=True))]


def _elements(value: Any) -> tuple[str, str, Sequence[Any]] | None:
    """Opening, closing and the elements in a stable order, for lists and their like."""
    if isinstance(value, list):
        return ("[", "]", value) if type(value) is list else (f"{type(value).__name__}([", "])", value)
    if isinstance(value, tuple):
        return "(", ",)" if len(value) == 1 else ")", value
    if isinstance(value, set | frozenset):
        items = sorted(value, key=literal)
        return ("{", "}", items) if type(value) is set and value else (f"{type(value).__name__}([", "])", items)
    return None


def _is_same(value: Any, old: Any) -> bool:
    if value is old:
        return True
    if type(value) is not type(old):
        return False
    # Secrets look alike, also inside of something else.
    return literal(value) == literal(old) and (not isinstance(value, SecretStr | SecretBytes) or bool(value == old))


class _Writer:
    """Writes values as lines; knows where the errors stand, and which containers it is inside of."""

    def __init__(self, errors: frozenset[str]) -> None:
        self.errors = errors
        self.around_errors = {error[:place] for error in errors for place, char in enumerate(error) if char == "."}
        self.inside: set[int] = set()

    def inline(self, value: Any) -> str:
        if id(value) in self.inside:
            return f"<{type(value).__name__} that contains itself>"
        opening, closing, parts, _ = self._open(value, _Mark.UNKNOWN)
        if parts is None:
            return " ".join(scalar_literal(value).split("\n"))
        self.inside.add(id(value))
        try:
            return opening + ", ".join(part.head + self.inline(part.value) for part in parts) + closing
        finally:
            self.inside.discard(id(value))

    def lines(self, part: _Part, parent: str, depth: int) -> Iterator[CallLine]:
        path = f"{parent}.{part.key}" if parent and part.key else part.key or parent
        if id(part.value) in self.inside:
            yield self._line(f"{part.head}<{type(part.value).__name__} that contains itself>", depth, part, path)
            return
        self.inside.add(id(part.value))
        try:
            yield from self._value_lines(part, path, depth)
        finally:
            self.inside.discard(id(part.value))

    def _value_lines(self, part: _Part, path: str, depth: int) -> Iterator[CallLine]:
        value, old = part.value, part.old
        opening, closing, parts, resized = self._open(value, old)
        if parts is None:
            yield from self._scalar_lines(part, path, depth)
            return
        inline = self._inline(opening, closing, parts)
        edited = resized or any(self._is_edited(inner) for inner in parts)
        is_built = opening.endswith("(") and opening != "("
        # Something with names is written out where one of them was touched: the mark should say which.
        if inline is not None and not (is_built and (edited or self._is_invalid(path, with_inner=True))):
            yield CallLine(INDENT * depth + part.head + inline, edited, self._is_invalid(path, with_inner=True))
            return
        edited = resized or old is _Mark.NEW
        yield CallLine(INDENT * depth + part.head + opening, edited, self._is_invalid(path))
        for inner in parts:
            yield from self.lines(inner, path, depth + 1)
        yield CallLine(INDENT * depth + closing, old is _Mark.NEW)

    def _open(self, value: Any, old: Any) -> tuple[str, str, list[_Part] | None, bool]:
        """Opening, closing, the parts (`None`: it has none), and whether parts came, went or changed their kind."""
        known = not isinstance(old, _Mark)
        fields = _fields(value)
        if fields is not None:
            other = known and type(old) is not type(value)
            return f"{type(value).__name__}(", ")", _field_parts(fields, old, value), other
        if isinstance(value, dict):
            resized = known and (type(old) is not type(value) or bool(old.keys() - value.keys()))
            return "{", "}", _dict_parts(value, old), resized
        elements = _elements(value)
        if elements is None:
            return "", "", None, False
        opening, closing, items = elements
        before = _elements(old) if known and type(old) is type(value) else None
        resized = known and (before is None or len(before[2]) != len(items))
        olds = before[2] if before else _Mark.NEW if known else old
        return opening, closing, _item_parts(items, olds), resized

    def _inline(self, opening: str, closing: str, parts: list[_Part]) -> str | None:
        """All on one line, when it holds nothing but a few short scalars."""
        if len(parts) > INLINE_LENGTH // 3:
            return None
        pieces = []
        for part in parts:
            if self._open(part.value, part.old)[2] is not None or (isinstance(part.value, str) and "\n" in part.value):
                return None
            pieces.append(part.head + scalar_literal(part.value))
        text = opening + ", ".join(pieces) + closing
        return text if len(text) <= INLINE_LENGTH or not parts else None

    def _scalar_lines(self, part: _Part, path: str, depth: int) -> Iterator[CallLine]:
        value = part.value
        if not isinstance(value, str) or isinstance(value, Enum) or "\n" not in value[:-1]:
            first, *more = scalar_literal(value).split("\n")
            yield self._line(part.head + first, depth, part, path)
            for text in more:
                yield self._line(text, depth + 1, part, path)
            return
        before = (
            _split(part.old) if isinstance(part.old, str) else _Mark.NEW if part.old is not _Mark.UNKNOWN else part.old
        )
        invalid = self._is_invalid(path)
        yield CallLine(f"{INDENT * depth}{part.head}(", part.old is _Mark.NEW, invalid)
        for line in _item_parts(_split(value), before):
            yield CallLine(INDENT * (depth + 1) + quoted(line.value), self._is_edited(line), invalid)
        yield CallLine(f"{INDENT * depth})", part.old is _Mark.NEW, invalid)

    def _line(self, text: str, depth: int, part: _Part, path: str) -> CallLine:
        return CallLine(INDENT * depth + text, self._is_edited(part), self._is_invalid(path))

    def _is_edited(self, part: _Part) -> bool:
        if isinstance(part.old, _Mark):
            return part.old is _Mark.NEW
        return not _is_same(part.value, part.old)

    def _is_invalid(self, path: str, with_inner: bool = False) -> bool:
        return path in self.errors or (with_inner and path in self.around_errors)
