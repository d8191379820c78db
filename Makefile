# Two commands set everything up by themselves: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check format lint types docs bench bench-cityflow clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,test]'
	touch $@

demo: $(READY)  ## the main job on sample_videos/: videos, page and scores in runs/sample_videos
	$(BIN)/mtmc run --videos sample_videos/

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -q -n auto

check: $(READY)  ## format, lint, types, architecture and all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n auto

format: $(READY)  ## rewrite in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## speed against named rivals, CPU time of one pinned thread
	$(BIN)/python -m tools.bench.track
	$(BIN)/python -m tools.bench.score
	$(BIN)/python -m tools.bench.pipeline

bench-cityflow: $(READY)  ## single-camera tracking on the given detections of CityFlow S03: make bench-cityflow DATA=…
	$(BIN)/python -m tools.bench.cityflow $(DATA)

clean:  ## everything that can be made again
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
