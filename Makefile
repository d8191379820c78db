# Two commands set everything up by themselves: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Enough for the sample, which needs ONNX Runtime only, and everything: torch, ray, the tools of the tests.
SMALL := $(VENV)/.small
READY := $(VENV)/.ready
# Further arguments for pip, such as an index of CPU builds of torch.
PIP_ARGS ?=
BENCH ?= .venv-bench

.PHONY: demo test check format docs bench bench-pipeline bench-association bench-cityflow bench-scale bench-cities bench-real bench-reid mutate mutate-reid legibility clean

$(SMALL): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable .
	touch $@

$(READY): $(SMALL)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[all,test]'
	touch $@

demo: $(SMALL)  ## the main job on sample_videos/: videos, page and scores in runs/sample_videos
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

$(VENV)/.docs: $(SMALL)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: $(VENV)/.docs  ## the documentation as web pages: build/docs/index.html
	$(BIN)/zensical build --strict --clean

$(BENCH)/.ready: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade pip
	$(BENCH)/bin/python -m pip install --quiet --editable '.[bench]'
	touch $@

bench: $(BENCH)/.ready  ## tracking and scoring against named rivals, CPU time of one pinned thread
	$(BENCH)/bin/python -m tools.bench.track
	$(BENCH)/bin/python -m tools.bench.assignment
	$(BENCH)/bin/python -m tools.bench.score

bench-pipeline: $(READY)  ## the whole run against its bare models: make bench-pipeline VIDEOS=… DETECT=….onnx EMBED=….onnx
	$(BIN)/python -m tools.bench.pipeline --videos $(VIDEOS) --detect $(DETECT) --embed $(EMBED)

DATA ?= ../shared/data/aicity
bench-association: $(READY)  ## association without pixels of S01, S03 and S04 below DATA, each correction switched off in turn
	$(BIN)/python -m tools.bench.association $(DATA)

bench-cityflow: $(READY)  ## CityFlow without pixels, below DATA: tracking on S03's detections, association of S01's tracklets
	$(BIN)/python -m tools.bench.cityflow $(DATA)

bench-scale: $(READY)  ## cross-camera association of 1,000 to 100,000 tracklets: time, memory, accuracy, beside scipy
	$(BIN)/python -m tools.bench.scale

CITIES ?= runs/cities
bench-cities: $(READY)  ## six held-out synthetic scenes: models, pipeline, every way of associating; hours, finished parts are kept
	$(BIN)/python -m tools.bench.cities --cities $(CITIES) --render

CLIPS ?= ../shared/data/clips
REAL_RUNS ?=
bench-real: $(READY)  ## real clips below CLIPS with the default command: docs/real.md; cameras of finished runs in REAL_RUNS as unrelated ones
	$(BIN)/python -m tools.bench.real $(CLIPS) $(if $(REAL_RUNS),--cities $(REAL_RUNS))

bench-reid: $(READY)  ## every method of reid and its ablation, three seeds each; hours, finished cells in docs/reid/cells are kept
	$(BIN)/python -m tools.bench.reid_methods

SAMPLE ?= 800
SEED ?= 0
JOBS ?= 2
TARGETS ?=
mutate: $(READY)  ## mutation testing of TARGETS (default: all of the core); hours, finished mutants in runs/mutation are kept
	$(BIN)/python -m tools.mutate --sample $(SAMPLE) --seed $(SEED) --jobs $(JOBS) $(TARGETS)

mutate-reid: SAMPLE = 400
mutate-reid: $(READY)  ## mutation testing of the embedders: methods, losses, mining, networks
	$(BIN)/python -m tools.mutate --sample $(SAMPLE) --seed $(SEED) --jobs $(JOBS) --out runs/mutation-reid reid

PEERS ?=
legibility: $(READY)  ## sizes, density, names and comments of the source: make legibility PEERS="path/to/trackers …"
	$(BIN)/python -m tools.legibility mtmc reid $(if $(PEERS),--beside $(PEERS))

clean:  ## everything that can be made again
	rm -rf $(VENV) $(BENCH) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
