"""The SQL of jd_tutorial under OpenMLDB 0.6 is the tutorial's, token for token."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jdrec.features.resolve import resolve
from jdrec.features.sql import render
from tests.features.small import shipped

_TOKEN = re.compile(r"\s+|(?P<token>'[^']*'|`[^`]*`|@@?\w+|\w+|[!<>=]=|.)", re.DOTALL)
_SELECT = re.compile(r"\bselect\b.*", re.DOTALL)


def tokens(sql: str) -> list[str]:
    """Its tokens; of a path, only the last folder and the file count."""
    found = [match["token"] for match in _TOKEN.finditer(sql) if match["token"]]
    return ["/".join(token.strip("'").split("/")[-2:]) if token.startswith("'/") else token for token in found]


def statements(sql: str) -> list[list[str]]:
    """The tokens of each statement; semicolons end them (no string holds one)."""
    return [tokens(part) for part in sql.split(";") if part.strip()]


@pytest.fixture(scope="module")
def tutorial(shared: Path) -> dict[str, list[list[str]]]:
    """The tutorial's statements, by the file in which jdrec writes them."""
    text = (shared / "tutorial.md").read_text("utf-8")
    blocks = [re.sub(r"^> ", "", block, flags=re.MULTILINE) for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)]
    (create,) = (block for block in blocks if "CREATE DATABASE" in block)
    (offline,) = (block for block in blocks if "execute_mode='offline'" in block)
    (online,) = (block for block in blocks if "execute_mode='online'" in block)
    (select,) = (block for block in blocks if "INTO OUTFILE" in block)
    (deploy,) = (block for block in blocks if "DEPLOY demo" in block)
    match = _SELECT.search(select)
    assert match is not None
    query = match[0].split("INTO OUTFILE")[0]
    return {
        "create_tables.sql": statements(create),
        "load_offline_data.sql": statements(offline),
        "select_features.sql": statements(select),
        "load_online_data.sql": statements(online),
        "deploy.sql": statements(deploy.replace("<SQL>", query)),
    }


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[list[str]]]:
    config = shipped("jd_tutorial", openmldb={"version": "0.6", "data_dir": "/data", "output": "/data/out/1"})
    return {name: statements(sql) for name, sql in render(resolve(config), config, "/run").items()}


@pytest.mark.parametrize(
    ("file", "count"),
    [("create_tables.sql", 8), ("load_offline_data.sql", 8), ("select_features.sql", 2), ("load_online_data.sql", 8), ("deploy.sql", 2)],
)
def test_token_for_token(file: str, count: int, tutorial: dict[str, list[list[str]]], rendered: dict[str, list[list[str]]]) -> None:
    assert len(tutorial[file]) == count
    for theirs, ours in zip(tutorial[file], rendered[file], strict=True):
        assert ours == theirs
