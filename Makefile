# make demo    from nothing to a served score, on generated tables
# make test    what a laptop can test; ALL=1 adds the slow tests
# make lint    style and types
# make bench   the figures of docs/performance.md
# make clean   removes results; .venv stays

EXTRAS := oneflow,openmldb,serving,dev
PYTEST := .venv/bin/python -m pytest
STAMP := .venv/.installed

.PHONY: setup demo test lint bench golden clean

setup: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	test -x .venv/bin/python || "$$(scripts/find-python)" -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check "setuptools<81" wheel
	.venv/bin/pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS)]"
	touch $@

demo: $(STAMP)
	.venv/bin/python -m jdrec +experiment=jd_demo hydra.run.dir=outputs/demo task=demo

test: $(STAMP) lint
	$(PYTEST) $(if $(ALL),,-m "not slow")

lint: $(STAMP)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

golden: $(STAMP)
	$(PYTEST) tests -k golden --update-golden

bench: $(STAMP)
	for script in bench/[a-b]*.py bench/[d-z]*.py; do .venv/bin/python $$script --json outputs/bench/$$(basename $$script .py).json || exit 1; done

clean:
	rm -rf outputs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
