"""docs/checks.md: every example gets exactly the message beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jdrec.config import load
from jdrec.dataset.tables import open_tables
from jdrec.engines import data_checks
from jdrec.errors import ConfigErrors, JdrecError
from jdrec.features import checks, compiler, deployment
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.features.sql import query
from tests.features.documented import Example, changed, examples, write_tables
from tests.features.test_indexes import read
from tests.features.test_rows import CASES, made

DEPLOYMENT = [example for example in examples(data=False) if "OpenMLDB cannot deploy it" in example.message]


def outcome(changes: dict[str, Any]) -> tuple[str, list[str]]:
    """Whether a definition stops a run, and the messages."""
    try:
        findings = checks.check(resolve(load(changed(changes))))
    except JdrecError as error:
        return "error", [str(one) for one in (error.errors if isinstance(error, ConfigErrors) else [error])]
    return "warning", [str(finding) for finding in findings]


@pytest.mark.parametrize("example", examples(data=False), ids=lambda example: example.check)
def test_the_definition_gets_this_message(example: Example) -> None:
    assert outcome(example.changes) == (example.kind, [example.message])


def test_the_definition_by_itself_is_fine() -> None:
    assert outcome({}) == ("warning", [])
    assert len(examples(data=False)) > 45


@pytest.mark.parametrize("example", examples(data=True), ids=lambda example: example.check)
def test_the_tables_get_this_message(example: Example, tmp_path: Path) -> None:
    write_tables(tmp_path)
    feature_set = resolve(load(changed(example.changes)))
    found = data_checks.findings(feature_set, open_tables(feature_set, tmp_path, feature_set.timezone))
    expected = list(dict.fromkeys((one.kind, one.message) for one in (examples(data=True)[0], example)))
    assert [("error" if finding.error else "warning", str(finding)) for finding in found] == expected


def deployable(feature_set: FeatureSet, answer: dict[str, Any]) -> bool:
    """Whether the compiler takes it in request mode, and finds an index on every table that windows and joins read."""
    if "columns" not in answer:
        assert answer["refused"] == "request"
        return False
    indexed = set(read(answer["ddl"]))
    wanted = {table for block in feature_set.blocks for table in block.union}
    if any(not feature_set.windows[name].instance_not_in_window for block in feature_set.blocks for name in block.windows):
        wanted.add(feature_set.request_table)
    wanted |= {feature_set.joins[name].table for block in feature_set.blocks for name in block.joins}
    return wanted <= indexed


@pytest.mark.compiler
def test_openmldb_has_these_rules() -> None:
    """What is refused here is refused by the compiler, or has no index; what is not is deployable."""
    sets = [resolve(load(changed({**example.changes, "features.features.clicks": None}))) for example in DEPLOYMENT]
    answers = compiler.answers(sets[0], [query(feature_set, compiler.VERSION) for feature_set in sets])
    assert [deployable(*pair) for pair in zip(sets, answers, strict=True)] == [False] * len(DEPLOYMENT)
    sets = [made(f=feature) for feature, _ in CASES]
    answers = compiler.answers(sets[0], [query(feature_set, compiler.VERSION) for feature_set in sets])
    for feature_set, answer in zip(sets, answers, strict=True):
        assert deployable(feature_set, answer) == (not deployment.undeployable(feature_set)), feature_set.features[-1]


def test_offline_only_they_are_no_mistake() -> None:
    for example in DEPLOYMENT:
        feature_set = resolve(load(changed(example.changes)))
        assert not any("deploy" in str(finding) for finding in checks.check(feature_set, deployable=False))
