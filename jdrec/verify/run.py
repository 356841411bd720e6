"""task=verify: requests go through the online path in order of arrival, and all that comes back is compared with the run's files."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.dataset.rows import StoredRows
from jdrec.errors import ConfigError, DataError
from jdrec.files import write_text
from jdrec.verify import arrivals
from jdrec.verify.offline import Offline, model_of, scores
from jdrec.verify.replay import Block, Replay
from jdrec.verify.report import Report
from jdrec.verify.targets import ApiServerTarget, EmbeddedTarget, ServiceTarget, Target

if TYPE_CHECKING:
    from jdrec.stages import Run
    from jdrec.verify.logged import Logged

log = logging.getLogger(__name__)

_OVER_HTTP = 100  # requests a call
_ROW_PATH = 64  # so few rows are encoded value by value, as in the prediction service


def verify(run: Run) -> None:
    """Prints what differs, and the count as the last line; verify.json in the run's folder has the same.

    Raises:
        DifferenceError: anything differs, or a request has no answer.
        JdrecError: the online path or the run cannot be used; nothing is said about equality then.
    """
    config = run.config.verify
    reports = _from_table(run) if config.requests == "table" else _from_log(run, Path(config.requests))
    for report in reports:
        print("\n".join(report.lines()))
    content = json.dumps([report.to_dict() for report in reports], indent=1, ensure_ascii=False, default=str)
    write_text(run.folder / "verify.json", content + "\n")
    for report in reports:
        report.raise_if_different()


def _report(run: Run, name: str, title: str = "") -> Report:
    config, label = run.config.verify, run.feature_set.label
    return Report(name, label.feature if label else None, config.tolerance, config.score_tolerance, config.examples, title)


def _from_table(run: Run) -> list[Report]:
    """The requests of the request table against features.parquet and the samples."""
    feature_set, config = run.feature_set, run.config.verify
    offline = Offline.of_run(run)
    sources = arrivals.sources(feature_set)
    server = config.features == "openmldb"
    whole = config.insert == "all" and (server or config.service is None)  # a service's own tables are not ours to fill
    names = [feature_set.request_table, *(sources.streamed if whole else ()), *(sources.first if whole and server else ())]
    with run.progress.task("read tables", len(names)) as task:
        tables = {}
        for name in names:
            tables[name] = StoredRows(run.tables[name])
            task.advance()
    requests = tables[feature_set.request_table]
    if not len(requests):
        raise DataError(f"the request table {feature_set.request_table!r} has no rows.", where="verify.requests")
    places, missing = offline.places(_keys(run, requests))
    times = {name: tables[name].times(columns) for name, columns in sources.streamed.items() if whole}
    times[feature_set.request_table] = requests.times([feature_set.request_time])
    steps = list(arrivals.in_order(feature_set.request_table, times, config.limit, _most(run)))
    if whole:
        loaded = sources.first
    else:
        loaded = tuple(name for name in run.tables if config.insert == "none" or name != feature_set.request_table)
    target = _target(run, loaded)
    report = _report(run, target.name)
    report.notes.append(offline.samples)
    if missing and config.limit is None:
        report.missing.count = missing
        report.missing.examples.append(("features.parquet", "has keys that the request table has not"))
    first = sources.first if whole and server else ()
    _replay(run, target, tables, first, steps, offline, places, report)
    return [report]


def _from_log(run: Run, folder: Path) -> list[Report]:
    """The requests of a service's log against the batch engine: what was answered then, and what a replay answers."""
    from jdrec.verify import logged as log_of

    feature_set, config = run.feature_set, run.config.verify
    logged = log_of.read(folder, run, config.limit)
    loaded = tuple(name for name in run.tables if run.config.online.preload is None or name in run.config.online.preload)
    had_requests = feature_set.request_table in loaded
    offline = Offline.of_features(run, log_of.offline_features(run, logged, had_requests))
    then = _report(run, "log", "as logged")
    rows = np.arange(len(logged))
    then.add(offline, rows, rows, logged.features)
    then.add_model(offline, logged.own, logged.own, logged.ids, logged.scores)
    if len(logged.own) < len(rows):
        then.notes.append(f"{len(rows) - len(logged.own):,} requests were answered by other models: their ids and scores are not compared")
    hint = _unstored(run, logged)
    then.notes += hint
    target = _target(run, loaded)
    again = _report(run, target.name, "replayed")
    again.notes += hint
    tables = {feature_set.request_table: logged.table}
    steps = [arrivals.Step(feature_set.request_table, rows)]
    _replay(run, target, tables, (), steps, offline, rows, again, logged.stored)
    return [then, again]


