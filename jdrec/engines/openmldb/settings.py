"""Where the cluster is and how to log in: from the configuration, else from the environment, and kept out of every message.

A run writes its configuration into its folder, so a password is never a key of it: the configuration names the environment
variable or the file that holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jdrec.config import ClusterConfig
from jdrec.errors import ConfigError

ZK, ZK_PATH, HOST, USER = "OPENMLDB_ZK", "OPENMLDB_ZK_PATH", "OPENMLDB_HOST", "OPENMLDB_USER"
_WHERE = "openmldb.cluster"


@dataclass(frozen=True)
class Settings:
    """How to connect: ZooKeeper of a cluster, or host and port of a standalone server, which has no offline engine."""

    zk: str | None = field(repr=False)  # host:port, or several separated by commas
    zk_path: str | None = field(repr=False)
    host: str | None = field(repr=False)
    port: int | None = field(repr=False)
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    request_timeout_s: float

    @property
    def is_cluster(self) -> bool:
        return self.zk is not None

    def parameters(self) -> dict[str, str | int]:
        """Arguments of the SDK's `connect`. Its own logs, which would show addresses, are off."""
        given: dict[str, str | int] = {"requestTimeout": round(self.request_timeout_s * 1000), "glogLevel": 3}
        if self.zk is not None and self.zk_path is not None:
            given |= {"zk": self.zk, "zkPath": self.zk_path, "zkLogLevel": 0}
        elif self.host is not None and self.port is not None:
            given |= {"host": self.host, "port": self.port}
        given |= {"user": self.user} if self.user is not None else {}
        given |= {"password": self.password} if self.password is not None else {}
        return given

    def redactor(self) -> Redactor:
        """Takes the addresses, the user and the password out of a text."""
        addresses = (self.zk or "").split(",") + ([f"{self.host}:{self.port}"] if self.host else [])
        hosts = [address.rpartition(":")[0] for address in addresses]
        users = [self.user] if self.user and self.user != "root" else []  # root is the documented default, and a folder's name
        return Redactor([self.zk or "", *addresses, self.password or ""], names=[*hosts, *users])


class Redactor:
    """Replaces secrets by ***: texts wherever they stand, names as whole words, and whatever follows "password=".

    Job logs print the settings of a job, and the SDK's errors the arguments of `connect`.
    """

    def __init__(self, texts: list[str], names: list[str] | None = None):
        parts = [re.escape(text) for text in sorted({text for text in texts if text}, key=len, reverse=True)]
        parts += [rf"\b{re.escape(name)}\b" for name in names or [] if name]
        self._secret = re.compile("|".join(parts)) if parts else None

    _ASSIGNED = re.compile(r"""(?i)(passw(?:or)?d["']?\s*[:=,]\s*)("[^"]*"|'[^']*'|[^\s,;)}\]]+)""")

    def __call__(self, text: str) -> str:
        text = self._ASSIGNED.sub(r"\1***", text)
        return self._secret.sub("***", text) if self._secret else text


def settings(config: ClusterConfig, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings; the configuration wins over the environment.

    Args:
        environment: the process's own by default.

    Raises:
        ConfigError: it is not said where the cluster is, or what is said cannot be.
    """
    env = os.environ if environment is None else environment
    zk, zk_path, host = config.zk or env.get(ZK), config.zk_path or env.get(ZK_PATH), config.host or env.get(HOST)
    if not zk and not host:
        raise ConfigError(
            "it is not said where the cluster is.",
            where=_WHERE,
            hint=f"Set zk and zk_path, or the environment variables {ZK} and {ZK_PATH}.",
        )
    if zk and host:
        raise ConfigError("zk and host are both given.", where=_WHERE, hint="zk is for a cluster, host for a standalone server.")
    if zk and not zk_path:
        raise ConfigError(
            "is missing.", where=f"{_WHERE}.zk_path", hint=f"It is the cluster's root in ZooKeeper, e.g. /openmldb; or set {ZK_PATH}."
        )
    address, port = _host_and_port(host) if host else (None, None)
    return Settings(
        zk=zk or None,
        zk_path=zk_path if zk else None,
        host=address,
        port=port,
        user=config.user or env.get(USER) or None,
        password=_password(config, env),
        request_timeout_s=config.request_timeout_s,
    )


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError("is not host:port.", where=f"{_WHERE}.host", hint="For example 127.0.0.1:6527.")
    return host, int(port)


def _password(config: ClusterConfig, environment: Mapping[str, str]) -> str | None:
    if config.password_file is None:
        return environment.get(config.password_env) or None
    try:
        return Path(config.password_file).expanduser().read_text(encoding="utf-8").rstrip("\r\n") or None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}.", where=f"{_WHERE}.password_file") from None
