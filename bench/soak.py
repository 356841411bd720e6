"""Hours in minutes: a steady load with everything that happens to a service in a day, and whether it comes out as it went in.

    python bench/soak.py [--minutes 10] [--rate 100] [--json FILE]

The service of bench/serving.py under a steady rate of single rows; meanwhile, all the time: calls with 200 candidates, broken bodies, clients that
go away, /metrics every second; every minute Triton is killed and comes back; every 95 seconds a version is published, taken on and rolled back.
Reports answers by status, latency, memory and open files at the beginning and at the end. Fails where anything but 200, 4xx for the broken and 503
around a killed Triton is answered.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import parser, report
from serving import HERE, Served, _descendants, configuration, make_run, served, write_bodies

from jdrec.config import Config

BROKEN = (b"{", b"[]", b'{"reqId": NaN}', b"[" * 5000, b"\xff\xfe", b'{"sku_id": 1}', b"x" * 2_000_000)
EXPECTED_OF_BROKEN = {"400", "413", "422"}


class Disturbance:
    """Threads that trouble the service until they are told to stop."""

    def __init__(self, service: Served, config: Config, folder: Path, many: Path):
        self.service, self.config, self.folder = service, config, folder
        self.candidates = many.read_bytes().splitlines()
        self.statuses: dict[str, Counter[str]] = {"candidates": Counter(), "broken": Counter(), "metrics": Counter(), "models": Counter()}
        self.events: Counter[str] = Counter()
        self._stop = threading.Event()
        jobs = (
            (self._candidates, 0.5),
            (self._broken, 0.2),
            (self._leave, 0.5),
            (self._metrics, 1.0),
            (self._kill, 60.0),
            (self._versions, 95.0),
        )
        self._threads = [threading.Thread(target=self._again, args=job, daemon=True) for job in jobs]

    def __enter__(self) -> Disturbance:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _again(self, job: Callable[[int], None], every_s: float) -> None:
        number = 0
        while not self._stop.wait(every_s):
            job(number)
            number += 1

    def _ask(self, kind: str, path: str, body: bytes | None) -> None:
        request = urllib.request.Request(self.service.url + path, body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status = str(answer.status)
                answer.read()
        except urllib.error.HTTPError as error:
            status = str(error.code)
            error.close()
        except OSError:
            status = "lost"
        self.statuses[kind][status] += 1

    def _candidates(self, number: int) -> None:
        call = json.loads(self.candidates[number % len(self.candidates)])
        self._ask("candidates", "/candidates", json.dumps({**call, "candidates": call["candidates"][:200]}).encode())

    def _broken(self, number: int) -> None:
        self._ask("broken", "/predict", BROKEN[number % len(BROKEN)])

    def _leave(self, number: int) -> None:
        import socket

        host, port = self.service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{")
        self.events["clients that went away"] += 1

    def _metrics(self, number: int) -> None:
        self._ask("metrics", "/metrics", None)

    def _kill(self, number: int) -> None:
        for pid in _descendants(self.service.pids["service"][0])["triton"]:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "tritonserver":
                os.kill(pid, signal.SIGKILL)
                self.events["Triton killed"] += 1

    def _versions(self, number: int) -> None:
        from jdrec.serving.repository import publish

        publish(self.folder, self.config, self.folder / "models")
        self._ask("models", "/models/reload", b"{}")
        self._ask("models", "/models/rollback", b"{}")
        self.events["versions published"] += 1


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(folder: Path, options: Any) -> tuple[dict[str, Any], bool]:
    """Figures, and whether all was as it should be."""
    from jdrec.features.resolve import resolve
    from jdrec.serving.repository import publish

    config = configuration(folder, options.width, options.layers)
    if not (folder / "run.json").is_file():
        make_run(config, folder)
    single, many = write_bodies(folder, resolve(config), config.dataset.timezone, Path(config.dataset.root))
    publish(folder, config, folder / "models")
    seconds = 60 * options.minutes
    more = [f"serving.repository={folder}/models", f"serving.request_log.dir={folder}/log"]
    with served(folder, options.width, options.layers, *more) as service:
        _load(service, single, options.rate, min(60.0, seconds))
        pid = service.pids["service"][0]
        before, files_before = memory_mib(pid), open_files(pid)
        with Disturbance(service, config, folder, many) as disturbance:
            result = _load(service, single, options.rate, seconds)
        time.sleep(5)  # what was in flight ends
        after, files_after = memory_mib(pid), open_files(pid)
    figures: dict[str, Any] = {
        "minutes": options.minutes,
        "rate, calls/s": options.rate,
        "calls": result["calls"],
        **{f"calls answered {status}": count for status, count in result["statuses"].items()},
        **{f"p{name} ms": result[f"p{name}_ms"] for name in ("50", "99", "99.9")},
        "max ms": result["max_ms"],
        **{f"{kind} answered {status}": count for kind, counts in disturbance.statuses.items() for status, count in sorted(counts.items())},
        **disturbance.events,
        "memory before, MiB": before,
        "memory after, MiB": after,
        "open files before": files_before,
        "open files after": files_after,
    }
    fine = (
        set(result["statuses"]) <= {"200", "503"}
        and set(disturbance.statuses["candidates"]) <= {"200", "503"}
        and set(disturbance.statuses["broken"]) <= EXPECTED_OF_BROKEN
        and set(disturbance.statuses["metrics"]) == {"200"}
        and set(disturbance.statuses["models"]) <= {"200", "503", "409"}
    )
    return figures, fine


def _load(service: Served, bodies: Path, rate: float, seconds: float) -> dict[str, Any]:
    command = [
        sys.executable,
        str(HERE / "http_load.py"),
        f"{service.url}/predict",
        str(bodies),
        "--rate",
        str(rate),
        "--seconds",
        str(seconds),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--rate", type=float, default=100)
    arguments.add_argument("--width", type=int, default=1000)
    arguments.add_argument("--layers", type=int, default=5)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures, fine = measure(Path(folder), options)
    report("soak", figures, options.json)
    if not fine:
        raise SystemExit("something was answered that should not have been")


if __name__ == "__main__":
    main()
