"""YAML files that people write -> checked records: prompts, rubrics, policies; for suites, mappings with their lines.

Invariants: a key occurs once in a mapping (YAML readers keep the last and say nothing); everything that is wrong with a
file is said at once, by line, dotted key, value and what is allowed.
Not covered: settings.py, which lies below and reads layers; checks across files, which callers add.
"""

import difflib
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipelines.errors import UserError

M = TypeVar("M", bound=BaseModel)
LARGEST = 1024 * 1024
"""Bytes of a file that is read as one record."""
LONGEST = 400
"""Characters that are said of one error."""


class Located(dict[Any, Any]):
    """A mapping that knows the lines of its keys."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[Any, int] = {}


class _Loader(yaml.SafeLoader):
    """YAML whose mappings know their lines, and in which a key occurs once."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Located:
    found = Located(node.start_mark.line + 1)
    own = [key_node for key_node, _ in node.value]
    loader.flatten_mapping(node)  # `<<`: what is merged in comes first, and own keys replace it
    for key_node, value_node in node.value:
        key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1
        if isinstance(key, list | dict):
            raise yaml.YAMLError(f"line {line}: a key is a text or a number")
        if key in found.lines and key_node in own:
            raise yaml.YAMLError(f"line {line}: the key `{key}` occurs twice (first in line {found.lines[key]})")
        found[key] = loader.construct_object(value_node, deep=True)
        if key_node in own:
            found.lines[key] = line
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text, its mappings `Located`. Raises yaml.YAMLError, for a key that occurs twice too."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except RecursionError as exc:
        raise yaml.YAMLError("it is nested too deeply") from exc
    except ValueError as exc:  # a date such as 2026-02-30
        raise yaml.YAMLError(str(exc)) from exc


def read_record(path: Path, model: type[M], what: str, error: type[UserError]) -> M:
    """A YAML file as a record; `what` it is, in words. Raises `error` naming the file and everything wrong in it."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise error(f"{path}: not a {what}: it is longer than {LARGEST:,} bytes.")
        loaded = parse_yaml(data.decode("utf-8-sig"))
    except FileNotFoundError as exc:
        raise error(f"{path}: there is no such {what}.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise error(f"{path}: not a {what}: not readable as UTF-8 text: {exc}") from exc
    except yaml.YAMLError as exc:
        raise error(f"{path}: not a {what}: not readable as YAML: {exc}") from exc
    if not isinstance(loaded, Located):
        raise error(f"{path}: not a {what}: expected `key: value` lines; keys: {', '.join(model.model_fields)}.")
    try:
        return model.model_validate(loaded)
    except ValidationError as exc:
        wrong = [_told(each, loaded, model) for each in exc.errors()]
        raise error(f"{path}: not a {what}: {'; '.join(wrong)}.") from exc


def unknown_key(key: Any, known: Sequence[str]) -> str:
    """What to say of a key that nobody reads: the nearest known one, or all of them."""
    near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    return f"unknown key `{key}`: " + (f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}")


def _told(wrong: ErrorDetails, loaded: Located, model: type[BaseModel]) -> str:
    """One error: `line 4: guards.0.margin: Input should be greater than 0 (it is 0)`."""
    place, line = list(wrong["loc"]), None
    value: Any = loaded
    for part in place:
        if isinstance(value, Located):
            line = value.lines.get(part, line)
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    where = f"line {line}: " if line else ""
    key = ".".join(str(part) for part in place) or "the file"
    if wrong["type"] == "extra_forbidden":
        return f"{where}{key}: {unknown_key(place[-1], sorted(_keys(model, place[:-1])))}"
    given, said = wrong["input"], wrong["msg"].removeprefix("Value error, ")
    if wrong["type"] != "missing" and isinstance(given, str | int | float | None) and f"{given!r} is" not in said:
        said += f" (it is {reprlib.repr(given)})"
    return f"{where}{key}: {said if len(said) < LONGEST else said[:LONGEST] + '...'}"


def _keys(model: type[BaseModel], place: Sequence[int | str]) -> set[str]:
    """The known keys at a place in a record."""
    models = {model}
    for part in place:
        if isinstance(part, str):
            inner = [each.model_fields[part].annotation for each in models if part in each.model_fields]
            models = {each for annotation in inner for each in _models(annotation)} or models
    return {name for each in models for name in each.model_fields}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
