"""All benches, one after the other, and how their figures compare with the last time.

    python bench/suite.py                     # minutes: make bench
    python bench/suite.py --full              # full sizes: make bench-full
    python bench/suite.py --only reader preprocess
    python bench/suite.py --compare OLD NEW   # two results, nothing is run

Writes OUT/quick.json or OUT/full.json: for each bench what became of it, how long it took, and its figures, with the machine's description. The result before
it moves to OUT/history and is what the table compares with. What needs something that is not here (a GPU, a framework, tables, Java) is skipped, and
says so; the exit code is 1 if a bench failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import common

HERE = Path(__file__).resolve().parent
TABLES = Path("../shared/jd-recommendation")
MOST_S = 3600  # of a bench


@dataclass(frozen=True)
class Bench:
    """A script with the arguments of both sizes; None: not run in that size. {tables} is the folder of the JD tables."""

    name: str
    script: str
    quick: str | None
    full: str | None
    needs: tuple[str, ...] = ()


SUITE = (
    Bench("generate", "generate.py", "", "--actions 50000000 --requests 2000000 --users 1000000 --products 100000 --shuffle"),
    Bench("extract", "extract.py", "--root {tables} --runs 3", "--root {tables} --runs 7", ("tables",)),
    Bench("extract 50M", "extract.py", None, "--actions 50000000 --requests 2000000 --runs 1"),
    Bench("hot keys", "hot_keys.py", "--rows 20000", ""),
    Bench("side by side", "side_by_side.py", "--root {tables} --actions 0", "--root {tables} --runs 3", ("spark", "tables")),
    Bench("preprocess", "preprocess.py", "--rows 1000000 --values 10000000", ""),
    Bench("reader", "reader.py", "--rows 1000000 --memory-rows 250000", "--rows 10000000 --memory-rows 2000000"),
    Bench("training", "training.py", "--rounds 2", "--rounds 5", ("torch or oneflow",)),
    Bench(
        "training, 5M ids", "training.py", None, "--rounds 3 --ids 5000000 --only 'oneflow trainer' 'torch trainer'", ("torch or oneflow",)
    ),
    Bench("models", "models.py", "--experiments jd_demo --models lr deepfm --seeds 1", "--root {tables}", ("torch", "tables")),
    Bench("folds", "folds.py", None, "--root {tables}", ("tables", "lightgbm", "oneflow")),
    Bench("online_store", "online_store.py", "--root {tables} --rows 1000000 --requests 10000", "--root {tables}", ("tables",)),
    Bench("ranking", "ranking.py", "--rows 200000 --memory-rows 50000", ""),
    Bench("score", "score.py", "--candidates 20000", ""),
    Bench("serving", "serving.py", "--seconds 4", "", ("triton",)),
    Bench("soak", "soak.py", "--minutes 1", "--minutes 10", ("triton",)),
    Bench("growth", "growth.py", "--rows 100000 300000 1000000", ""),
    Bench("gpu step", "gpu_training.py", "step", "step", ("gpu",)),
    Bench("gpu auc", "gpu_training.py", None, "auc --samples 4000000", ("gpu",)),
    Bench("gpu trainer", "gpu_training.py", None, "trainer --samples 8000000 --epochs 4", ("gpu",)),
)
PARTS = {"common.py", "suite.py", "http_load.py"}  # no benches: http_load is what serving and soak ask with


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="full sizes")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[bench.name for bench in SUITE])
    parser.add_argument("--out", type=Path, default=Path("outputs/bench"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same result there, too")
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of the JD tables")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"))
    options = parser.parse_args()
    if options.compare:
        old, new = (json.loads(file.read_text()) for file in options.compare)
        print(table(old, new))
        return 0
    size = "full" if options.full else "quick"
    file = options.out / f"{size}.json"
    last = json.loads(file.read_text()) if file.is_file() else None
    result: dict[str, Any] = {
        "size": size,
        "time": now(),
        "machine": common.machine(),
        "load average before": os.getloadavg()[0],
        "benches": {},
    }
    begin = time.perf_counter()
    for bench in SUITE:
        arguments = bench.full if options.full else bench.quick
        if arguments is not None and (not options.only or bench.name in options.only):
            result["benches"][bench.name] = run(bench, arguments, options.tables, options.out / size)
        elif last and bench.name in last["benches"]:
            result["benches"][bench.name] = {**last["benches"][bench.name], "from": last["benches"][bench.name].get("from", last["time"])}
    result["seconds"] = round(time.perf_counter() - begin, 1)
    keep(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(file.read_text())
    print(table(last, result))
    print(f"{result['seconds']:.0f} s; {file}")
    return int(any(part["status"] == "failed" for part in result["benches"].values()))


def run(bench: Bench, arguments: str, tables: Path, out: Path) -> dict[str, Any]:
    """status (ok, skipped or failed), why, seconds, command, figures."""
    missing = [reason for need in bench.needs if (reason := NEEDS[need](tables))]
    if missing:
        print(f"{bench.name}: skipped, {', '.join(missing)}", flush=True)
        return {"status": "skipped", "why": ", ".join(missing)}
    json_file = out / f"{bench.name.replace(' ', '_').replace(',', '')}.json"
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.unlink(missing_ok=True)
    words = [word.format(tables=tables) for word in shlex.split(arguments)]
    command = [sys.executable, str(HERE / bench.script), *words, "--json", str(json_file)]
    shown = f"python bench/{bench.script} {arguments}".strip()
    print(f"{bench.name}: {shown}", flush=True)
    begin = time.perf_counter()
    log = json_file.with_suffix(".log")
    with log.open("w") as output:
        try:
            code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=MOST_S, check=False).returncode
            why = f"exit code {code}"
        except subprocess.TimeoutExpired:
            code, why = -1, f"not done after {MOST_S} s"
    done: dict[str, Any] = {"status": "ok", "seconds": round(time.perf_counter() - begin, 1), "command": shown}
    if code or not json_file.is_file():
        last_line = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
        print(f"  failed after {done['seconds']:.0f} s: {last_line} ({log})", flush=True)
        return {**done, "status": "failed", "why": f"{why if code else 'no figures'}: {last_line}"}
    print(f"  {done['seconds']:.0f} s", flush=True)
    return {**done, "figures": json.loads(json_file.read_text())["figures"]}


def _gpu(tables: Path) -> str | None:
    if shutil.which("nvidia-smi") is None or subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode:
        return "there is no NVIDIA GPU"
    return _module("torch", "torch")(tables)


def _spark(tables: Path) -> str | None:
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed (extra spark)"
    from jdrec.engines.spark import jars, java
    from jdrec.errors import JdrecError

    try:
        java.find(None)
        jars.find(jars.default_folder())
    except JdrecError as error:
        return f"Spark cannot run: {error}"
    return None


def _module(name: str, extra: str) -> Callable[[Path], str | None]:
    return lambda tables: None if importlib.util.find_spec(name) else f"{name} is not installed (extra {extra})"


def _either(tables: Path) -> str | None:
    return None if importlib.util.find_spec("torch") or importlib.util.find_spec("oneflow") else "neither torch nor oneflow is installed"


def _tables(tables: Path) -> str | None:
    return None if tables.is_dir() else f"the JD tables are not in {tables} (--tables DIR)"


NEEDS: dict[str, Callable[[Path], str | None]] = {
    "gpu": _gpu,
    "spark": _spark,
    "torch": _module("torch", "torch"),
    "oneflow": _module("oneflow", "oneflow"),
    "torch or oneflow": _either,
    "lightgbm": _module("lightgbm", "dev"),
    "triton": _module("pytriton", "serving"),
    "tables": _tables,
}


def table(last: dict[str, Any] | None, new: dict[str, Any]) -> str:
    """Every figure with the last one and their ratio; marked where it is a tenth or more better or worse."""
    lines = []
    for name, part in new["benches"].items():
        lines.append(
            f"\n{name}: {part['status']}"
            + (f", {part['why']}" if "why" in part else "")
            + (f", of {part['from']}" if "from" in part else "")
        )
        before = ((last or {}).get("benches", {}).get(name) or {}).get("figures", {})
        figures = part.get("figures", {})
        width = max(map(len, figures), default=0)
        for key, value in figures.items():
            lines.append(f"  {key:{width}}  {text(value):>14}" + compared(key, before.get(key), value))
    return "\n".join(lines)


def compared(key: str, old: Any, new: Any) -> str:
    """The columns beside a figure: the last one, the ratio, and whether that is better."""
    if not (isinstance(old, (int, float)) and isinstance(new, (int, float)) and old and not isinstance(new, bool)):
        return ""
    ratio, more = new / old, more_is_better(key)
    mark = ""
    if more is not None and not 1 / 1.1 < ratio < 1.1:
        mark = "  better" if (ratio > 1) == more else "  WORSE"
    return f"  {text(old):>14}  {ratio:7.2f}{mark}"


def more_is_better(key: str) -> bool | None:
    """By the unit in the figure's name; None where it has none that tells."""
    lower = key.lower()
    if any(unit in lower for unit in ("/s", "a second", "per_second", "times faster", "auc")):
        return True
    units = ("second", " s", ", s", "ms", " us", "mib", "gib", "bytes", "memory", "mb", "logloss")
    return False if any(unit in lower for unit in units) else None


def text(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def keep(file: Path) -> None:
    """Moves an earlier result to history/."""
    if file.is_file():
        when = json.loads(file.read_text())["time"].replace(":", "")
        history = file.parent / "history"
        history.mkdir(exist_ok=True)
        file.rename(history / f"{file.stem}-{when}.json")


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(main())
