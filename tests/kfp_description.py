"""The published description of the Kubeflow Pipelines API, read from the client that is generated from it.

`operations` gives paths, methods, query names, bodies and answers; `problem` holds a JSON value against a model, where
the client's own deserialiser would pass over unknown fields and wrong types.
"""

import inspect
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

import kfp_server_api

NUMBERS = {"max_concurrency", "interval_second", "total_size"}  # int64 of protobuf: a number or a string in JSON


class Operation(NamedTuple):
    """One operation of the API."""

    name: str
    method: str
    path: str  # with {names}
    query: frozenset[str]
    body: str  # the model, "": none
    answer: str  # the model
    upload: bool

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The path's parameters, where this is the operation that is asked for."""
        found = re.fullmatch(re.sub(r"\\{(.+?)\\}", r"(?P<\1>[^/:]+)", re.escape(self.path)), path)
        return (
            {key: unquote(value) for key, value in found.groupdict().items()}
            if found and method == self.method
            else None
        )


def operations() -> list[Operation]:
    """Every operation, those without a parameter in their path first."""
    classes = [value for name, value in vars(kfp_server_api).items() if name.endswith("ServiceApi")]
    functions = [
        (name.removesuffix("_with_http_info"), function)
        for each in classes
        for name, function in inspect.getmembers(each, inspect.isfunction)
        if name.endswith("_with_http_info")
    ]
    found = [_operation(name, function) for name, function in functions]
    return sorted((each for each in found if "." not in each.path), key=lambda each: each.path.count("{"))


def _operation(name: str, function: Any) -> Operation:
    source = inspect.getsource(function)
    path, method = _found(r"'(/apis/[^']+)', '([A-Z]+)'", source)
    body = _found(r"body_params = local_var_params\['(\w+)'\]", source)
    return Operation(
        name=name,
        method=method,
        path=path,
        query=frozenset(re.findall(r"query_params\.append\(\('([^']+)'", source)),
        body=_found(rf":type {body[0]}: (\w+)", source)[0] if body else "",
        answer=(_found(r"response_type='(\w+)'", source) or ("object",))[0],
        upload="local_var_files['uploadfile']" in source,
    )


def _found(pattern: str, source: str) -> tuple[str, ...]:
    found = re.search(pattern, source)
    return found.groups() if found else ()


def problem(value: object, type_: str, where: str = "") -> str:
    """What a JSON value has that its type in the description has not; "" where all is well."""
    if match := re.fullmatch(r"list\[(.+)\]", type_):
        return _of_list(value, match[1], where)
    if match := re.fullmatch(r"dict\(str, (.+)\)", type_):
        return _of_mapping(value, match[1], where)
    match type_:
        case "object":
            return ""
        case "str":
            number = where.rpartition(".")[2] in NUMBERS and type(value) is int
            return "" if isinstance(value, str) or number else f"{where}: {value!r} is no string"
        case "int":
            return "" if type(value) is int else f"{where}: {value!r} is no integer"
        case "bool":
            return "" if isinstance(value, bool) else f"{where}: {value!r} is no boolean"
        case "datetime":
            return "" if _is_time(value) else f"{where}: {value!r} is no RFC 3339 time"
        case _:
            return _of_model(value, getattr(kfp_server_api, type_), where or type_)


def _of_list(value: object, of: str, where: str) -> str:
    if not isinstance(value, list):
        return f"{where}: {value!r} is no list"
    return next(filter(None, (problem(each, of, f"{where}[{at}]") for at, each in enumerate(value))), "")


def _of_mapping(value: object, of: str, where: str) -> str:
    if not isinstance(value, dict):
        return f"{where}: {value!r} is no mapping"
    return next(filter(None, (problem(each, of, f"{where}.{key}") for key, each in value.items())), "")


def _of_model(value: object, model: Any, where: str) -> str:
    if not model.openapi_types:
        return "" if value in model.allowable_values else f"{where}: {value!r} is none of {model.allowable_values}"
    if not isinstance(value, dict):
        return f"{where}: {value!r} is no {model.__name__}"
    types = {model.attribute_map[name]: of for name, of in model.openapi_types.items()}
    if unknown := value.keys() - types.keys():
        return f"{where}: {sorted(unknown)} is not in {model.__name__}"
    return next(filter(None, (problem(value[key], types[key], f"{where}.{key}") for key in value)), "")


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def refused(query: Mapping[str, str], operation: Operation) -> str:
    """A query name that the operation has not."""
    unknown = sorted(query.keys() - operation.query)
    return f"{operation.name} has no query parameter {unknown}" if unknown else ""
