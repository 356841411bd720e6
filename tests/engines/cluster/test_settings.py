"""Where the cluster is, and that no message tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrec.config import ClusterConfig
from jdrec.engines.openmldb.settings import settings
from jdrec.errors import ConfigError


def test_the_configuration_wins_over_the_environment():
    env = {"OPENMLDB_ZK": "a:1", "OPENMLDB_ZK_PATH": "/a", "OPENMLDB_USER": "ann", "OPENMLDB_PASSWORD": "s3cret"}
    assert settings(ClusterConfig(), env).parameters() == {
        "requestTimeout": 60000,
        "glogLevel": 3,
        "zk": "a:1",
        "zkPath": "/a",
        "zkLogLevel": 0,
        "user": "ann",
        "password": "s3cret",
    }
    given = settings(ClusterConfig(zk="b:2", zk_path="/b", user="bob", password_env="OTHER", request_timeout_s=1.5), {**env, "OTHER": "x"})
    assert given.parameters() == {
        "requestTimeout": 1500,
        "glogLevel": 3,
        "zk": "b:2",
        "zkPath": "/b",
        "zkLogLevel": 0,
        "user": "bob",
        "password": "x",
    }


def test_a_standalone_server():
    given = settings(ClusterConfig(host="10.0.0.1:6527"), {})
    assert given.parameters() == {"requestTimeout": 60000, "glogLevel": 3, "host": "10.0.0.1", "port": 6527}
    assert not given.is_cluster


def test_a_password_in_a_file(tmp_path: Path):
    (tmp_path / "password").write_text("s3cret\n")
    given = settings(ClusterConfig(zk="a:1", zk_path="/a", password_file=str(tmp_path / "password")), {"OPENMLDB_PASSWORD": "other"})
    assert given.password == "s3cret"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {},
            "openmldb.cluster: it is not said where the cluster is. Set zk and zk_path, or the environment variables OPENMLDB_ZK and OPENMLDB_ZK_PATH.",
        ),
        (
            {"zk": "a:1"},
            "openmldb.cluster.zk_path: is missing. It is the cluster's root in ZooKeeper, e.g. /openmldb; or set OPENMLDB_ZK_PATH.",
        ),
        ({"zk": "a:1", "host": "b:2"}, "openmldb.cluster: zk and host are both given. zk is for a cluster, host for a standalone server."),
        ({"host": "b"}, "openmldb.cluster.host: is not host:port. For example 127.0.0.1:6527."),
        ({"host": "b:99999"}, "openmldb.cluster.host: is not host:port. For example 127.0.0.1:6527."),
        (
            {"zk": "a:1", "zk_path": "/a", "password_file": "/nowhere/password"},
            "openmldb.cluster.password_file: cannot be read: No such file or directory.",
        ),
    ],
)
def test_mistakes(config: dict, message: str):
    with pytest.raises(ConfigError) as error:
        settings(ClusterConfig(**config), {})
    assert str(error.value) == message


def test_nothing_secret_is_shown():
    env = {"OPENMLDB_USER": "ann", "OPENMLDB_PASSWORD": "s3cret"}
    given = settings(ClusterConfig(zk="zk-one:2181,10.1.2.3:2181", zk_path="/openmldb"), env)
    text = "ann at zk-one:2181 and zk-one, 10.1.2.3:9527, planner, s3cret, spark.openmldb.password=d7c8, {'password': 'd7c8'}, passwd: d7c8"
    assert given.redactor()(text) == (
        "*** at *** and ***, ***:9527, planner, ***, spark.openmldb.password=***, {'password': ***}, passwd: ***"
    )
    assert repr(given) == "Settings(request_timeout_s=60.0)"


def test_without_secrets_a_text_stays_as_it_is():
    assert settings(ClusterConfig(zk="a:1", zk_path="/b"), {"OPENMLDB_USER": "root"}).redactor()("/srv/root/x of b") == "/srv/root/x of b"
