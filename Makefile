# make demo: the main job from nothing.  make test: everything CI runs.  make bench: the figures.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := proto agent daemon plugins lab tests bench

.PHONY: help demo test lint types layers suite suite39 bench clean

help:
	@sed -n 1p Makefile
	@echo "parts of test: lint types layers suite suite39"

$(STAMP): setup.cfg proto/setup.cfg agent/setup.cfg tools/venv
	tools/venv $(VENV)
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/xcat-aix-lab demo

test: lint types layers suite suite39

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vermin --quiet --no-tips --eval-annotations --target=3.9- --violations proto agent

types: $(STAMP)
	$(BIN)/mypy --python-version 3.9 -p xcat_aix_proto -p xcat_aix_agent
	$(BIN)/mypy -p xcatd -p xcat_aix -p xcat_aix_lab

layers: $(STAMP)
	$(BIN)/lint-imports

suite: $(STAMP)
	tools/mariadb
	$(BIN)/python -m pytest -n auto -q

# The agent and proto on the oldest Python they promise, where this machine has one.
suite39: $(STAMP)
	tools/suite39 $(VENV)39

bench: $(STAMP)
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) $(VENV)39 .mypy_cache .ruff_cache .pytest_cache
