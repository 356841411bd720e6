"""The OpenAPI description of /predict, made from the request table, and a documentation page that needs no internet."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from jdrec.errors import MissingExtra
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from fastapi import FastAPI

    from jdrec.config import ServingConfig
    from jdrec.features.spec import FeatureSet

VERSION = "3.0.3"  # the newest that the packaged Swagger UI shows
_ASSETS = "/docs/assets"

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


def predict_operation(feature_set: FeatureSet, serving: ServingConfig) -> dict[str, Any]:
    """Request body and answers of POST /predict."""
    row = _row_schema(feature_set)
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": serving.max_rows}
    return {
        "parameters": [
            {
                "name": "features",
                "in": "query",
                "schema": {"type": "boolean", "default": False},
                "description": "Answer the computed features too.",
            }
        ],
        "requestBody": {
            "required": True,
            "description": "One row of the request table, or a list of rows. Every column must be there; "
            f"a body has at most {serving.max_body_bytes} bytes.",
            "content": {"application/json": {"schema": {"oneOf": [row, rows]}}},
        },
        "responses": {
            "200": _json("Scores, in the order of the rows.", _answer_schema(feature_set)),
            "400": _error("The body is not JSON, or not rows."),
            "408": _error("The body did not arrive in time."),
            "413": _error("The body is too large, or has too many rows."),
            "422": _error("A row does not fit the request table: `details` names row, field, what is expected and the nearest name."),
            "503": _error("Triton or the source of features does not answer; try again after `Retry-After` seconds."),
        },
    }


def _row_schema(feature_set: FeatureSet) -> dict[str, Any]:
    required = {feature_set.request_key, feature_set.request_time}
    properties = {}
    for name, type in feature_set.request.columns.items():
        schema = _time_schema(feature_set.timezone) if type is SqlType.TIMESTAMP else dict(_TYPES[type])
        properties[name] = schema if name in required else {**schema, "nullable": True}
    return {
        "type": "object",
        "title": feature_set.request_table,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _time_schema(timezone: str) -> dict[str, Any]:
    return {
        "oneOf": [{"type": "integer", "format": "int64"}, {"type": "string"}],
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


def add_docs(app: FastAPI) -> None:
    """Serves the documentation page at /docs, its scripts and styles from the installed package."""
    from fastapi.openapi.docs import get_swagger_ui_html
    from starlette.responses import HTMLResponse
    from starlette.staticfiles import StaticFiles

    try:
        from swagger_ui_bundle import swagger_ui_path
    except ImportError:
        raise MissingExtra("swagger-ui-bundle", "serving") from None
    app.version = metadata.version("jdrec")
    app.mount(_ASSETS, StaticFiles(directory=swagger_ui_path))

    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon-32x32.png",
        )

    app.add_api_route("/docs", docs, include_in_schema=False)
