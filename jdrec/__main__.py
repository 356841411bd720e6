"""The command line: `python -m jdrec +experiment=jd_demo task=train model.embedding_dim=8`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Composes the configuration with Hydra and runs the task; a user's mistake is one message and exit code 1."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        from jdrec.help import text

        print(text(), end="")
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us raw instead of being printed by Hydra
    from jdrec.composition import explain, run_with_hydra

    try:
        run_with_hydra()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        print(message, file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
