"""Shell completion: what is suggested, and a real shell that completes with it."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jdrec.completion import suggestions
from tests.conftest import REPO

_PATIENCE_S = 60


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("+experiment=jd_", ["+experiment=jd_deepfm", "+experiment=jd_demo", "+experiment=jd_rich", "+experiment=jd_tutorial"]),
        ("+exp", ["+experiment="]),
        ("exp", ["+experiment="]),
        ("mode", ["model=", "model."]),
        ("model=deepfm,f", ["model=deepfm,finalmlp", "model=deepfm,fm"]),
        ("trainer.learn", ["trainer.learning_rate=", "trainer.learning_rate_decay."]),
        ("trainer.framework=", ["trainer.framework=oneflow", "trainer.framework=torch"]),
        ("preprocess.split.by=r", ["preprocess.split.by=random", "preprocess.split.by=row_order"]),
        ("cache.prune=", ["cache.prune=false", "cache.prune=true"]),
        ("task=pre", ["task=predict", "task=preprocess"]),
        ("features.windows.mine.ro", ["features.windows.mine.rows="]),
        ("hydra/launcher=", ["hydra/launcher=parallel", "hydra/launcher=slurm"]),
        ("--mu", ["--multirun"]),
        ("run=", []),
        ("no_such_key.", []),
    ],
)
def test_what_is_suggested(typed: str, expected: list[str]) -> None:
    assert sorted(suggestions(["-m"], typed)) == sorted(expected)


def test_a_folder_of_ones_own_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("")
    assert suggestions(["--config-dir", str(tmp_path)], "+experiment=mi") == ["+experiment=mine"]
    assert suggestions(["--config-dir"], "x") == []


def test_an_unknown_shell_is_a_mistake() -> None:
    done = subprocess.run([sys.executable, "-m", "jdrec", "--shell-completion", "install=bsh"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "'install=bsh' is neither install=SHELL nor query=SHELL. Did you mean 'bash'?" in done.stderr
    assert "Traceback" not in done.stderr


def typed_into(shell: list[str], lines: list[str], until: str) -> str:
    """What a shell on a terminal of its own shows after some keys, up to a pattern."""
    process, terminal = pty.fork()
    if process == 0:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "$ "}
        os.chdir(REPO)
        os.execvpe(shell[0], shell, environment)
    shown, deadline = "", time.monotonic() + _PATIENCE_S
    try:
        os.write(terminal, "".join(lines).encode())
        while not re.search(until, shown) and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1.0)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        pass  # the shell has gone
    finally:
        os.close(terminal)
        os.waitpid(process, 0)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x07", "", shown)


@pytest.mark.parametrize("command", ["python -m jdrec", "jdrec"])
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_real_shell_completes(shell: str, command: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    bare = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    prepare = {"bash": "", "zsh": "unsetopt PROMPT_SP; autoload -Uz compinit; compinit -u -D; "}[shell]
    keys = [
        f'{prepare}eval "$(python -m jdrec --shell-completion install={shell})"\n',
        f"{command} +experiment=jd_t\t --cfg job | grep '^ *deployment'\n",
    ]
    shown = typed_into(bare, keys, r"deployment: \w+")
    assert "+experiment=jd_tutorial" in shown
    assert "deployment: demo" in shown  # and it ran
