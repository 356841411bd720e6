"""A column with a dictionary gives the ids of the plain column, row by row, and its distinct ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.config import PreprocessConfig
from jdrec.features.types import SqlType
from jdrec.preprocess import run
from jdrec.preprocess.canonical import Canonical
from jdrec.preprocess.coded import coded
from jdrec.preprocess.encoder import Codec
from jdrec.preprocess.listed import Listed
from jdrec.preprocess.overlap import Behind, ahead
from jdrec.preprocess.tutorial import Tutorial
from jdrec.progress import Progress
from tests.preprocess.small import BOUGHT, BRAND, CLICKS, TIME, feature_set

CODECS: list[Codec] = [
    Canonical("brand", SqlType.STRING, 10),
    Tutorial("brand", SqlType.STRING, "object", 10, "Asia/Shanghai"),
    Listed("brand", 0, 10),
]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([None, "", "a", "b,c", "NULL"]), min_size=8, max_size=40), st.integers(0, 2), st.integers(0, 3))
def test_a_dictionary_changes_no_id(texts: list[str | None], codec: int, skip: int) -> None:
    plain = pa.array(texts, pa.string()).slice(skip)
    expected = CODECS[codec].column(plain)
    column = coded(pa.array(texts, pa.string()).dictionary_encode().slice(skip), CODECS[codec].column)
    assert column.codes is not None
    assert column.ids().tolist() == expected.tolist()
    rows = np.arange(len(plain)) % 3 == 0
    assert column.some(rows).tolist() == expected[rows].tolist()
    assert set(column.seen(None).tolist()) == set(expected.tolist())
    assert set(column.seen(rows).tolist()) == set(expected[rows].tolist())


def test_a_dictionary_longer_than_its_column_is_not_encoded() -> None:
    column = pa.array([f"{i}" for i in range(100)]).dictionary_encode().slice(0, 5)
    found = coded(column, CODECS[0].column)
    assert found.codes is None
    assert found.ids().tolist() == CODECS[0].column(pa.array(["0", "1", "2", "3", "4"])).tolist()


@pytest.mark.parametrize("keep", [[], ["brand"]])
def test_samples_are_the_same_however_the_features_lie_in_their_file(tmp_path, keep: list[str]) -> None:  # type: ignore[no-untyped-def]
    rows = 3000
    rng = np.random.default_rng(0)
    brands = [None if value == 0 else "a brand with a long name" + str(value) for value in rng.integers(0, 40, rows).tolist()]
    features = feature_set(TIME, BOUGHT, BRAND, CLICKS)
    columns = {
        "request_time": pa.array(rng.integers(0, 10**9, rows)).cast(TIME.type.arrow),
        "bought": pa.array(rng.integers(0, 2, rows).astype(np.int32)),
        "brand": pa.array(brands, pa.string()),
        "clicks": pa.array(rng.integers(0, 9, rows)),
    }
    written = []
    for name, options in (("dictionary", {}), ("plain", {"use_dictionary": False})):
        file, out = tmp_path / f"{name}.parquet", tmp_path / name
        pq.write_table(pa.table(columns), file, row_group_size=700, **options)
        run(features, PreprocessConfig(keep=keep), file, out, seed=1, observed_until_ms=None, progress=Progress.silent())
        written.append([(out / "data_info.json").read_text(), *(pq.read_table(out / f"{split}.parquet") for split in ("train", "test"))])
    assert written[0] == written[1]
    assert written[0][1].num_rows == 2400


def test_work_ahead_and_behind_keeps_order_and_errors() -> None:
    assert list(ahead(iter(range(5)))) == [0, 1, 2, 3, 4]

    def fails():  # type: ignore[no-untyped-def]
        yield 1
        raise ValueError("while reading")

    with pytest.raises(ValueError, match="while reading"):
        list(ahead(fails()))
    done: list[int] = []
    with Behind() as behind:
        for i in range(5):
            behind.run(done.append, i)
    assert done == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError), Behind() as behind:
        behind.run(lambda: 1 / 0)
