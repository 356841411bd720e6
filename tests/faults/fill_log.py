"""Logs calls into a folder on a small disk until it is full, makes room, and goes on; prints what became of the rows.

python -m tests.faults.fill_log FOLDER RUN
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from jdrec.config import RequestLogConfig
from jdrec.online.session import RequestSession
from jdrec.serving.computed import Columns
from jdrec.serving.pipeline import Scored
from jdrec.serving.request_log import Entry, RequestLog, files, read
from jdrec.stages import Run
from tests.verify.small_run import START, config_of

ROWS = 50  # of a call, and of a file


def main(folder: Path, run_folder: Path) -> None:
    run = Run(config_of(run_folder / "tables"), run_folder)
    session = RequestSession(run.feature_set, run.tables)
    dropped: list[int] = []
    added = 0

    def call() -> Entry:
        nonlocal added
        rows = [
            {
                "id": f"n{added + place}",
                "at": START + added + place,
                "reader": f"r{place}",
                "ad": 1,
                "price": 0.5,
                "day": None,
                "flag": None,
            }
            for place in range(ROWS)
        ]
        added += ROWS
        ids = np.random.default_rng(added).integers(-(2**62), 2**62, (ROWS, 8))
        part = Scored(Columns(session.compute(rows)), ids, np.full(ROWS, 0.5, np.float32), None, {}, ROWS)
        return Entry(str(added), START, "embedding", 1, rows, [part])

    def wait_until_written(rows: int) -> None:
        deadline = time.monotonic() + 60
        while sum(dropped) + logged() < rows:
            assert time.monotonic() < deadline, "the log hangs"
            time.sleep(0.01)

    def logged() -> int:
        return sum(batch.num_rows for batch in read(folder))

    with RequestLog(folder, run.feature_set, RequestLogConfig(dir="x", rows_per_file=ROWS)) as log:
        log.on_drop(dropped.append)
        while not dropped:
            log.add(call())
            wait_until_written(added)
        print("whole files when full:", len(files(folder)) > 1, logged() == ROWS * len(files(folder)), sum(dropped))
        files(folder)[0].unlink()
        before, lost = logged(), sum(dropped)
        log.add(call())
        wait_until_written(added - ROWS)
    print("after room was made:", logged() - before, sum(dropped) - lost)
    print("half-written files:", len(list(folder.glob(".*"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
