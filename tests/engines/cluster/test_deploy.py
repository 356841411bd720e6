"""task=deploy against the stand-in: the plan first, then tables, deployment and data in the order that OpenMLDB asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jdrec import deploy
from jdrec.engines.openmldb.errors import ClusterError, JobError, JobTimeout, SchemaError
from jdrec.errors import CheckError, CompilerError, JdrecError, StageError
from jdrec.features import compiler
from jdrec.progress import Progress
from tests.engines.cluster.examples import opened
from tests.engines.cluster.stand_in import Cluster


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """OpenMLDB's compiler has tests of its own; here it counts that it is asked, and when."""
    asked: list[str] = []
    monkeypatch.setattr(compiler, "check", lambda feature_set: asked.append(feature_set.database))
    return asked


def run(root: Path, capsys: pytest.CaptureFixture[str], *, window: str = "1d", **sections: Any) -> str:
    """What the task prints."""
    config, feature_set, _ = opened(root, window=window, **sections)
    deploy.run(config, feature_set, root / "run", Progress.silent())
    return capsys.readouterr().out


def failure(root: Path, kind: type[JdrecError], **sections: Any) -> str:
    config, feature_set, _ = opened(root, **sections)
    with pytest.raises(kind) as error:
        deploy.run(config, feature_set, root / "run", Progress.silent())
    assert type(error.value) is kind
    return str(error.value)


def changing(cluster: Cluster) -> list[str]:
    """The beginnings of the statements that change something."""
    shown = [" ".join(statement.split()[:3]) for statement in cluster.statements]
    return [statement for statement in shown if statement.split()[0] in ("CREATE", "DEPLOY", "DROP", "LOAD", "TRUNCATE", "select")]


APPLY = {"apply": True}
REPLACE = {"apply": True, "replace": True}
BIAS = {"range_bias": "inf"}


def test_a_plan_on_an_empty_cluster(tmp_path: Path, cluster: Cluster, compiled: list[str], capsys: pytest.CaptureFixture[str]):
    shown = run(tmp_path, capsys, openmldb=BIAS).splitlines()
    assert shown[:8] == [
        "deployment shop.demo: new",
        "--- deployed",
        "+++ defined",
        "@@ -0,0 +1,29 @@",
        "+options(range_bias=inf)",
        "+select",
        "+  *",
        "+from",
    ]
    assert shown[-1] == "nothing was done; to do it: deploy.apply=true"
    assert cluster.statements == ["SHOW DATABASES"]
    assert compiled == ["shop"]


