"""Reading JSON from strangers: pydantic does it, and its problems are reworded without the values."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dora_metrics.core import windows
from dora_metrics.errors import EventError
from dora_metrics.github import text


def _time(value: object) -> object:
    try:
        return windows.instant(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("a time such as 2026-11-21T12:00:00Z") from None


def _moment(value: object) -> datetime | None:
    """A time as a text or in seconds since 1970; None where it is neither."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return windows.instant(datetime.fromtimestamp(value, UTC).isoformat())
        return windows.instant(value if isinstance(value, str) else "")
    except (ValueError, OverflowError, OSError):
        return None


Text = Annotated[str, BeforeValidator(text.clean)]
Number = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Flag = Annotated[bool, Field(strict=True)]
Time = Annotated[datetime, BeforeValidator(_time)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]


class Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _missing_as_null(cls, data: object) -> object:
        """A required field that is missing fails by its type, so that the problem says what was expected."""
        if not isinstance(data, Mapping):
            return data
        return {**{name: None for name, field in cls.model_fields.items() if field.is_required()}, **data}


Model = TypeVar("Model", bound=Payload)


def read(model: type[Model], payload: Mapping[str, object], place: str = "") -> Model:
    """The payload as `model`; `place` is where it was found, as in `client_payload.`.

    Raises:
        EventError: with every field that is wrong, what was expected there, and what is there instead.
    """
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    raise EventError(
        [place + _worded(payload, detail["loc"], detail["type"], detail.get("ctx", {})) for detail in details]
    )


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "greater_than_equal": "a whole number of 0 or more",
    "less_than": "a smaller number",
    "bool_type": "true or false",
    "model_type": "an object",
    "string_too_short": "a text that is not empty",
    "dict_type": "an object",
    "tuple_type": "a list",
}


def _worded(payload: object, place: Sequence[str | int], problem: str, context: Mapping[str, object]) -> str:
    match problem:
        case "value_error":
            expected = str(context["error"])
        case "literal_error":
            expected = "one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
        case _:
            expected = _EXPECTED.get(problem, "something else")
    return f"{'.'.join(map(str, place))}: expected {expected}, {_found(payload, place)}"


def _found(payload: object, place: Sequence[str | int]) -> str:
    """What stands at a place, by its type: values may be anything, and are nobody's business."""
    for step in place:
        match payload:
            case Mapping() if step in payload:
                payload = payload[step]
            case list() if isinstance(step, int):
                payload = payload[step]
            case _:
                return "it is missing"
    return f"it is {_KINDS.get(type(payload), 'something else')}"


_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "another number",
    float: "another number",
    str: "another text",
    list: "a list",
    dict: "an object",
}
