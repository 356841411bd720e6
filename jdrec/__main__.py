"""The command line: `python -m jdrec +experiment=jd_demo task=train model.embedding_dim=8`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Composes the configuration with Hydra and runs the task; a user's mistake is one message and exit code 1."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        from jdrec.help import text

        print(text(sys.argv[1:]), end="")
        return
    if sys.argv[-2:-1] in (["--shell-completion"], ["-sc"]):
        from jdrec import completion
        from jdrec.errors import JdrecError

        try:
            print(completion.run(sys.argv[-1]), end="")
        except JdrecError as error:
            raise SystemExit(f"error: {error}") from None
        return
    # Starting makes 200,000 objects that stay: looking through them for garbage takes a tenth of the start.
    gc.set_threshold(300_000, 20, 20)
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
        print(_coloured(message), file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        gc.freeze()  # the interpreter's end looks through all objects several times, which takes a tenth of a second


def _coloured(message: str) -> str:
    """The first word in red on a terminal, unless NO_COLOR says otherwise (no-color.org)."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR"):
        return message
    first, colon, rest = message.partition(":")
    return f"\033[1;31m{first}{colon}\033[0m{rest}"


if __name__ == "__main__":
    main()
