"""Random feature sets on the embedded engine and on OpenMLDB's: python -m tests.parity --count 1000 --seed 1"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from tests.parity.coverage import coverage, expected
from tests.parity.generate import Case, generate
from tests.parity.judge import Judge, Outcome, computable
from tests.parity.shrink import describe, shrink

CASES_A_SESSION = 100  # then Spark starts anew: what OpenMLDB compiles stays in memory


@dataclass
class Tally:
    """What a run has come to so far."""

    first_seed: int
    sets: int = 0
    features: int = 0
    cells: int = 0
    failed: int = 0
    refused_by_embedded: int = 0
    refused_by_openmldb: int = 0
    restarts: int = 0  # of the JVM, after OpenMLDB's native code had ended it
    ended: int = 0  # sets that end it each time
    differing: list[str] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)  # what the sets had, see coverage.py

    def add(self, outcome: Outcome) -> None:
        self.sets += 1
        self.ended += outcome.ended
        self.failed += outcome.failure is not None and not outcome.ended
        self.held += coverage(outcome.case)  # without the features that an engine refuses
        for message in outcome.refused.values():
            self.refused_by_embedded += message.startswith("embedded")
            self.refused_by_openmldb += message.startswith("spark")
        if outcome.report is not None:
            self.features += outcome.report.features
            self.cells += outcome.report.features * outcome.report.rows
            self.differing += [f"seed {outcome.case.seed}: {name}" for name in outcome.report.differing]

    def line(self) -> str:
        return (
            f"{self.sets:,} sets from seed {self.first_seed}, {self.features:,} features, {self.cells:,} cells; "
            f"{len(self.differing):,} features differ, {self.failed:,} sets failed; "
            f"left out: {self.refused_by_embedded:,} features that embedded refuses, {self.refused_by_openmldb:,} that OpenMLDB refuses"
            + (f"; OpenMLDB's native code ended the JVM {self.restarts:,} times, in {self.ended:,} sets each time" if self.restarts else "")
        )


def _differs(judge: Judge, name: str, case: Case) -> bool:
    """Whether this feature of a case differs between the engines."""
    report = judge(case).report
    return report is not None and name in report.differing


def main(arguments: list[str]) -> int:
    """Runs cases until the count is reached; exit code 1 if any feature differs or a set does not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="how many feature sets")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed; the others follow")
    parser.add_argument("--size", type=int, default=24, help="features a set")
    parser.add_argument("--shrink", type=int, default=3, help="how many differing features are made small")
    parser.add_argument("--json", type=Path, help="write the tally there")
    options = parser.parse_args(arguments)
    tally, start = Tally(options.seed), time.perf_counter()
    seeds = list(range(options.seed, options.seed + options.count))
    shrunk = 0
    for first in range(0, len(seeds), CASES_A_SESSION):
        with tempfile.TemporaryDirectory(prefix="jdrec.parity.") as folder, Judge(Path(folder)) as judge:
            for seed in seeds[first : first + CASES_A_SESSION]:
                outcome = judge(generate(seed, size=options.size, known=computable()))
                tally.add(outcome)
                print(f"seed {seed}: {outcome.lines[-1]}", flush=True)
                if outcome.agrees or outcome.ended:
                    continue
                print("\n".join(f"  {line}" for line in outcome.lines), flush=True)
                for name in outcome.report.differing if outcome.report else ():
                    if shrunk >= options.shrink:
                        break
                    shrunk += 1
                    small = shrink(outcome.case, name, partial(_differs, judge, name))
                    print(
                        "\n".join(f"    {line}" for line in (describe(small) if small else [f"{name} does not differ again"])), flush=True
                    )
            tally.restarts += judge.restarts
    print(f"{tally.line()} ({time.perf_counter() - start:.0f} s)")
    print("held: " + ", ".join(f"{name} {tally.held[name]:,}" for name in expected()))
    if options.json:
        options.json.write_text(json.dumps({**asdict(tally), "seconds": round(time.perf_counter() - start)}, indent=2) + "\n")
    return 1 if tally.differing or tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
