"""What an extraction must not import: each costs a share of a second at every start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from tests.engines.conftest import feature_set_of
from tests.engines.tables import write_tables

FEATURES = """
windows: {w: {partition_by: k, rows: 3}}
features: {a: {expr: k}, b: {over: w, expr: "topn_frequency(k, 2)"}, c: {expr: "case when k = 'x' then 1 else 0 end"}}
"""
EXTRACT = """
import sys
from pathlib import Path
from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.progress import Progress
from tests.engines.conftest import feature_set_of
from tests.engines.test_startup import FEATURES
feature_set = feature_set_of({"t1": {"id": "string", "k": "string", "ts": "timestamp"}}, FEATURES)
before = set(sys.modules)
extract(feature_set, open_tables(feature_set, Path(sys.argv[1]), "UTC"), Path(sys.argv[1]) / "out.parquet", threads=2, progress=Progress.silent())
print(sorted({name.partition(".")[0] if name != "pyarrow.compute" else name for name in set(sys.modules) - before}))
"""


def test_heavy_modules_stay_out(tmp_path: Path) -> None:
    feature_set = feature_set_of({"t1": {"id": "string", "k": "string", "ts": "timestamp"}}, FEATURES)
    write_tables(feature_set, {"t1": [{"id": "1", "k": "x", "ts": 0}, {"id": "2", "k": None, "ts": 0}]}, tmp_path)
    for _ in range(2):  # the first start may compile the kernels
        result = subprocess.run([sys.executable, "-c", EXTRACT, str(tmp_path)], capture_output=True, text=True, check=True)
    imported = yaml.safe_load(result.stdout)
    assert {"pandas", "numba", "pyarrow.compute", "rich"} & set(imported) == set()
