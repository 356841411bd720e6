"""From coded records to the Parquet tables of the JD schema: column names, types and texts as in the real files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from jdrec.dataset.generated.files import TIME, ids, instants, joined, local_time_text, milliseconds, texts
from jdrec.dataset.generated.jd.behaviour import MODELS, TYPES
from jdrec.dataset.generated.jd.entities import A1, A2, A3, AGES, CATEGORIES, LEVELS, SEXES, Products

START_MS = 1_454_256_000_000  # Monday 2016-02-01 00:00 in Asia/Shanghai, where the generated period begins
FIRST_USER, FIRST_PRODUCT, FIRST_REQUEST, FIRST_BRAND = 200_001, 1, 2_000_001, 1

SCHEMAS = {
    "action": pa.schema({"reqId": pa.string(), "eventTime": TIME, "ingestionTime": TIME, "actionValue": pa.int32()}),
    "flattenRequest": pa.schema(
        {
            "reqId": pa.string(),
            "eventTime": TIME,
            "main_id": pa.string(),
            "pair_id": pa.string(),
            "user_id": pa.string(),
            "sku_id": pa.string(),
            "time": pa.int64(),
            "split_id": pa.int32(),
            "time1": pa.string(),
        }
    ),
    "bo_user": pa.schema(
        {
            "ingestionTime": TIME,
            "user_id": pa.string(),
            "age": pa.string(),
            "sex": pa.string(),
            "user_lv_cd": pa.string(),
            "user_reg_tm": pa.int64(),
        }
    ),
    "bo_action": pa.schema(
        {
            "ingestionTime": TIME,
            "pair_id": pa.string(),
            "time": pa.int64(),
            "model_id": pa.string(),
            "type": pa.string(),
            "cate": pa.string(),
            "br": pa.string(),
        }
    ),
    "bo_product": pa.schema({"ingestionTime": TIME, **dict.fromkeys(("sku_id", "a1", "a2", "a3", "cate", "br"), pa.string())}),
    "bo_comment": pa.schema(
        {
            "ingestionTime": TIME,
            "dt": pa.int64(),
            "sku_id": pa.string(),
            "comment_num": pa.int32(),
            "has_bad_comment": pa.string(),
            "bad_comment_rate": pa.float32(),
        }
    ),
}
FOLDERS = {table: "flattenRequest_clean" if table == "flattenRequest" else table for table in SCHEMAS}


# --- one function a table: records to columns --------------------------------------------------------------------------


def request_columns(requests: np.ndarray, first_row: int) -> dict[str, pa.Array]:
    """Columns of flattenRequest for records REQUEST; first_row: rows written before, which number main_id."""
    user, sku = ids(requests["user"], FIRST_USER), ids(requests["product"], FIRST_PRODUCT)
    pair = joined(user, sku)
    local = local_time_text(START_MS, requests["time"])
    return {
        "reqId": joined(pair, local),
        "eventTime": instants(START_MS, requests["time"]),
        "main_id": ids(np.arange(first_row, first_row + len(requests)), FIRST_REQUEST),
        "pair_id": pair,
        "user_id": user,
        "sku_id": sku,
        "time": pa.array(milliseconds(START_MS, requests["time"])),
        "split_id": pa.array(np.where(requests["event"], 1, 2).astype(np.int32)),
        "time1": local,
    }


def label_columns(request: dict[str, pa.Array], label: np.ndarray) -> dict[str, pa.Array]:
    """Columns of action for the same rows as flattenRequest's; label: bool [n]."""
    return {
        "reqId": request["reqId"],
        "eventTime": request["eventTime"],
        "ingestionTime": request["eventTime"],
        "actionValue": pa.array(label.astype(np.int32)),
    }


def action_columns(actions: np.ndarray, products: Products) -> dict[str, pa.Array]:
    """Columns of bo_action for records ACTION."""
    return {
        "ingestionTime": instants(START_MS, actions["time"]),
        "pair_id": joined(ids(actions["user"], FIRST_USER), ids(actions["product"], FIRST_PRODUCT)),
        "time": pa.array(milliseconds(START_MS, actions["time"])),
        "model_id": texts(MODELS, actions["model"]),
        "type": texts(TYPES, actions["type"]),
        "cate": texts(CATEGORIES, products.category[actions["product"]]),
        "br": ids(products.brand[actions["product"]], FIRST_BRAND),
    }


def user_columns(users: np.ndarray) -> dict[str, pa.Array]:
    """Columns of bo_user for records USER."""
    return {
        "ingestionTime": instants(START_MS, users["time"]),
        "user_id": ids(users["user"], FIRST_USER),
        "age": texts(AGES, users["age"]),
        "sex": texts(SEXES, users["sex"]),
        "user_lv_cd": texts(LEVELS, users["level"]),
        "user_reg_tm": pa.array(milliseconds(START_MS, users["time"])),
    }


def product_columns(rows: np.ndarray, products: Products) -> dict[str, pa.Array]:
    """Columns of bo_product for the products of the given numbers."""
    return {
        "ingestionTime": instants(START_MS, np.zeros(len(rows), np.int32)),
        "sku_id": ids(rows, FIRST_PRODUCT),
        "a1": texts(A1, products.a1[rows]),
        "a2": texts(A2, products.a2[rows]),
        "a3": texts(A3, products.a3[rows]),
        "cate": texts(CATEGORIES, products.category[rows]),
        "br": ids(products.brand[rows], FIRST_BRAND),
    }


def comment_columns(comments: np.ndarray) -> dict[str, pa.Array]:
    """Columns of bo_comment for records COMMENT."""
    return {
        "ingestionTime": instants(START_MS, comments["time"]),
        "dt": pa.array(milliseconds(START_MS, comments["time"])),
        "sku_id": ids(comments["product"], FIRST_PRODUCT),
        "comment_num": pa.array(comments["number"].astype(np.int32)),
        "has_bad_comment": texts(("0", "1"), comments["bad"]),
        "bad_comment_rate": pa.array(comments["rate"]),
    }
