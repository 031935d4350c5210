"""Lean doubles of the models of the contract: what a double takes its model takes, and with the same fields, for half.

A double is made from its model, never written by hand. It may refuse what the model takes (a time in an unusual form,
an unknown extension): whoever reads with it asks the model then, whose word is the last. Times stay text.
"""

from collections.abc import Collection, Iterator
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

from schemas.envelope import Correlation, Foreign
from schemas.text import Text, Timestamp

# The forms in which nearly all times come, and all of our own: UTC; no fraction, milliseconds or microseconds; years
# 2000 to 9998. The 29th of February is left to the model.
_MOMENT: Final = (
    r"\A(?:[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{3}(?:[0-9]{3})?)?Z\Z"
)

# What these make of a value before or after it is looked at concerns only values that a double refuses.
_HARMLESS: Final = frozenset(
    part.func
    for alias in (Correlation, Foreign, Timestamp)
    for part in get_args(alias)
    if isinstance(part, (BeforeValidator, AfterValidator))
)
# NUL, which no text of the contract may have, is looked for in the record's bytes: JSON can write it in one way only.
_WITHOUT_NUL: Final = next(part.pattern for part in get_args(Text) if isinstance(part, StringConstraints))
_NUL: Final = rb"\u0000"

_BOUNDS: Final = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt", MinLen: "min_length", MaxLen: "max_length"}


class NoTwin(TypeError):
    """The model says something that a double would not hold to; this file is to be taught it."""


class Unlike(ValueError):
    """The double does not take the record; the model may."""


class Twin:
    """Reads the JSON of one model.

    Args:
        model: of the contract; nested ones are doubled with it.
        raw: nested models that stay the bytes they came as, unread: a field of them is a `msgspec.Raw`. They are only
            known to fit once a double of their own has read them.

    Raises:
        NoTwin: the model has a kind of field or check that this file does not know.
    """

    def __init__(self, model: type[BaseModel], *, raw: Collection[type[BaseModel]] = ()) -> None:
        made: dict[type[BaseModel], Any] = dict.fromkeys(raw, msgspec.Raw)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_double(model, made))

    def read(self, value: bytes) -> Any:  # noqa: ANN401 -- has the model's fields, and stands for it
        """An object with the model's fields, times as text.

        Raises:
            Unlike: ask the model.
        """
        if _NUL in value:
            raise Unlike
        try:
            return self._decoder.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unlike from error


def _double(model: type[BaseModel], made: dict[type[BaseModel], Any]) -> Any:  # noqa: ANN401 -- a type made at run time
    if model in made:
        return made[model]
    decorators = model.__pydantic_decorators__
    if decorators.field_validators or decorators.validators or decorators.root_validators:
        raise NoTwin(f"{model.__name__} has validators of single fields")
    if any(check.info.mode != "after" for check in decorators.model_validators.values()):
        raise NoTwin(f"{model.__name__} has validators that run before")
    checks = tuple(getattr(model, name) for name in decorators.model_validators)

    def checked(self: object) -> None:
        for check in checks:
            check(self)

    made[model] = msgspec.defstruct(
        model.__name__,
        [_field(name, field, made) for name, field in model.model_fields.items()],
        namespace={"__post_init__": checked} if checks else None,
        # An unknown field is refused in any case: of what it passes by, msgspec does not check that it is UTF-8.
        forbid_unknown_fields=True,
        rename={name: field.alias for name, field in model.model_fields.items() if field.alias},
        kw_only=True,
        # What is written of a double leaves out what is absent, as everything that goes to Kafka does.
        omit_defaults=True,
        # What is read out of JSON holds no circles, so the collector need not look at it.
        gc=False,
    )
    return made[model]


def _field(name: str, field: FieldInfo, made: dict[type[BaseModel], Any]) -> Any:  # noqa: ANN401 -- as defstruct takes
    form = _form(field.annotation, field.metadata, made)
    if field.is_required():
        return name, form
    if field.default_factory is not None:
        return name, form, msgspec.field(default_factory=field.default_factory)  # type: ignore[arg-type] # takes nothing
    return name, form, field.default


def _form(kind: Any, metadata: list[Any], made: dict[type[BaseModel], Any]) -> Any:  # noqa: ANN401 -- types at run time
    if get_origin(kind) is Annotated:
        return _form(get_args(kind)[0], [*get_args(kind)[1:], *metadata], made)
    if get_origin(kind) in (Union, UnionType):
        # Bounds of a union are bounds of its one member that is not null.
        return Union[tuple(_form(k, [] if k is NoneType else metadata, made) for k in get_args(kind))]  # noqa: UP007
    bounds = dict(_bounds(metadata))
    if get_origin(kind) is list:
        form: Any = list[_form(get_args(kind)[0], [], made)]  # type: ignore[misc] # made at run time
    elif get_origin(kind) is dict:
        key, value = get_args(kind)
        form = dict[_form(key, [], made), _form(value, [], made)]  # type: ignore[misc] # made at run time
    elif kind is AwareDatetime:
        return Annotated[str, msgspec.Meta(pattern=_MOMENT)]
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        form = _double(kind, made)
    elif get_origin(kind) is Literal or kind in (str, int, bool, UUID, NoneType) or _is_enum(kind):
        form = kind
    else:
        raise NoTwin(f"no double of {kind}")
    return Annotated[form, msgspec.Meta(**bounds)] if bounds else form


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _bounds(metadata: list[Any]) -> Iterator[tuple[str, Any]]:
    for part in metadata:
        if isinstance(part, FieldInfo):
            yield from _bounds(part.metadata)
        elif isinstance(part, StringConstraints):
            yield from _text_bounds(part)
        elif type(part) in _BOUNDS:
            name = _BOUNDS[type(part)]
            yield name, getattr(part, name)
        elif isinstance(part, (BeforeValidator, AfterValidator)) and part.func not in _HARMLESS:
            raise NoTwin(f"a validator that this file does not know: {part.func}")


def _text_bounds(text: StringConstraints) -> Iterator[tuple[str, Any]]:
    if text.strip_whitespace or text.to_lower or text.to_upper:
        raise NoTwin("a text that is changed as it is read")
    if text.min_length is not None:
        yield "min_length", text.min_length
    if text.max_length is not None:
        yield "max_length", text.max_length
    if text.pattern is not None and text.pattern != _WITHOUT_NUL:
        # In Python's dialect `$` also stands before a last line break.
        yield "pattern", rf"\A(?:{str(text.pattern).removeprefix('^').removesuffix('$')})\Z"
