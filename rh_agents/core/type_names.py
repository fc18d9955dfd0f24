"""Classes by name: how a saved text names a class, and how it is found again among those that are loaded.

Nothing is imported and no `__getattr__` is asked: a text can only name what this process has loaded already.
"""

import sys
import types
import typing
from functools import reduce
from operator import or_
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel

from rh_agents.core.coding import Refused, text_of, type_label

C = TypeVar("C", bound=type)

_registered: WeakValueDictionary[str, type] = WeakValueDictionary()


def register_type(cls: C) -> C:
    """Make a class known that no module holds by its name, such as one made inside a function. A decorator too.

    The latest class of a name is the one that is found, for as long as something else keeps it alive.
    """
    _registered[class_name(cls)] = cls
    return cls


def class_name(cls: type) -> str:
    """`shop.models:Refund`."""
    return f"{cls.__module__}:{cls.__qualname__}"


def find_class(name: str) -> type:
    """The class of that name.

    Raises:
        Refused: it is not loaded, or the name means something else.
    """
    module_name, colon, qualname = name.partition(":")
    if not colon or not module_name or not qualname:
        raise Refused(f"{name!r} does not name a class as 'module:name'")
    found = _walk(module_name, qualname)
    if found is None:
        found = _registered.get(name)
    if found is None:
        raise Refused(f"the class {name} is not loaded here; import the module that has it, or register_type() it")
    return found


def class_ref(cls: type) -> Any:
    """How a text names `cls`: its name, or for `Box[int]` the name of `Box` and what it was filled with."""
    generic = cls.__pydantic_generic_metadata__["origin"] if issubclass(cls, BaseModel) else None
    if generic is not None:
        args = cls.__pydantic_generic_metadata__["args"]  # type: ignore[attr-defined]
        ref = {"of": class_ref(generic), "args": [_type_ref(arg) for arg in args]}
        if resolve(ref) is not cls:
            raise Refused(f"{type_label(cls)} cannot be named: filling its generic class again gives another class")
        return ref
    name = class_name(cls)
    if _walk(*name.split(":", 1)) is not cls:
        register_type(cls)
    return name


def is_registered(ref: Any) -> bool:
    """Whether `ref` names a class that no module holds."""
    return isinstance(ref, str) and ref in _registered


def resolve(ref: Any) -> type:
    """The class that `class_ref` named."""
    if isinstance(ref, str):
        return find_class(ref)
    filled = _resolve_type(ref)
    if not isinstance(filled, type):
        raise Refused(f"{ref!r} is no class")
    return filled


def ref_label(ref: Any) -> str:
    """A class reference as people read it: `shop.models:Box[int]`. Never raises."""
    if isinstance(ref, str):
        return ref.removeprefix("builtins:")
    if isinstance(ref, dict) and isinstance(ref.get("args"), list):
        args = [ref_label(arg) for arg in ref["args"]]
        return " | ".join(args) if ref.get("of") == "union" else f"{ref_label(ref.get('of'))}[{', '.join(args)}]"
    return "None" if ref is None else str(ref)


def _walk(module_name: str, qualname: str) -> type | None:
    module = sys.modules.get(module_name)
    if not issubclass(type(module), types.ModuleType):
        return None
    # Past any __getattribute__: a lazily loaded module would import itself on an ordinary look.
    names: Any = object.__getattribute__(module, "__dict__")
    found: Any = None
    for part in qualname.split("."):
        found = names.get(part)
        if not issubclass(type(found), type):
            return None
        names = type.__getattribute__(found, "__dict__")
    return found if isinstance(found, type) else None


def _type_ref(arg: Any) -> Any:
    """A type argument: `None`, a class, `list[int]`, a union or a literal."""
    if arg is None or arg is types.NoneType:
        return None
    origin, args = typing.get_origin(arg), typing.get_args(arg)
    if origin is None and isinstance(arg, type):
        return class_ref(arg)
    if origin is Literal and all(type(value) in (str, int, bool) for value in args):
        return {"of": "literal", "args": list(args)}
    if origin is typing.Union or origin is types.UnionType:
        return {"of": "union", "args": [_type_ref(part) for part in args]}
    if isinstance(origin, type):
        return {"of": class_ref(origin), "args": ["..." if part is ... else _type_ref(part) for part in args]}
    raise Refused(f"a class filled with {arg!r} cannot be named")


def _resolve_type(ref: Any) -> Any:
    if ref is None:
        return types.NoneType
    if isinstance(ref, str):
        return ... if ref == "..." else find_class(ref)
    if not isinstance(ref, dict) or ref.keys() != {"of", "args"} or not isinstance(ref["args"], list):
        raise Refused(f"{ref!r} does not name a class")
    if ref["of"] == "literal":
        return Literal[tuple(ref["args"])]
    args = tuple(_resolve_type(arg) for arg in ref["args"])
    if ref["of"] == "union":
        return reduce(or_, args)
    origin: Any = find_class(text_of(ref, "of"))
    if issubclass(origin, BaseModel):
        if not origin.__pydantic_generic_metadata__["parameters"]:
            raise Refused(f"{type_label(origin)} is no generic class")
        return origin[args]
    return types.GenericAlias(origin, args)
