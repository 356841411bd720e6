"""Lowers the engine's kernels for the package: `python scripts/kernels.py` after a change in them; `--check` only tells whether they fit."""

from __future__ import annotations

import sys

from jdrec.engines.embedded import machine_code


def main() -> int:
    if "--check" in sys.argv[1:]:
        fits = machine_code.shipped() is not None
        print("the shipped kernels fit their sources" if fits else "the kernels have changed: run python scripts/kernels.py")
        return 0 if fits else 1
    from jdrec.engines.embedded.build import lower

    machine_code.ship(lower())
    print(f"{machine_code.SHIPPED.name}: {machine_code.SHIPPED.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
