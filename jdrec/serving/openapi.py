"""The OpenAPI description of the service, made from the request table, and a documentation page that needs no internet."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from jdrec.errors import MissingExtra
from jdrec.features.types import SqlType
from jdrec.serving.rows import MAX_TIME_MS

if TYPE_CHECKING:
    from jdrec.config import ServingConfig
    from jdrec.features.spec import FeatureSet

VERSION = "3.0.3"  # the newest that the packaged Swagger UI shows
ASSETS = "/docs/assets"

_TYPES: dict[SqlType, dict[str, Any]] = {
    SqlType.BOOL: {"type": "boolean", "example": True},
    SqlType.SMALLINT: {"type": "integer", "minimum": -(2**15), "maximum": 2**15 - 1, "example": 1},
    SqlType.INT: {"type": "integer", "format": "int32", "example": 1},
    SqlType.BIGINT: {"type": "integer", "format": "int64", "example": 1},
    SqlType.FLOAT: {"type": "number", "format": "float", "example": 0.5},
    SqlType.DOUBLE: {"type": "number", "format": "double", "example": 0.5},
    SqlType.STRING: {"type": "string", "example": "text"},
    SqlType.DATE: {"type": "string", "format": "date", "example": "2016-03-31"},
}


def document(feature_set: FeatureSet, serving: ServingConfig) -> dict[str, Any]:
    """The whole description."""
    row = _row_schema(feature_set)
    paths = {
        "/predict": {"post": _predict(feature_set, serving, row)},
        "/candidates": {"post": _candidates(feature_set, serving, row)},
        "/models": {"get": _read("Models and versions that are served", _models_schema())},
        "/models/reload": {
            "post": _change("Serve what the repository holds now", {"default": {"type": "string", "example": "embedding/2"}})
        },
        "/models/rollback": {"post": _change("Serve the default before the last change", {})},
        "/health": {"get": _read("Whether predictions can be made", {"type": "object"}) | {"x-status": "200 when ready, 503 when not"}},
        "/health/live": {"get": _read("Whether the service runs", {"type": "object"})},
        "/metrics": {"get": {"summary": "Metrics for Prometheus", "responses": {"200": {"description": "Text, version 0.0.4."}}}},
    }
    result: dict[str, Any] = {
        "openapi": VERSION,
        "info": {"title": "jdrec prediction service", "version": metadata.version("jdrec")},
        "paths": paths,
    }
    if serving.api_key_env is not None:
        result["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
        result["security"] = [{"key": []}]
    return result


def _predict(feature_set: FeatureSet, serving: ServingConfig, row: dict[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": serving.max_rows}
    return {
        "summary": "Score requests",
        "parameters": _parameters(),
        "requestBody": {
            "required": True,
            "description": "One row of the request table, or a list of rows. Every column must be there; "
            f"a body has at most {serving.max_body_bytes} bytes.",
            "content": {"application/json": {"schema": {"oneOf": [row, rows]}}},
        },
        "responses": {"200": _json("Scores, in the order of the rows.", _answer_schema(feature_set)), **_errors()},
    }


def _candidates(feature_set: FeatureSet, serving: ServingConfig, row: dict[str, Any]) -> dict[str, Any]:
    partial = {"type": "object", "properties": row["properties"], "additionalProperties": False}
    column = serving.candidates.column
    candidate = {"oneOf": [row["properties"][column], partial]} if column else partial
    body = {
        "type": "object",
        "properties": {
            "context": {**partial, "description": "Columns that all candidates share."},
            "candidates": {"type": "array", "items": candidate, "minItems": 1, "maxItems": serving.max_rows},
            "top": {"type": "integer", "minimum": 1, "default": serving.candidates.top},
        },
        "required": ["candidates"],
        "additionalProperties": False,
    }
    ranked = {
        "rank": {"type": "integer"},
        "index": {"type": "integer", "description": "Its place in the call."},
        "candidate": {"description": "As it was given."},
        feature_set.request_key: {"description": "The row's key."},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
    }
    answer = {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "scored": {"type": "integer"},
            "candidates": {"type": "array", "items": {"type": "object", "properties": ranked}},
        },
    }
    derived = ", ".join(f"{name} = {text}" for name, text in serving.candidates.derive.items())
    return {
        "summary": "Rank candidates",
        "parameters": _parameters(),
        "requestBody": {
            "required": True,
            "description": "A row is the context, over it the candidate's own columns"
            + (f", and where neither has them {derived}." if derived else "."),
            "content": {"application/json": {"schema": body}},
        },
        "responses": {"200": _json("The best candidates, best first.", answer), **_errors()},
    }


def _parameters() -> list[dict[str, Any]]:
    def parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
        return {"name": name, "in": "query", "schema": schema, "description": description}

    return [
        parameter("features", {"type": "boolean", "default": False}, "Answer the computed features too."),
        parameter("model", {"type": "string"}, "Which model; the default's without it."),
        parameter(
            "version", {"type": "integer", "minimum": 1}, "Which version; of the default model the pinned one, of another the newest."
        ),
    ]


def _errors() -> dict[str, Any]:
    return {
        "400": _error("The body is not JSON, or not rows."),
        "401": _error("The API key is missing or wrong."),
        "404": _error("There is no such model."),
        "408": _error("The body did not arrive in time."),
        "413": _error("The body is too large, or has too many rows."),
        "422": _error("A row does not fit the request table: `details` names row, field, what is expected and the nearest name."),
        "429": _error("Too much is asked for at once; try again after `Retry-After` seconds."),
        "503": _error("Triton or the source of features does not answer; try again after `Retry-After` seconds."),
    }


def _read(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _json(summary, schema)}}


def _change(summary: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    codes = {"400": "Not such a body.", "401": "The API key is missing or wrong.", "403": "This needs an API key to be configured."}
    codes |= {"404": "There is no such model.", "409": "There is nothing to go back to.", "415": "Not sent as application/json."}
    return {
        "summary": summary,
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": _json("What is served now.", _models_schema()),
            **{code: _error(description) for code, description in codes.items()},
            "503": _error("Triton does not answer."),
        },
    }


def _models_schema() -> dict[str, Any]:
    model = {"model": {"type": "string"}, "version": {"type": "integer"}, "default": {"type": "boolean"}}
    return {
        "type": "object",
        "properties": {
            "default": {"type": "string", "example": "embedding/2"},
            "previous": {"type": "string", "nullable": True},
            "models": {"type": "array", "items": {"type": "object", "properties": model}},
            "refused": {"type": "array", "items": {"type": "object"}},
        },
    }


def _row_schema(feature_set: FeatureSet) -> dict[str, Any]:
    required = {feature_set.request_key, feature_set.request_time}
    properties = {}
    for name, type in feature_set.request.columns.items():
        least = 0 if name == feature_set.request_time else -MAX_TIME_MS
        schema = _time_schema(feature_set.timezone, least) if type is SqlType.TIMESTAMP else dict(_TYPES[type])
        properties[name] = schema if name in required else {**schema, "nullable": True}
    return {
        "type": "object",
        "title": feature_set.request_table,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _time_schema(timezone: str, least: int) -> dict[str, Any]:
    return {
        "oneOf": [
            {"type": "integer", "format": "int64", "minimum": least, "maximum": MAX_TIME_MS},
            {"type": "string", "format": "date-time"},
        ],
        "description": f"Milliseconds since 1970-01-01 UTC, or an ISO 8601 time; without a zone it is in {timezone}.",
        "example": 1459419080000,
    }


def _answer_schema(feature_set: FeatureSet) -> dict[str, Any]:
    prediction = {
        feature_set.request_key: {"description": "The row's key."},
        "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "Probability of a positive label."},
        "features": {"type": "object", "description": "With features=true: feature name to value; a time is in milliseconds."},
    }
    properties = {
        "model": {"type": "string"},
        "version": {"type": "string"},
        "predictions": {"type": "array", "items": {"type": "object", "properties": prediction}},
        "stored": {"type": "boolean", "description": "With serving.store_requests: whether the rows were kept for later windows."},
    }
    return {"type": "object", "properties": properties}


def _error(description: str) -> dict[str, Any]:
    detail = {
        "row": {"type": "integer"},
        "field": {"type": "string"},
        "message": {"type": "string"},
        "expected": {"type": "string", "nullable": True},
        "hint": {"type": "string"},
    }
    error = {
        "kind": {"type": "string", "description": "Short name of the reason, stable for programs."},
        "message": {"type": "string"},
        "details": {"type": "array", "items": {"type": "object", "properties": detail}},
    }
    return _json(description, {"type": "object", "properties": {"error": {"type": "object", "properties": error}}})


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def assets_folder() -> str:
    """Scripts and styles of the documentation page, from the installed package."""
    try:
        from swagger_ui_bundle import swagger_ui_path
    except ImportError:
        raise MissingExtra("swagger-ui-bundle", "serving") from None
    return str(swagger_ui_path)


def page() -> str:
    """The documentation page."""
    return f"""<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>jdrec prediction service</title>
<link rel="stylesheet" href="{ASSETS}/swagger-ui.css">
<link rel="shortcut icon" href="{ASSETS}/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{ASSETS}/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({{url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true}})</script>
</body>
</html>
"""
