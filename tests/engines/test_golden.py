"""The tutorial's features over the real tables equal what OpenMLDB's own engine computed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.features.spec import FeatureSet
from jdrec.progress import Progress


@pytest.fixture(scope="module")
def features(tutorial: FeatureSet, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    out = tmp_path_factory.mktemp("extract") / "features.parquet"
    tables = open_tables(tutorial, shared / "jd-recommendation", tutorial.timezone)
    report = extract(tutorial, tables, out, threads=2, progress=Progress.silent())
    assert (report.rows, report.columns) == (13916, 42)
    assert list(out.parent.iterdir()) == [out]
    return pq.read_table(out)


def test_every_cell_equals_the_golden(features: pa.Table, shared: Path) -> None:
    golden = pq.read_table(shared / "golden" / "jd_tutorial_features.parquet")
    assert features.schema.equals(golden.schema, check_metadata=False)
    place = {key: row for row, key in enumerate(golden["reqId_1"].to_pylist())}
    golden = golden.take([place[key] for key in features["reqId_1"].to_pylist()])
    different = {name: name for name in golden.column_names if features[name].to_pylist() != golden[name].to_pylist()}
    assert different == {}


def test_rows_keep_the_request_tables_order(features: pa.Table, shared: Path) -> None:
    requests = pq.read_table(shared / "jd-recommendation" / "flattenRequest_clean", columns=["reqId"])
    assert features["reqId_1"].to_pylist() == requests["reqId"].to_pylist()
