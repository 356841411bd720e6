"""The whole stage: small tables with literal samples, and the tutorial's features with its numbers."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from jdrec import preprocess
from jdrec.config import PreprocessConfig, SplitConfig, load
from jdrec.errors import ConfigError, DataError, JdrecError, StageError
from jdrec.features.resolve import resolve
from jdrec.features.spec import Encoding, FeatureSet, Kind, Label
from jdrec.features.types import SqlType
from jdrec.paths import CONF
from jdrec.preprocess import Encoder, PreprocessReport, stage
from jdrec.preprocess.canonical import Canonical
from jdrec.progress import Progress
from tests.preprocess.small import BOUGHT, BRAND, CLICKS, RATE, TIME, feature, feature_set, write

COLUMNS: dict[str, list[Any]] = {
    "request_time": [1000 * i for i in range(20)],
    "bought": [0, 1] * 10,
    "brand": ["a", None, "b", "a", ""] * 4,
    "clicks": list(range(20)),
    "rate": [0.25, None, 0.75, 0.5, 0.5] * 4,
}
SMALL = feature_set(TIME, BOUGHT, BRAND, CLICKS, RATE)


def run(features: Path, out: Path, definition: FeatureSet = SMALL, observed: int | None = None, **options: Any) -> PreprocessReport:
    return preprocess.run(
        definition, PreprocessConfig(**options), features, out, seed=1, observed_until_ms=observed, progress=Progress.silent()
    )


def read(out: Path, split: str) -> pa.Table:
    return pq.ParquetFile(out / f"{split}.parquet").read()


@pytest.fixture
def features(tmp_path: Path) -> Path:
    return write(tmp_path / "features.parquet", SMALL, COLUMNS)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "samples"


def test_samples(features: Path, out: Path) -> None:
    report = run(features, out, split=SplitConfig(train=0.6, test=0.2), keep="brand")
    train, valid, test = read(out, "train"), read(out, "valid"), read(out, "test")
    assert train.schema.names == ["bought", "clicks", "rate", "brand", "keep_brand"]
    assert [str(column.type) for column in train.schema] == ["float", "int64", "float", "int64", "string"]
    assert [len(part) for part in (train, valid, test)] == [12, 4, 4]
    assert train["bought"].to_pylist() == [0.0, 1.0] * 6
    assert test["keep_brand"].to_pylist() == [None, "b", "a", ""]
    brand = Canonical("brand", SqlType.STRING, 10)
    assert test["brand"].to_pylist() == [brand.null_id, brand.value("b"), brand.value("a"), brand.value("")]
    assert report.summary() == "train 12 (50.0 % positive), valid 4 (50.0 % positive), test 4 (50.0 % positive)"
    assert report.table_sizes == (12, 4, 4)  # a bucket for each training value; NULL counts as a value
    assert sorted(file.name for file in out.iterdir()) == [
        "data_info.json",
        "data_info.txt",
        "encoder.json",
        "test.parquet",
        "train.parquet",
        "valid.parquet",
    ]


def test_the_encoder_gives_the_samples_again(features: Path, out: Path) -> None:
    run(features, out, split=SplitConfig(by="row_order"))
    encoder = Encoder.load(out / "encoder.json")
    ids = np.concatenate([encoder.read_samples(read(out, name)) for name in ("train", "test", "valid")])
    table = pq.ParquetFile(features).read()
    assert ids.tolist() == encoder.encode(table).tolist() == encoder.encode_rows(table.to_pylist()).tolist()


def test_training_finds_each_id_once_a_row_group(features: Path, out: Path) -> None:
    """Without a dictionary it would read the same ids three times as slowly."""
    from jdrec.training.columns import ColumnFile

    run(features, out, split=SplitConfig(train=0.6, test=0.2))
    metadata = pq.read_metadata(out / "train.parquet")
    file, room = ColumnFile(out / "train.parquet", metadata), np.empty(metadata.num_rows, np.int32)
    assert metadata.num_row_groups == 1
    for name in ("brand", "clicks"):
        column = file.coded(0, name, room)
        assert column.codes is not None
        assert column.ids().tolist() == read(out, "train").column(name).to_pylist()
        assert len(column.values) == len(set(column.ids().tolist()))


def test_bounds_and_moments_come_from_the_training_rows_alone(features: Path, out: Path) -> None:
    run(features, out, split=SplitConfig(train=0.5, test=0.25), buckets=4)
    clicks, rate, _ = Encoder.load(out / "encoder.json").fields
    assert clicks.bounds == (2.0, 5.0, 7.0)  # quartiles of 0..9, not of 0..19
    assert (rate.mean, rate.least, rate.greatest) == (0.5, 0.25, 0.75)
    assert rate.std == pytest.approx(np.std([0.25, 0.75, 0.5, 0.5] * 2))


def test_data_info(features: Path, out: Path) -> None:
    run(features, out, split=SplitConfig(train=0.6, test=0.2))
    info = json.loads((out / "data_info.json").read_text())
    assert info["rows"] == 20 and info["label"] == "bought"
    assert info["splits"]["test"] == {
        "file": "test.parquet",
        "rows": 4,
        "positives": 2,
        "positive_share": 0.5,
        "first_time_ms": 16000,
        "first_time": "1970-01-01T08:00:16+08:00",
        "last_time_ms": 19000,
        "last_time": "1970-01-01T08:00:19+08:00",
    }
    assert info["split"]["by"] == "time" and info["split"]["valid_from_ms"] == 12000
    assert [(field["name"], field["encoding"], field["distinct"]) for field in info["fields"]] == [
        ("clicks", "bucket", 12),
        ("rate", "numeric", 4),
        ("brand", "hash", 4),
    ]
    assert info["fields"][2]["nulls"] == {"train": 3, "valid": 0, "test": 1}
    assert info["fields"][2]["train"]["frequent"] == [["a", pytest.approx(5 / 12, abs=1e-6)], [None, 0.25], ["b", 0.166667], ["", 0.166667]]
    assert info["fields"][0]["train"]["deciles"][:2] == [0.0, 1.0]
    assert (out / "data_info.txt").read_text() == "12\n4\n4\n12,4,4"


def test_a_run_is_reproducible_and_its_seed_matters(features: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = PreprocessConfig(split=SplitConfig(by="random"))
        preprocess.run(SMALL, config, features, tmp_path / name, seed=seed, observed_until_ms=None, progress=Progress.silent())
    first, again, other = ((tmp_path / name / "test.parquet").read_bytes() for name in "abc")
    assert first == again != other


def test_batches_and_row_groups_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(tmp_path / "whole.parquet", SMALL, COLUMNS, row_group=100)
    run(whole, tmp_path / "one")
    monkeypatch.setattr(stage, "BATCH", 3)
    run(write(tmp_path / "cut.parquet", SMALL, COLUMNS, row_group=4), tmp_path / "many")
    for file in ("encoder.json", "data_info.json", "data_info.txt"):
        assert (tmp_path / "one" / file).read_text() == (tmp_path / "many" / file).read_text()
    for split in ("train", "valid", "test"):
        assert read(tmp_path / "one", split).equals(read(tmp_path / "many", split))


def test_open_labels_are_left_out_and_counted(features: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    definition = feature_set(TIME, BOUGHT, BRAND, CLICKS, RATE, label=Label("bought", horizon_ms=5000))
    with caplog.at_level(logging.INFO):
        report = run(features, out, definition, observed=19000)
    assert report.left_out == {"the label's horizon is not over": 5}
    assert "left out 5 rows: the label's horizon is not over" in caplog.messages
    assert sum(split.rows for split in report.splits) == 15


def test_warnings_name_the_feature(tmp_path: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(1)
    bought = rng.integers(0, 2, 400)
    definition = feature_set(
        TIME,
        BOUGHT,
        feature("row_id", SqlType.STRING, Kind.CATEGORICAL),
        feature("constant", SqlType.INT, Kind.NUMERIC),
        feature("leak", SqlType.STRING, Kind.CATEGORICAL),
        feature("same", SqlType.INT, Kind.NUMERIC),
        feature("honest", SqlType.INT, Kind.NUMERIC),
    )
    columns = {
        "request_time": list(range(400)),
        "bought": bought.tolist(),
        "row_id": [f"r{i}" for i in range(400)],
        "constant": [None] * 400,
        "leak": ["yes" if label else "no" for label in bought],
        "same": bought.tolist(),
        "honest": rng.integers(0, 9, 400).tolist(),
    }
    report = run(write(tmp_path / "features.parquet", definition, columns), out, definition)
    assert [str(warning) for warning in report.warnings] == [
        "features.features.constant: has one value in all rows and teaches nothing.",
        "features.features.same: equals the label in every row looked at; it would not be known when a request is made.",
        "features.features.row_id: has 400 values in 400 rows; an id of the row cannot generalise.",
        "features.features.leak: predicts the label almost alone (AUC 1.0000); is it known when a request is made?",
    ]
    assert f"warning: {report.warnings[0]}" in caplog.messages
    assert "4 warnings in data_info.json" in report.summary()


def test_a_horizon_without_an_end_is_warned_of(features: Path, out: Path) -> None:
    definition = feature_set(TIME, BOUGHT, BRAND, CLICKS, RATE, label=Label("bought", horizon_ms=5000))
    report = run(features, out, definition)
    assert "features.label: a horizon without observed_until leaves nothing out." in map(str, report.warnings)


def test_a_short_run_loads_neither_pandas_nor_numba(features: Path, out: Path) -> None:
    """They would cost it more time than all it has to do."""
    script = (
        "import sys; from pathlib import Path; from tests.preprocess.test_stage import SMALL, run;"
        "before = {'pandas', 'numba'} & set(sys.modules);"
        f"run(Path({str(features)!r}), Path({str(out)!r}), encoding='tutorial');"
        "print(sorted({'pandas', 'numba'} & set(sys.modules) - before), sorted(before))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=CONF.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_a_split_of_one_class_is_warned_of(tmp_path: Path, out: Path) -> None:
    columns = {**COLUMNS, "bought": [0, 1] * 8 + [0] * 4}
    report = run(write(tmp_path / "features.parquet", SMALL, columns), out)
    assert [warning.message for warning in report.warnings if warning.where == "preprocess.split"] == [
        "the valid split has only negatives; its AUC is undefined.",
        "the test split has only negatives; its AUC is undefined.",
    ]


@pytest.mark.parametrize(
    ("definition", "options", "error", "message"),
    [
        (feature_set(BOUGHT, BRAND), {}, ConfigError, "preprocess.split.by: a split by time needs the request's time"),
        (
            feature_set(BOUGHT, BRAND, label=Label("bought", 5)),
            {"split": SplitConfig(by="random")},
            ConfigError,
            "features.label.horizon: the label's horizon needs the request's time, and no feature is it. "
            "Add to features.features: request_time: {expr: request_time, kind: drop}",
        ),
        (SMALL, {"keep": ["brnd"]}, ConfigError, "preprocess.keep: there is no feature 'brnd'. Did you mean 'brand'?"),
        (
            feature_set(TIME, BOUGHT, feature("brand", SqlType.STRING, Kind.NUMERIC, Encoding.BUCKET)),
            {},
            ConfigError,
            "features.features.brand: encoding bucket is for numbers, and this is a string.",
        ),
        (feature_set(TIME, BOUGHT), {}, ConfigError, "features.features: no feature is a field of the model."),
        (feature_set(TIME, BOUGHT, BRAND, feature("more", SqlType.INT, Kind.DROP)), {"keep": "more"}, StageError, "has no column more"),
    ],
)
def test_mistakes(features: Path, out: Path, definition: FeatureSet, options: Any, error: type[JdrecError], message: str) -> None:
    with pytest.raises(error) as raised:
        run(features, out, definition, **options)
    assert message in str(raised.value)
    assert not out.exists()


def test_bad_data_leaves_nothing_behind(tmp_path: Path, out: Path) -> None:
    columns = {**COLUMNS, "bought": [0, 1, 2, *[0] * 17]}
    with pytest.raises(DataError, match=r"features.features.bought: 1 labels of 'bought' are neither 0 nor 1, e.g. 2 in row 2"):
        run(write(tmp_path / "features.parquet", SMALL, columns), out)
    with pytest.raises(DataError, match="the request table has no rows"):
        run(write(tmp_path / "empty.parquet", SMALL, {name: [] for name in COLUMNS}), out)
    with pytest.raises(StageError, match=r"Run task=extract first"):
        run(tmp_path / "missing.parquet", out)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"text.parquet cannot be read.*Run task=extract with cache.enabled=false"):
        run(tmp_path / "text.parquet", out)
    wrong = pq.ParquetFile(write(tmp_path / "features.parquet", SMALL, COLUMNS)).read()
    pq.write_table(wrong.set_column(3, "clicks", pa.array(["many"] * 20)), tmp_path / "wrong.parquet")
    with pytest.raises(DataError, match="column 'clicks' of Arrow type string is no bigint"):
        run(tmp_path / "wrong.parquet", out)
    assert not out.exists() or not list(out.iterdir())


# --- the tutorial -----------------------------------------------------------------------------------------------------------


def shipped(preprocess_config: str) -> tuple[FeatureSet, PreprocessConfig]:
    """jd_tutorial's features with a shipped preprocess configuration."""
    values = {"dataset": "dataset/jd", "features": "features/jd_tutorial", "preprocess": f"preprocess/{preprocess_config}"}
    parts = {group: OmegaConf.to_container(OmegaConf.load(CONF / f"{path}.yaml")) for group, path in values.items()}
    parts["dataset"]["root"] = "."  # type: ignore[index, call-overload]
    config = load(parts)
    return resolve(config), config.preprocess


