# make demo         from nothing to a served score, on generated tables
# make test         what a laptop can test; ALL=1 adds PyTorch, Spark (needs Java) and the slow tests
# make lint         style and types
# make golden       rewrites the golden files under tests/golden
# make reference    rewrites docs/reference.md, docs/functions.md and the code in the Chinese documents
# make docs         the documents as a site in outputs/site
# make spark-jars   fetches OpenMLDB's batch engine for engine=spark
# make parity       40 random feature sets on the embedded engine and on OpenMLDB's, some minutes
# make bench        all benches in small sizes, compared with the last time, minutes; BENCH="--only reader" runs some
# make bench-full   the sizes of docs/performance.md, an hour or more
# make clean        removes results; .venv stays

EXTRAS := oneflow,openmldb,serving,report,sweep,dev
ALL_EXTRAS := spark,torch,mlflow,tensorboard,slurm,docs
PYTHON := .venv/bin/python
PIP := .venv/bin/pip --quiet --disable-pip-version-check
# OneFlow's graph compiler crashed twice in processes that had done much else (docs/training.md); its tests get one of their own.
GRAPH_TESTS := tests/training/test_oneflow_gpu.py
PARITY_TESTS := tests/parity/test_parity.py

.PHONY: setup demo test lint golden reference docs spark-jars parity bench bench-full clean

setup: .venv/.installed

.venv/.installed: setup.cfg pyproject.toml
	test -x $(PYTHON) || "$$(scripts/find-python)" -m venv .venv
	$(PIP) install "setuptools<81" wheel
	$(PIP) install --editable ".[$(EXTRAS)]"
	touch $@

.venv/.installed-spark: .venv/.installed
	$(PIP) install --editable ".[$(EXTRAS),spark]"
	touch $@

.venv/.installed-all: .venv/.installed
	$(PIP) install --editable ".[$(EXTRAS),$(ALL_EXTRAS)]"
	touch $@

demo: setup
	$(PYTHON) -m jdrec +experiment=jd_demo hydra.run.dir=outputs/demo task=demo

test: setup lint $(if $(ALL),.venv/.installed-all)
	$(if $(ALL),$(PYTHON) -m jdrec.engines.spark.jars || test -z "$$CI" # a user without Java skips what needs them)
	$(PYTHON) -m pytest --ignore=$(GRAPH_TESTS) $(if $(ALL),--durations=25,-m "not slow and not spark and not browser")
	$(PYTHON) -m pytest $(GRAPH_TESTS)

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

golden: setup
	$(PYTHON) -m pytest tests -k golden --update-golden

reference: setup
	$(PYTHON) scripts/reference.py
	$(PYTHON) scripts/functions.py
	$(PYTHON) scripts/chinese.py

docs: .venv/.installed-docs
	$(PYTHON) -m sphinx --fail-on-warning --keep-going --quiet -c docs/site docs outputs/site
	@echo "open outputs/site/index.html"

.venv/.installed-docs: .venv/.installed
	$(PIP) install --editable ".[$(EXTRAS),docs]"
	touch $@

spark-jars: .venv/.installed-spark
	$(PYTHON) -m jdrec.engines.spark.jars

parity: spark-jars
	$(PYTHON) -m pytest $(PARITY_TESTS)

bench: setup
	$(PYTHON) bench/suite.py $(BENCH)

bench-full: setup
	$(PYTHON) bench/suite.py --full $(BENCH)

clean:
	rm -rf outputs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
