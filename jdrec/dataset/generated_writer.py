"""From coded records to the Parquet tables of the JD schema: column names, types and texts as in the real files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jdrec.dataset.generated_behaviour import MODELS, TYPES
from jdrec.dataset.generated_entities import A1, A2, A3, AGES, CATEGORIES, DAY, LEVELS, SEXES, Products

START_MS = 1_454_256_000_000  # Monday 2016-02-01 00:00 in Asia/Shanghai, where the generated period begins
FIRST_USER, FIRST_PRODUCT, FIRST_REQUEST, FIRST_BRAND = 200_001, 1, 2_000_001, 1
_UTC8_MS = 8 * 3600 * 1000  # Asia/Shanghai has had no summer time since 1991
_TIME = pa.timestamp("us")

SCHEMAS = {
    "action": pa.schema({"reqId": pa.string(), "eventTime": _TIME, "ingestionTime": _TIME, "actionValue": pa.int32()}),
    "flattenRequest": pa.schema(
        {
            "reqId": pa.string(),
            "eventTime": _TIME,
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
            "ingestionTime": _TIME,
            "user_id": pa.string(),
            "age": pa.string(),
            "sex": pa.string(),
            "user_lv_cd": pa.string(),
            "user_reg_tm": pa.int64(),
        }
    ),
    "bo_action": pa.schema(
        {
            "ingestionTime": _TIME,
            "pair_id": pa.string(),
            "time": pa.int64(),
            "model_id": pa.string(),
            "type": pa.string(),
            "cate": pa.string(),
            "br": pa.string(),
        }
    ),
    "bo_product": pa.schema({"ingestionTime": _TIME, **dict.fromkeys(("sku_id", "a1", "a2", "a3", "cate", "br"), pa.string())}),
    "bo_comment": pa.schema(
        {
            "ingestionTime": _TIME,
            "dt": pa.int64(),
            "sku_id": pa.string(),
            "comment_num": pa.int32(),
            "has_bad_comment": pa.string(),
            "bad_comment_rate": pa.float32(),
        }
    ),
}
FOLDERS = {table: "flattenRequest_clean" if table == "flattenRequest" else table for table in SCHEMAS}
TRUTH = "truth"  # the true probability of each request, for judging a model; no table of the data set
TRUTH_SCHEMA = pa.schema({"reqId": pa.string(), "probability": pa.float64()})


class TableFile:
    """`<root>/<name>/<name>.parquet`, written piece by piece."""

    def __init__(self, root: Path, name: str, schema: pa.Schema):
        folder = root / name
        folder.mkdir()
        self.schema, self.rows = schema, 0
        self._writer = pq.ParquetWriter(folder / f"{name}.parquet", schema)

    def write(self, columns: dict[str, pa.Array]) -> None:
        table = pa.table(columns, schema=self.schema)
        self.rows += table.num_rows
        self._writer.write_table(table, row_group_size=250_000)

    def __enter__(self) -> TableFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()


# --- one function a table: records to columns --------------------------------------------------------------------------


def request_columns(requests: np.ndarray, first_row: int) -> dict[str, pa.Array]:
    """Columns of flattenRequest for records REQUEST; first_row: rows written before, which number main_id."""
    user, sku = _ids(requests["user"], FIRST_USER), _ids(requests["product"], FIRST_PRODUCT)
    pair = _joined(user, sku)
    local = local_time_text(requests["time"])
    return {
        "reqId": _joined(pair, local),
        "eventTime": _instants(requests["time"]),
        "main_id": _ids(np.arange(first_row, first_row + len(requests)), FIRST_REQUEST),
        "pair_id": pair,
        "user_id": user,
        "sku_id": sku,
        "time": pa.array(_milliseconds(requests["time"])),
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
        "ingestionTime": _instants(actions["time"]),
        "pair_id": _joined(_ids(actions["user"], FIRST_USER), _ids(actions["product"], FIRST_PRODUCT)),
        "time": pa.array(_milliseconds(actions["time"])),
        "model_id": _texts(MODELS, actions["model"]),
        "type": _texts(TYPES, actions["type"]),
        "cate": _texts(CATEGORIES, products.category[actions["product"]]),
        "br": _ids(products.brand[actions["product"]], FIRST_BRAND),
    }


def user_columns(users: np.ndarray) -> dict[str, pa.Array]:
    """Columns of bo_user for records USER."""
    return {
        "ingestionTime": _instants(users["time"]),
        "user_id": _ids(users["user"], FIRST_USER),
        "age": _texts(AGES, users["age"]),
        "sex": _texts(SEXES, users["sex"]),
        "user_lv_cd": _texts(LEVELS, users["level"]),
        "user_reg_tm": pa.array(_milliseconds(users["time"])),
    }


def product_columns(rows: np.ndarray, products: Products) -> dict[str, pa.Array]:
    """Columns of bo_product for the products of the given numbers."""
    return {
        "ingestionTime": _instants(np.zeros(len(rows), np.int32)),
        "sku_id": _ids(rows, FIRST_PRODUCT),
        "a1": _texts(A1, products.a1[rows]),
        "a2": _texts(A2, products.a2[rows]),
        "a3": _texts(A3, products.a3[rows]),
        "cate": _texts(CATEGORIES, products.category[rows]),
        "br": _ids(products.brand[rows], FIRST_BRAND),
    }


def comment_columns(comments: np.ndarray) -> dict[str, pa.Array]:
    """Columns of bo_comment for records COMMENT."""
    return {
        "ingestionTime": _instants(comments["time"]),
        "dt": pa.array(_milliseconds(comments["time"])),
        "sku_id": _ids(comments["product"], FIRST_PRODUCT),
        "comment_num": pa.array(comments["number"].astype(np.int32)),
        "has_bad_comment": _texts(("0", "1"), comments["bad"]),
        "bad_comment_rate": pa.array(comments["rate"]),
    }


# --- values ------------------------------------------------------------------------------------------------------------


def local_time_text(seconds: np.ndarray) -> pa.Array:
    """'2016-02-01 09:30:00' in Asia/Shanghai for seconds after the start, int [n]."""
    day, second = np.divmod(np.asarray(seconds, np.int64), DAY)
    first = int(day.min(initial=0))
    text = np.empty((len(day), 19), np.uint8)
    text[:, :11] = _day_texts(first, int(day.max(initial=0)))[day - first]
    text[:, 11:] = _second_texts()[second]
    ends = np.arange(0, 19 * (len(day) + 1), 19, dtype=np.int32)
    return pa.StringArray.from_buffers(len(day), pa.py_buffer(ends), pa.py_buffer(text))


def _day_texts(first: int, last: int) -> np.ndarray:
    start = np.datetime64(START_MS + _UTC8_MS, "ms").astype("datetime64[D]")
    days = np.datetime_as_string(start + np.arange(first, last + 1))
    return np.frombuffer("".join(f"{day} " for day in days).encode(), np.uint8).reshape(-1, 11)


@cache
def _second_texts() -> np.ndarray:
    seconds = np.datetime_as_string(np.datetime64(0, "s") + np.arange(DAY))
    return np.frombuffer("".join(text[11:] for text in seconds).encode(), np.uint8).reshape(-1, 8)


def _milliseconds(seconds: np.ndarray) -> np.ndarray:
    return START_MS + 1000 * seconds.astype(np.int64)


def _instants(seconds: np.ndarray) -> pa.Array:
    return pa.array(1000 * _milliseconds(seconds)).view(_TIME)


def _ids(numbers: np.ndarray, first: int) -> pa.Array:
    return pa.array(numbers.astype(np.int64) + first).cast(pa.string())


def _texts(texts: tuple[str, ...], codes: np.ndarray) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(codes))


def _joined(left: pa.Array, right: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(left, right, "_")