@pytest.fixture(scope="module")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real engine's features, in the request table's order."""
    table = pq.ParquetFile(shared / "golden" / "jd_tutorial_features.parquet").read()
    [requests] = (shared / "jd-recommendation" / "flattenRequest_clean").glob("*.parquet")
    order = pc.index_in(pq.ParquetFile(requests).read(["reqId"])["reqId"], value_set=table["reqId_1"])
    file = tmp_path_factory.mktemp("golden") / "features.parquet"
    pq.write_table(table.take(order), file)
    return file


TABLE_SIZES = (
    "4,26,16,4,11,809,1,1,5,3,17,16,7,13916,13890,13916,10000,3674,9119,7,2,13916,5,4,4,33,2,2,7,2580,3,5,13916,10,47,13916,"
    "365,17,132,32,37"
)


def test_the_tutorials_samples(golden: Path, out: Path) -> None:
    definition, config = shipped("tutorial")
    preprocess.run(definition, config, golden, out, seed=1, observed_until_ms=None, progress=Progress.silent())
    assert (out / "data_info.txt").read_text() == f"11132\n1391\n1393\n{TABLE_SIZES}"
    train = read(out, "train")
    assert train.schema.names == ["Label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 29))]
    assert train.schema.field("Label").type == pa.float32()
    assert {train.schema.field(i).type for i in range(1, 42)} == {pa.int64()}


def test_the_tutorials_ids_are_those_of_its_own_steps(golden: Path, out: Path, tmp_path: Path) -> None:
    """The same features through a real CSV file, pandas and xxhash."""
    import pandas as pd
    import xxhash

    definition, config = shipped("tutorial")
    preprocess.run(definition, config, golden, out, seed=1, observed_until_ms=None, progress=Progress.silent())
    table = pq.ParquetFile(golden).read()
    text = {}
    for name in table.schema.names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            local = pc.local_timestamp(column.cast(pa.timestamp("ms", "Asia/Shanghai")))
            column = pc.binary_join_element_wise(pc.strftime(local, "%Y-%m-%dT%H:%M:%S"), "+08:00", "")  # seconds with milliseconds
        text[name] = column
    pd.DataFrame({name: column.to_pandas(types_mapper=pd.ArrowDtype) for name, column in text.items()}).to_csv(
        tmp_path / "features.csv", index=False, na_rep="null"
    )
    cells = pd.read_csv(tmp_path / "features.csv", low_memory=False)
    for index, field in enumerate(definition.fields):
        expected = [xxhash.xxh64_intdigest(str(value).encode(), 10) for value in cells[field.name]]
        column = f"I{index + 1}" if index < 13 else f"C{index - 12}"
        ids = np.concatenate([read(out, name)[column].to_numpy() for name in ("train", "test", "valid")])
        assert ids.view(np.uint64).tolist() == expected, field.name


def test_canonical_ids_of_the_tutorials_features(golden: Path, out: Path) -> None:
    definition, _ = shipped("default")
    config = PreprocessConfig(numeric=Encoding.HASH)
    report = preprocess.run(definition, config, golden, out, seed=1, observed_until_ms=None, progress=Progress.silent())
    assert ",".join(map(str, report.table_sizes)) == TABLE_SIZES
    assert [split.rows for split in report.splits] == [11132, 1393, 1391]
    train, valid, test = report.splits
    assert train.last_ms < valid.first_ms <= valid.last_ms < test.first_ms  # type: ignore[operator]
    unique = [str(warning).split(" has ")[0] for warning in report.warnings if "cannot generalise" in warning.message]
    assert unique == [
        "features.query.keys: 'reqId_1'",
        "features.features.flattenRequest_eventTime_original_0:",
        "features.features.flattenRequest_reqId_original_1:",
        "features.query.keys: 'reqId_3'",
        "features.query.keys: 'reqId_14'",
        "features.query.keys: 'reqId_17'",
    ]
