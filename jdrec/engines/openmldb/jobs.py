"""Jobs of a cluster: wait for one with progress, stop it if that takes too long, and say why it failed.

Source: OpenMLDB documentation, "SHOW JOB", "SHOW JOBLOG", "STOP JOB", "SHOW JOBS".
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from jdrec.engines.openmldb.connection import Row, Session
from jdrec.engines.openmldb.errors import ClusterError, JobError, JobTimeout, LostConnection
from jdrec.progress import Progress

log = logging.getLogger(__name__)

_FAILED = ("failed", "killed", "lost", "stopped")
_LOG_LINES = 20


@dataclass(frozen=True)
class Patience:
    """How jobs are waited for.

    Attributes:
        poll_s: seconds between two looks at a job.
        job_timeout_s: longest wait for one job; None: as long as it runs.
        retries: looks in a row that may fail before the connection counts as lost.
        now, sleep: the clock, in seconds.
    """

    poll_s: float
    job_timeout_s: float | None
    retries: int
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Jobs:
    """Runs statements that start a job, and waits for the job."""

    def __init__(self, session: Session, patience: Patience, progress: Progress):
        self._session, self._patience, self._progress = session, patience, progress

    def run(self, statement: str, what: str) -> None:
        """Starts LOAD DATA or SELECT INTO and waits until its job has finished.

        Args:
            what: the job in words, for progress and messages: "load bo_user".

        Raises:
            JobError: the job failed, was stopped, or took longer than allowed; then it has been told to stop.
            LostConnection: the cluster no longer answers; the job may go on.
            ClusterError: the statement is refused.
        """
        job = job_id(self._session.execute(statement))
        if job is None:
            raise ClusterError(f"OpenMLDB started no job to {what}.", hint="Jobs need a cluster with a TaskManager.")
        self._wait(job, what, f"SHOW JOB {job}", stoppable=True)

    def follow(self, rows: list[Row], what: str) -> None:
        """Waits for the index job of a DEPLOY with SYNC="false", if its answer names one.

        Such a job belongs to the NameServer: it cannot be stopped and has no log.

        Raises:
            JobError, LostConnection: as `run`.
        """
        job = job_id(rows)
        if job is not None:
            self._wait(job, what, f"SHOW JOBS FROM NAMESERVER LIKE '{job}'", stoppable=False)

    def _wait(self, job: int, what: str, look: str, *, stoppable: bool) -> None:
        patience = self._patience
        start, shown, failures = patience.now(), "", 0
        with self._progress.task(f"{what} (job {job})") as task:
            try:
                while True:
                    try:
                        row = _first(self._session.execute(look))
                        failures = 0
                    except ClusterError as error:
                        failures += 1
                        if failures > patience.retries:
                            raise self._lost(job, what, look, error) from None
                        row = {}
                    state = str(row.get("state") or "")
                    elapsed = patience.now() - start
                    if state and state.lower() != shown:
                        shown = state.lower()
                        log.info("%s: job %d is %s", what, job, shown)
                    if shown == "finished":
                        return
                    if shown in _FAILED:
                        raise self._failed(job, what, row, shown, stoppable)
                    if patience.job_timeout_s is not None and elapsed > patience.job_timeout_s:
                        raise self._too_long(job, what, elapsed, stoppable)
                    task.update(elapsed, note=f"{shown or 'no answer'}, {elapsed:,.0f} s")
                    patience.sleep(patience.poll_s)
            except KeyboardInterrupt:
                if stoppable:
                    self._stop(job)
                raise

    def _failed(self, job: int, what: str, row: Row, state: str, has_log: bool) -> JobError:
        reason = self._session.redact(str(row.get("error") or "")).strip()
        message = f"could not {what}: job {job} {'was stopped' if state in ('killed', 'stopped') else 'failed'}"
        message += f": {reason}" if reason else "."
        if not has_log:
            return JobError(message, hint=f"The NameServer's log says more; SHOW JOBS FROM NAMESERVER LIKE '{job}' shows its task.")
        text = self._log(job)
        return JobError(message + text, hint=f"\nThe whole log: SHOW JOBLOG {job}")

    def _log(self, job: int) -> str:
        """The job's log: what looks like the cause, and its end."""
        try:
            text = self._session.text(f"SHOW JOBLOG {job}")
        except ClusterError as error:
            return f"\n  (its log cannot be had: {error.message})"
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        tail = lines[-_LOG_LINES:]
        causes = [
            line for line in lines[:-_LOG_LINES] if re.search(r"\bERROR\b|Exception|Caused by", line) and not line.startswith("\tat ")
        ]
        shown = [*causes[:_LOG_LINES], *(["..."] if causes else []), *tail]
        return "\n  " + "\n  ".join(shown) if shown else "\n  (its log is empty)"

    def _too_long(self, job: int, what: str, elapsed: float, stoppable: bool) -> JobTimeout:
        message = f"could not {what}: job {job} has not finished after {elapsed:,.0f} s"
        hint = "Set openmldb.cluster.job_timeout_s higher, or leave it out."
        if not stoppable:
            return JobTimeout(f"{message} and goes on.", hint=hint)
        stopped = self._stop(job)
        return JobTimeout(
            f"{message}; {'it was told to stop' if stopped else 'it could not be stopped'}.{self._log(job)}", hint=f"\n{hint}"
        )

    def _stop(self, job: int) -> bool:
        with suppress(ClusterError):
            self._session.execute(f"STOP JOB {job}")
            log.warning("job %d was told to stop", job)
            return True
        return False

    def _lost(self, job: int, what: str, look: str, error: ClusterError) -> LostConnection:
        return LostConnection(
            f"lost the cluster while waiting for job {job} ({what}): {error.message}", hint=f"The job may still run; see it with {look}."
        )


def job_id(rows: list[Row]) -> int | None:
    """The job that an answer names."""
    for name in ("job_id", "id"):
        if rows and rows[0].get(name) is not None:
            return int(rows[0][name])
    return None


def _first(rows: list[Row]) -> Row:
    if not rows:
        raise ClusterError("there is no such job.")
    return rows[0]
