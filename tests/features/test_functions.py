"""The registry's entries by themselves; what they say about types is compared with the compiler in test_infer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jdrec.errors import ConfigError
from jdrec.features import functions
from jdrec.features.functions.examples import example, examples
from jdrec.features.resolve import resolve
from jdrec.features.sql import query
from tests.conftest import REPO
from tests.features.small import config, with_features

WANTED = """
    count sum avg min max distinct_count median first_value lag at stddev stddev_pop var_samp var_pop entropy ew_avg
    drawdown topn_frequency top top1_ratio nth_value_where top_n_key_ratio_cate top_n_value_ratio_cate
    concat concat_ws substr char_length lower upper replace reverse split_by_key
    abs ceil floor round ln log log2 log10 exp pow sqrt sin cos tan asin acos atan
    year month day hour minute second dayofweek dayofyear weekofyear date_format datediff unix_timestamp
"""


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("count", "count(x)"),
        ("substr", "substr(x, start[, length])"),
        ("concat", "concat(x, ...)"),
        ("concat_ws", "concat_ws(separator, x, ...)"),
        ("log", "log([base, ]x)"),
        ("top_n_value_avg_cate_where", "top_n_value_avg_cate_where(x, condition, category, n)"),
    ],
)
def test_signatures(name: str, signature: str) -> None:
    assert functions.FUNCTIONS[name].signature == signature


def test_a_name_is_used_once() -> None:
    every = [name for f in functions.FUNCTIONS.values() for name in (f.name, *f.aliases)]
    assert len(every) == len(set(every)) == len(functions.names())


def test_every_family_of_the_language_is_there() -> None:
    wanted = set(WANTED.split())
    for statistic in ("count", "sum", "avg", "min", "max"):
        wanted |= {f"{statistic}_where", f"{statistic}_cate", f"{statistic}_cate_where"}
        wanted |= {f"top_n_key_{statistic}_cate_where", f"top_n_value_{statistic}_cate_where"}
    assert wanted - set(functions.names()) == set()


def test_examples() -> None:
    assert example(functions.FUNCTIONS["topn_frequency"]) == "topn_frequency(c_int, 2)"
    assert example(functions.FUNCTIONS["ew_avg"]) == "ew_avg(c_int, 0.5)"
    assert example(functions.FUNCTIONS["join"]) == "join(split(c_string, ','), c_string)"
    assert examples(functions.FUNCTIONS["degrees"]) == ["degrees(c_double)"]
    assert examples(functions.FUNCTIONS["unix_timestamp"]) == ["unix_timestamp(c_date)", "unix_timestamp(c_string)"]
    assert examples(functions.FUNCTIONS["date_format"]) == ["date_format(c_date, c_string)", "date_format(c_timestamp, c_string)"]


@pytest.mark.parametrize(
    ("name", "in_06", "in_09"),
    [("count", True, True), ("median", True, True), ("regexp_like", False, True), ("get_json_object", False, True)],
)
def test_versions(name: str, in_06: bool, in_09: bool) -> None:
    assert (functions.FUNCTIONS[name].is_in("0.6"), functions.FUNCTIONS[name].is_in("0.9")) == (in_06, in_09)


def test_a_function_that_the_version_lacks() -> None:
    feature_set = resolve(
        with_features(f={"over": "visits_3", "expr": "1 + median(price)"}, g={"over": "visits_3", "expr": "entropy(user)"})
    )
    with pytest.raises(ConfigError) as caught:
        query(feature_set, "0.6")
    assert str(caught.value) == "features.features.g: entropy is in OpenMLDB from 0.8.0 on, openmldb.version is 0.6."
    assert "entropy(`user`) over visits_3 as g" in query(feature_set, "0.9")


def test_a_derived_columns_function_that_the_version_lacks() -> None:
    feature_set = resolve(config(**{"features.derived": {"visit": {"d": "datediff(date(at_time), '2016-01-01')"}}}))
    with pytest.raises(ConfigError) as caught:
        query(feature_set, "0.6")
    assert str(caught.value) == "features.derived.visit.d: datediff is in OpenMLDB from 0.7.0 on, openmldb.version is 0.6."


def test_join_is_written_in_backticks() -> None:
    feature_set = resolve(with_features(a="join(split(user, ','), '')", b="`join`(split_by_key(user, ',', '_'), '')"))
    sql = query(feature_set, "0.9")
    assert "`join`(split(`user`, ','), '') as a" in sql
    assert "`join`(split_by_key(`user`, ',', '_'), '') as b" in sql


def test_the_reference_page_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, "scripts/functions.py", "--check"], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
