"""What can be tested with the real SDK where there is no cluster: its parser on every statement, and its way of failing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from jdrec import deploy
from jdrec.config import load
from jdrec.engines.openmldb import extract
from jdrec.engines.openmldb.normal import normal
from jdrec.features import compiler, sql
from jdrec.features.resolve import resolve
from jdrec.paths import CONF
from jdrec.progress import Progress
from tests.engines.cluster import parser
from tests.engines.cluster.examples import opened
from tests.engines.cluster.stand_in import Cluster

pytestmark = pytest.mark.compiler


def run_all(root: Path, **sections: Any) -> None:
    config, feature_set, tables = opened(root, **sections)
    extract(feature_set, tables, root / "features.parquet", config=config, progress=Progress.silent())
    deploy.run(config, feature_set, root / "run", Progress.silent())


def test_the_parser_takes_every_statement(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiler, "check", lambda feature_set: None)
    run_all(tmp_path, deploy={"apply": True}, openmldb={"indexes": True})
    run_all(
        tmp_path,
        window="2d",
        cluster={"deep_copy": False},
        openmldb={"range_bias": "inf", "rows_bias": "10", "skip_index_check": True},
        deploy={"apply": True, "replace": True},
    )
    cluster.failing["INTO OUTFILE"] = ("RUNNING", None, "")
    config, feature_set, tables = opened(tmp_path, cluster={"job_timeout_s": 1, "poll_s": 2})
    with pytest.raises(Exception, match="was told to stop"):
        extract(feature_set, tables, tmp_path / "features.parquet", config=config, progress=Progress.silent())
    kinds = {re.sub(r"[\d'].*", "", " ".join(statement.split()[:4])).strip() for statement in cluster.statements}
    assert {"SHOW JOB", "SHOW JOBLOG", "STOP JOB", "SHOW JOBS FROM NAMESERVER", "DROP DEPLOYMENT demo", "SHOW DEPLOYMENT demo"} <= kinds
    statements = sorted(set(cluster.statements))
    answers = parser.accepted(
        [*statements, "TRUNCATE TABLE event", "DEPLOY OPTIONS(SYNC='false') demo select 1", "LOAD DATA INFILE a INTO TABLE t"]
    )
    assert answers == [True] * (len(statements) + 1) + [False, False]


@pytest.mark.parametrize("features", ["jd_tutorial", "jd_deepfm"])
def test_a_deployed_query_has_the_normal_form_of_ours(features: str):
    data = yaml.safe_load((CONF / "dataset" / "jd.yaml").read_text())
    query = sql.query(
        resolve(load({"dataset": data, "features": yaml.safe_load((CONF / "features" / f"{features}.yaml").read_text())})), "0.9"
    )
    (stored,) = parser.unparsed([query])
    assert stored is not None and stored.startswith("SELECT\n  *\nFROM\n  (\n    SELECT\n")
    assert normal(stored) == normal(query)


EXPRESSIONS = """
a <> b, a != b, a == b, !a, not a, a is not null, a is null, cast(a as double), double(a), a in (1, 2.50, -3), a not in ('x', 'y'),
a not like 'x%' escape '\\\\', a ilike 'x', a rlike 'x', a between 1 and 2 or b, a % 2, a div 2, a mod 2, -a, - -a, 1e5, 1.0, a || 'x',
a xor b, case a when 1 then 2 end, case when a then 1 else null end, "dq\\"s", 'it\\'s', "a'b", 'tab\\t', '中文', '\\\\d', substr(a, 1, 2),
sum(a) over w / count(*) over w, count(distinct a), lag(a, 1) over (w), at(a, 0) over w, `at`(a, 1), if(a > 1, 2, 3), TRUE, false, NULL,
a + (b * c), a and (b or c), `left`(a, 1), b.a, hour(t), `hour`(t), char(65), replace(a, 'x', 'y'), string(a), timestamp(a), first_value(a) over w,
avg_cate_where(a, b > 1, c) over w, topn_frequency(a, 3) over w, 14d, bigint(0), float(0)
"""


def test_expressions_have_one_normal_form():
    items = [item.strip() for item in re.split(r",\s(?![^()]*\))(?=(?:[^'\"]|'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\")*$)", EXPRESSIONS.strip())]
    clause = "from t as b window w as (partition by a order by b rows between 1 preceding and current row)"
    queries = [f"select {item} as `select` {clause}" for item in items if item != "14d"]
    stored = parser.unparsed(queries)
    assert len(queries) > 50
    assert None not in stored
    assert [normal(text or "") for text in stored] == [normal(query) for query in queries]


def test_what_the_parser_stored_is_unchanged(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setattr(compiler, "check", lambda feature_set: None)
    cluster.unparse = lambda query: parser.unparsed([query])[0] or ""
    config, feature_set, _ = opened(tmp_path, deploy={"apply": True}, openmldb={"range_bias": "inf"})
    for _ in range(2):
        deploy.run(config, feature_set, tmp_path / "run", Progress.silent())
    assert "\n    SELECT\n" in cluster.deployments["demo"][1]
    assert capsys.readouterr().out.endswith("deployment shop.demo: unchanged\nshop.demo left as it is; no table was loaded\n")


CONNECT = """
import logging, traceback
logging.basicConfig(level=logging.DEBUG)
from jdrec.config import ClusterConfig
from jdrec.engines.openmldb.connection import Session
from jdrec.engines.openmldb.settings import settings
try:
    Session(settings(ClusterConfig(request_timeout_s=1, **{arguments})))
except Exception:
    traceback.print_exc()
"""


@pytest.mark.parametrize("arguments", [{"zk": "127.0.0.1:1", "zk_path": "/openmldb"}, {"host": "127.0.0.1:1"}])
def test_no_server_and_nothing_secret(arguments: dict[str, str]):
    """The SDK's own exception and log show the address and the password."""
    environment = {"PATH": "/usr/bin:/bin", "OPENMLDB_USER": "somebody", "OPENMLDB_PASSWORD": "s3cret"}
    command = [sys.executable, "-c", CONNECT.replace("{arguments}", repr(arguments))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "LostConnection: openmldb.cluster: cannot connect to OpenMLDB: fail to init OpenMLDB sdk" in done.stderr
    assert not re.search(r"s3cret|somebody|127\.0\.0\.1", done.stdout + done.stderr)