def _most(run: Run) -> int:
    """Requests a call."""
    config = run.config.verify
    if config.batch is not None:
        return config.batch
    return 1 if config.features == "embedded" and config.service is None else _OVER_HTTP


def _unstored(run: Run, logged: Logged) -> list[str]:
    lost = int((~logged.stored).sum())
    sees = any(not window.instance_not_in_window for window in run.feature_set.windows.values())
    if not lost or not sees:
        return []
    return [
        f"{lost:,} of {len(logged):,} logged requests were not stored, and windows over {run.feature_set.request_table} see them offline: "
        "serving.store_requests=true keeps them"
    ]


def _target(run: Run, loaded: tuple[str, ...]) -> Target:
    """The online path that the configuration names.

    Args:
        loaded: tables that the session of this process has from the start.
    """
    config, feature_set = run.config, run.feature_set
    store: Target | None = None
    if config.verify.features == "openmldb":
        from jdrec.serving.features import OpenMLDBSource

        cluster = config.openmldb
        timeout_s = config.serving.timeout_s
        source = OpenMLDBSource(feature_set, endpoint=cluster.endpoint, deployment=cluster.deployment, timeout_s=timeout_s)
        store = ApiServerTarget(source, cluster.endpoint)
    if config.verify.service is not None:
        key = config.serving.api_key_env
        if key is not None and not os.environ.get(key):
            raise ConfigError(f"the environment variable {key} is not set.", where="serving.api_key_env")
        secret = os.environ[key] if key else None
        return ServiceTarget(feature_set, config.verify.service, timeout_s=config.serving.timeout_s, store=store, api_key=secret)
    if store is not None:
        return store
    from jdrec.online.session import RequestSession

    return EmbeddedTarget(RequestSession(feature_set, run.tables, preload=loaded, progress=run.progress))


def _replay(
    run: Run,
    target: Target,
    tables: dict[str, StoredRows],
    first: tuple[str, ...],
    steps: list[arrivals.Step],
    offline: Offline,
    places: np.ndarray,
    report: Report,
    stored: np.ndarray | None = None,
) -> None:
    """Goes through the steps and adds every block of answers to the report.

    Args:
        first: tables that are inserted whole before. places: the offline row of each request, -1 for none.
    """
    config = run.config.verify
    replay = Replay(run.feature_set, target, tables, config.insert, _most(run))
    encoder, scorer = model_of(run)
    keys = _keys(run, tables[run.feature_set.request_table])

    async def go() -> None:
        await target.open()
        try:
            total = sum(len(step.numbers) for step in steps) + sum(len(tables[name]) for name in first)
            with run.progress.task(f"replay ({target.name})", total) as task:
                await replay.store(first, task)
                async for block in replay.blocks(steps, task, stored):
                    _compare(block)
        finally:
            await target.close()

    def _compare(block: Block) -> None:
        for number, reason in block.unanswered:
            report.missing.add(keys[number].as_py(), reason)
        for key in block.extra:
            report.extra.add(key, "nobody asked for it")
        for number in block.numbers[places[block.numbers] < 0].tolist():
            report.extra.add(keys[number].as_py(), "features.parquet has no such request")
        known = np.flatnonzero(places[block.numbers] >= 0)
        if block.features is None or not len(known):
            return
        features = block.features.take(_arrow(known))
        parts = [encoder.encode(features.slice(start, _ROW_PATH)) for start in range(0, len(known), _ROW_PATH)]
        ids = np.concatenate(parts)
        found = scores(scorer, ids) if block.scores is None else block.scores[known]
        numbers = block.numbers[known]
        report.add(offline, places[numbers], numbers, features, target.nan_is_null)
        report.add_model(offline, places[numbers], numbers, ids, found)

    asyncio.run(go())


def _keys(run: Run, requests: StoredRows) -> Any:
    """The requests' keys as the features' first column has them."""
    import pyarrow as pa

    key = run.feature_set.features[0]
    return pa.array(requests.values(run.feature_set.request_key), key.type.arrow)


def _arrow(rows: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(rows, pa.int64())