def test_deploying_something_new(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    shown = run(tmp_path, capsys, deploy=APPLY)
    assert shown.splitlines()[-1] == "shop.demo deployed; loaded request, event"
    assert changing(cluster) == [
        "CREATE DATABASE IF",
        "CREATE TABLE IF",
        "CREATE TABLE IF",
        "DEPLOY demo OPTIONS(SYNC='false')",
        "LOAD DATA INFILE",
        "LOAD DATA INFILE",
    ]
    assert [table.online_rows for table in cluster.databases["shop"].values()] == [10, 10]
    assert "note: the indexes drop rows that are older, by the clock, than the query's windows reach." in shown


def test_options(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    options = {"range_bias": "20d", "rows_bias": "1000", "skip_index_check": True}
    run(tmp_path, capsys, openmldb=options, deploy={"apply": True, "sync": True, "load": "none"})
    statement = next(statement for statement in cluster.statements if statement.startswith("DEPLOY"))
    assert statement.splitlines()[0] == "DEPLOY demo OPTIONS(RANGE_BIAS='20d', ROWS_BIAS='1000', SYNC='true', SKIP_INDEX_CHECK='true')"
    assert not any(statement.startswith("LOAD") for statement in cluster.statements)


def test_nothing_changes(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, openmldb=BIAS, deploy=APPLY)
    cluster.statements.clear()
    assert run(tmp_path, capsys, openmldb=BIAS, deploy=APPLY) == (
        "deployment shop.demo: unchanged\nshop.demo left as it is; no table was loaded\n"
    )
    assert changing(cluster) == ["CREATE DATABASE IF", "CREATE TABLE IF", "CREATE TABLE IF"]


def test_how_it_was_deployed_is_no_change(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    shown = run(tmp_path, capsys, openmldb={"skip_index_check": True}, deploy={"sync": True})
    assert shown.startswith("deployment shop.demo: unchanged\n")


def test_a_change(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, openmldb=BIAS, deploy=APPLY)
    cluster.deployments["other"] = ("", "select 1")
    cluster.statements.clear()
    shown = run(tmp_path, capsys, window="2d", openmldb={"range_bias": "30d"})
    frame = "partition by user order by ts rows_range between {} preceding and 0s preceding exclude current_time instance_not_in_window)"
    window = f"    window day as (union (select user, ts, price, '' as id from event) {frame}"
    assert [line for line in shown.splitlines() if line[:1] in "-+"] == [
        "--- deployed",
        "+++ defined",
        "-options(range_bias=inf)",
        "+options(range_bias=30d)",
        "-" + window.format("1d"),
        "+" + window.format("2d"),
    ]
    assert shown.splitlines()[0] == "deployment shop.demo: changed"
    assert "left alone: other" in shown
    assert "note: OpenMLDB cannot change a deployment: demo is dropped and deployed anew (deploy.replace=true). In between," in shown
    assert shown.splitlines()[-1] == "nothing was done; to do it: deploy.apply=true deploy.replace=true"
    assert changing(cluster) == []


def test_a_change_has_to_be_allowed(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.statements.clear()
    message = failure(tmp_path, StageError, window="2d", deploy=APPLY)
    assert message.startswith("deploy.replace: deployment demo has changed. OpenMLDB cannot change a deployment: ")
    assert changing(cluster) == []


def test_a_replacement_waits_for_its_indexes(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.statements.clear()
    shown = run(tmp_path, capsys, window="2d", deploy=REPLACE)
    assert shown.splitlines()[-1] == "shop.demo dropped and deployed anew; no table was loaded"
    assert changing(cluster)[3:] == ["DROP DEPLOYMENT demo", "DEPLOY demo OPTIONS(SYNC='false')"]
    assert cluster.statements.count("SHOW JOBS FROM NAMESERVER LIKE '3'") == 3  # the tables hold rows: an index job, to its end
    assert "2d preceding" in cluster.deployments["demo"][1]


def test_a_refused_replacement_brings_the_old_one_back(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.refused["between 2d"] = "explain failed: too long"
    message = failure(tmp_path, ClusterError, window="2d", deploy=REPLACE)
    assert message.startswith("OpenMLDB fails at `DEPLOY demo OPTIONS(SYNC='false') select * from ( select `id` as id_1, `bought` as label")
    assert message.endswith(": explain failed: too long. \nThe old deployment demo was restored.")
    assert "deployment shop.demo: unchanged" in run(tmp_path, capsys)


def test_a_failed_index_job_brings_the_old_one_back(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.failing["between 2d"] = ("FAILED", None, "")
    message = failure(tmp_path, JobError, window="2d", deploy=REPLACE)
    assert message == "could not build the indexes of demo: job 3 failed. \nThe old deployment demo was restored."


def test_an_old_deployment_that_does_not_come_back(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str], caplog: Any):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.refused["DEPLOY demo"] = "no tablet"
    message = failure(tmp_path, ClusterError, window="2d", deploy=REPLACE)
    assert "The old deployment demo was dropped and could not be restored (OpenMLDB fails at `DEPLOY demo" in message
    assert "between 1d preceding" in caplog.text


def test_a_slow_index_job_is_left_to_finish(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.failing["between 2d"] = ("RUNNING", None, "")
    message = failure(tmp_path, JobTimeout, window="2d", deploy=REPLACE, cluster={"poll_s": 60, "job_timeout_s": 100})
    assert message == (
        "could not build the indexes of demo: job 3 has not finished after 120 s and goes on. "
        "Set openmldb.cluster.job_timeout_s higher, or leave it out."
    )
    assert cluster.stopped == []


def test_the_query_is_compiled_before_the_cluster_is_asked(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    def refuse(feature_set: object) -> None:
        raise CompilerError("no such function")

    monkeypatch.setattr(compiler, "check", refuse)
    assert failure(tmp_path, CompilerError, deploy=APPLY) == "no such function"
    assert cluster.arguments == []


def test_existing_tables_of_another_shape(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.databases["shop"]["event"].columns = "user string, ts timestamp"
    cluster.deployments.clear()
    assert "event: column price is missing" in failure(tmp_path, SchemaError, deploy=APPLY)
    assert cluster.deployments == {}


def test_online_data_are_loaded_once(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster.databases["shop"]["event"].online_rows = 0
    assert "; loaded event\n" in run(tmp_path, capsys, deploy=APPLY)
    assert "; loaded request, event\n" in run(tmp_path, capsys, deploy={"apply": True, "load": "all"})
    assert [table.online_rows for table in cluster.databases["shop"].values()] == [20, 20]


def test_a_failing_online_load(tmp_path: Path, cluster: Cluster):
    cluster.failing["INTO TABLE event online"] = ("FAILED", "no space", "OutOfMemory")
    message = failure(tmp_path, JobError, deploy=APPLY)
    assert message.startswith("could not load event online: job 2 failed: no space\n")
    assert message.endswith(
        "The whole log: SHOW JOBLOG 2\nevent may hold a part of its rows: TRUNCATE TABLE event before it is loaded again."
    )


def test_a_standalone_server_can_be_deployed_to(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    shown = run(tmp_path, capsys, deploy={"apply": True, "load": "none"}, cluster={"zk": None, "zk_path": None, "host": "127.0.0.1:6527"})
    assert shown.splitlines()[-1] == "shop.demo deployed; no table was loaded"
    assert {"host": "127.0.0.1", "port": 6527}.items() <= cluster.arguments[0].items()


def test_what_older_versions_show(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    _, query = cluster.deployments["demo"]
    answer = f" ---- \n  SQL \n ---- \n  CREATE PROCEDURE demo (`id` varchar, `ts` timestamp) BEGIN {query}; END;  \n ---- \n1 row in set"
    cluster._show_deployment = lambda session, name: (["SQL"], [(answer,)])  # type: ignore[method-assign]
    assert run(tmp_path, capsys).startswith("deployment shop.demo: unchanged\n")


def test_an_answer_that_is_not_understood(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    run(tmp_path, capsys, deploy=APPLY)
    cluster._show_deployment = lambda session, name: (["SQL"], [("gone",)])  # type: ignore[method-assign]
    assert failure(tmp_path, ClusterError) == "the answer to SHOW DEPLOYMENT demo is not understood: no SQL in 'gone'"


@pytest.mark.parametrize(
    ("long_windows", "message"),
    [
        ({"dya": "1d"}, "openmldb.long_windows: there is no window 'dya'. Did you mean 'day'?"),
        ({"day": "often"}, "openmldb.long_windows.day: 'often' is not a bucket size such as 1d or 1000."),
        ({"day": "1d"}, "openmldb.long_windows: OpenMLDB has long windows only in queries over one table, without join or union."),
    ],
)
def test_long_windows_that_cannot_be(tmp_path: Path, cluster: Cluster, long_windows: dict, message: str):
    assert failure(tmp_path, CheckError, openmldb={"long_windows": long_windows}) == message
    assert cluster.arguments == []


LONG = {"day": {"partition_by": "user", "range": "1d"}}
COUNTED = {"moment": {"expr": "ts"}, "requests_1d": {"over": "day", "expr": "count(bought)"}}


def test_long_windows_come_before_the_data(tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    sections = {"windows": LONG, "columns": COUNTED, "openmldb": {"long_windows": {"day": "12h"}}}
    run(tmp_path, capsys, deploy=APPLY, **sections)
    statement = next(statement for statement in cluster.statements if statement.startswith("DEPLOY"))
    assert statement.splitlines()[0] == "DEPLOY demo OPTIONS(LONG_WINDOWS='day:12h', SYNC='false')"
    assert run(tmp_path, capsys, **sections).startswith("deployment shop.demo: unchanged\n")
    cluster.deployments.clear()
    assert failure(tmp_path, StageError, deploy=APPLY, **sections) == (
        "openmldb.long_windows: long windows can only be deployed on tables without online rows: request (10 rows), event (10 rows). "
        "TRUNCATE TABLE them and deploy again, or use another dataset.database."
    )
    assert cluster.deployments == {}
