"""Lists in one text: places, missing values, and the same ids from columns, rows and the fast row path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec import preprocess
from jdrec.config import PreprocessConfig, SplitConfig
from jdrec.errors import ConfigError
from jdrec.features.expression import Call, Column, Literal
from jdrec.features.spec import NO_VALUE, Encoding, Feature, Kind
from jdrec.features.types import SqlType
from jdrec.preprocess.encoder import Encoder
from jdrec.preprocess.listed import Listed
from jdrec.preprocess.row_path import RowEncoder
from jdrec.progress import Progress
from tests.preprocess.small import BOUGHT, BRAND, TIME, feature_set, write

TOP = Feature(
    "top",
    "topn_frequency(brand, 3)",
    Call(0, 0, "topn_frequency", (Column(0, 0, "brand"), Literal(0, 0, 3, SqlType.INT))),
    SqlType.STRING,
    Kind.CATEGORICAL,
    encoding=Encoding.LIST,
)
FEATURES = feature_set(TIME, BOUGHT, BRAND, TOP)
TEXTS = ["6,1,NULL", "1", "6,,1", "", None, "NULL,NULL,NULL", "6,1,7,8"]


def ids_of(place: int) -> list[int]:
    return Listed("top", place, 10).column(pa.array(TEXTS)).tolist()


def test_values_move_up_and_share_an_id_whatever_their_place() -> None:
    six, one, seven = (Listed("top", 0, 10).value(text) for text in ("6", "1", "7"))
    null = Listed("top", 0, 10).value(None)
    assert len({six, one, seven, null, NO_VALUE}) == 5
    assert ids_of(0) == [six, one, six, null, null, null, six]
    assert ids_of(1) == [one, NO_VALUE, one, NO_VALUE, NO_VALUE, NO_VALUE, one]
    assert ids_of(2) == [NO_VALUE] * 6 + [seven]  # a fourth value has no place
    for place in range(3):
        assert [Listed("top", place, 10).value(text) for text in TEXTS] == ids_of(place)


def test_samples_have_a_column_a_place_and_every_path_the_same_ids(tmp_path: Path) -> None:
    count = 70
    columns = {
        "request_time": list(range(0, count * 1000, 1000)),
        "bought": [i % 2 for i in range(count)],
        "brand": ["b"] * count,
        "top": [TEXTS[i % len(TEXTS)] for i in range(count)],
    }
    file = write(tmp_path / "features.parquet", FEATURES, columns)
    config = PreprocessConfig(split=SplitConfig(by="row_order", train=0.6, test=0.2))
    silent = Progress.silent()
    preprocess.run(FEATURES, config, file, tmp_path / "samples", seed=1, observed_until_ms=None, progress=silent)
    encoder = Encoder.load(tmp_path / "samples" / "encoder.json")
    assert [field.name for field in encoder.fields] == ["brand", "top[0]", "top[1]", "top[2]"]
    table = pq.read_table(file)
    whole = encoder.encode(table)
    assert whole[:7, 1:].T.tolist() == [ids_of(place) for place in range(3)]
    train = pq.read_table(tmp_path / "samples" / "train.parquet")
    assert train.column_names == ["bought", "brand", "top_1", "top_2", "top_3"]
    assert np.array_equal(encoder.read_samples(train), whole[:42])
    rows = [(row["brand"], row["top"]) for row in table.to_pylist()]
    assert np.array_equal(RowEncoder(encoder, ["brand", "top"]).encode(rows), whole)
    assert np.array_equal(encoder.encode_rows(table.to_pylist()), whole)
    fields = json.loads((tmp_path / "samples" / "data_info.json").read_text())["fields"]
    assert [(field["feature"], field["column"], field["encoding"]) for field in fields[1:]] == [
        ("top", f"top_{i}", "list") for i in (1, 2, 3)
    ]


def test_the_tutorials_encoding_has_no_lists(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the tutorial's encoding has no lists"):
        preprocess.plan.make_plan(FEATURES, PreprocessConfig(encoding="tutorial", split=SplitConfig(by="row_order")))
