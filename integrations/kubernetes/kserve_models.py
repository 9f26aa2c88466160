"""Holds an InferenceService to KServe's own models, whose fields and types are those of its definition."""
# ruff: noqa: INP001

import re

import kserve.models
import kubernetes.client.models

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}
QUANTITY = re.compile(r"[+-]?\d+(\.\d*)?([KMGTPE]i|[numkMGTPE])?")


def complaints(value, kind="V1beta1InferenceService", place="$"):
    """Gives what a model has against a value: fields that it does not have, and values of other types."""
    if many := re.fullmatch(r"list\[(.+)\]|dict[(\[]str, (.+)[)\]]", kind, re.IGNORECASE):
        return _of_many(value, many, place)
    if kind == "ResourceQuantity":
        return [] if isinstance(value, str) and QUANTITY.fullmatch(value) else [f"{place}: no quantity"]
    if kind in PLAIN:
        fits = isinstance(value, PLAIN[kind]) and (kind == "bool") == isinstance(value, bool)
        return [] if kind == "object" or fits else [f"{place}: no {kind}"]
    return _of_model(value, kind, place)


def _of_many(value, many, place):
    if not isinstance(value, list if many[1] else dict):
        return [f"{place}: no {'list' if many[1] else 'object'}"]
    parts = enumerate(value) if many[1] else value.items()
    found = [complaints(one, many[1] or many[2], f"{place}.{key}") for key, one in parts]
    return [one for complaint in found for one in complaint]


def _of_model(value, kind, place):
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client.models, kind)
    known = {key: model.openapi_types[name] for name, key in model.attribute_map.items()}
    unknown = [f"{place}.{key}: unknown" for key in sorted(value.keys() - known.keys())]
    parts = [complaints(part, known[key], f"{place}.{key}") for key, part in value.items() if key in known]
    attributes = {name: value[key] for name, key in model.attribute_map.items() if key in value}
    try:
        model(**attributes)  # says what is required and missing
    except ValueError as error:
        unknown.append(f"{place}: {error}")
    return [*unknown, *(one for found in parts for one in found)]
