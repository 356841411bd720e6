"""Bodies of /candidates: a context and products become rows, checked as rows of /predict are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jdrec.config import CandidatesConfig
from jdrec.errors import ConfigError
from jdrec.serving.candidates import CandidateReader
from jdrec.serving.failures import InvalidRequest
from jdrec.serving.rows import RowReader
from tests.serving.small_definitions import COLUMNS, ROW, every_type

FEATURES = every_type()
CONFIG = CandidatesConfig(column="user", derive={"id": "{at}-{user}"}, top=2)
CONTEXT = {name: value for name, value in ROW.items() if name not in ("id", "user")}


def reader(config: CandidatesConfig = CONFIG) -> CandidateReader:
    return CandidateReader(FEATURES, RowReader(FEATURES, 5), config)


def read(call: Any, config: CandidatesConfig = CONFIG):
    return reader(config).read(call if isinstance(call, bytes) else json.dumps(call).encode())


def refused(call: Any, config: CandidatesConfig = CONFIG) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as error:
        read(call, config)
    return error.value


def test_plain_values_fill_the_products_column_and_what_is_derived_of_it():
    asked = read({"context": CONTEXT, "candidates": ["a", "b"], "top": 1})
    assert [(row["id"], row["user"]) for row in asked.rows] == [("1459419080000-a", "a"), ("1459419080000-b", "b")]
    assert all(set(row) == set(COLUMNS) and row["count"] == 7 for row in asked.rows)
    assert (asked.given, asked.top) == (["a", "b"], 1)


def test_objects_bring_columns_of_their_own():
    asked = read({"context": {**CONTEXT, "id": "r", "user": "u"}, "candidates": [{"count": 1}, {"id": "x", "user": "v"}]})
    assert [(row["id"], row["user"], row["count"]) for row in asked.rows] == [("r", "u", 1), ("x", "v", 7)]
    assert asked.top == 2


def test_rows_are_the_same_however_candidates_are_given():
    plain = read({"context": CONTEXT, "candidates": ["a", "b"]}).rows
    objects = read({"context": CONTEXT, "candidates": [{"user": "a"}, {"user": "b"}]}).rows
    mixed = read({"context": CONTEXT, "candidates": [{"user": "a"}, "b"]}).rows
    assert plain == objects == mixed


def test_a_column_derived_of_a_derived_one():
    config = CandidatesConfig(column="user", derive={"id": "{at}/{user}"})
    chained = CandidatesConfig(column="count", derive={"user": "u{count}", "id": "{user}!"})
    assert read({"context": CONTEXT, "candidates": ["a"]}, config).rows[0]["id"] == "1459419080000/a"
    context = {name: value for name, value in CONTEXT.items() if name != "count"}
    assert [row["id"] for row in read({"context": context, "candidates": [3, 4]}, chained).rows] == ["u3!", "u4!"]


@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [
        (b"[", 400, "invalid_json"),
        ([], 400, "not_candidates"),
        ({"context": CONTEXT}, 400, "not_candidates"),
        ({"context": [], "candidates": ["a"]}, 400, "not_candidates"),
        ({"context": CONTEXT, "candidates": ["a"], "top": 0}, 400, "not_candidates"),
        ({"context": CONTEXT, "candidates": ["a"], "top": True}, 400, "not_candidates"),
        ({"context": CONTEXT, "candidate": ["a"]}, 400, "not_candidates"),
        ({"context": CONTEXT, "candidates": []}, 400, "no_candidates"),
        ({"context": CONTEXT, "candidates": ["a"] * 6}, 413, "too_many_candidates"),
        ({"context": CONTEXT, "candidates": ["a", 7]}, 422, "invalid_row"),
        ({"context": CONTEXT, "candidates": ["a", None]}, 422, "invalid_row"),
        ({"context": CONTEXT, "candidates": ["a", ["b"]]}, 422, "invalid_row"),
        ({"context": {**CONTEXT, "cuont": 1}, "candidates": ["a"]}, 422, "invalid_row"),
        ({"candidates": ["a"]}, 422, "invalid_row"),
    ],
)
def test_what_is_refused(call, status, kind):
    error = refused(call)
    assert (error.status, error.kind) == (status, kind)


def test_the_candidate_is_named():
    error = refused({"context": CONTEXT, "candidates": ["a", 7, "b"]})
    assert [(detail["row"], detail["field"], detail["message"]) for detail in error.details] == [
        (1, "user", "must be text, not an integer")
    ]


def test_plain_values_need_a_column():
    assert "serving.candidates.column" in refused({"context": ROW, "candidates": ["a"]}, CandidatesConfig()).message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CandidatesConfig(column="usr"), "no column 'usr'.*Did you mean 'user'"),
        (CandidatesConfig(derive={"idd": "x"}), "no column 'idd'"),
        (CandidatesConfig(derive={"id": "{usr}"}), "{usr} is no column.*'user'"),
        (CandidatesConfig(derive={"id": "{user"}), "is no template"),
        (CandidatesConfig(derive={"id": "{user!r}"}), "is no column"),
        (CandidatesConfig(derive={"id": "{user.x}"}), "is no column"),
    ],
)
def test_configurations_that_do_not_fit(config, message):
    with pytest.raises(ConfigError, match=message):
        reader(config)
