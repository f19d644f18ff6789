# `make demo` and `make test` set up everything they need in .venv. `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0# the tested version; an installed CPU build of it is kept
TRL ?= .bench/trl/bin/python# a Python with TRL, to compare with
BENCH ?= .bench/results.json# where `make bench` keeps its results
ARGS ?=# more arguments for the command, e.g. ARGS='--seed 1' or ARGS='training.group_size=4'
BIN := $(abspath $(VENV))/bin
STAMP := $(VENV)/.installed
export PATH := $(BIN):$(PATH)
.DEFAULT_GOAL := help

.PHONY: help install demo test test-all test-ui test-site train-sft evaluate docs wheel bench bench-trl-env bench-book fuzz lab kill-saves kill-runs

help:             ## this list
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(STAMP) ## set up .venv (TORCH='torch==...' for another build, PYTHON=python3.12 for another Python)

$(STAMP): settings.ini pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q $(TORCH)
	$(BIN)/python -m pip install -q -e '.[dev,docs]'
	@touch $@

demo: $(STAMP)    ## SFT, then RL, then a table, on the embedded task: a few minutes on a laptop
	$(BIN)/nano-reasoner demo $(ARGS)

test: $(STAMP)    ## all tests and checks; the last line is `N passed, N failed`
	bash tools/check.sh

test-all: $(STAMP) ## the same at full size, without the time limit of one minute for each notebook
	NANO_REASONER_FULL=1 bash tools/check.sh

test-ui: $(STAMP) ## the widgets in a real browser: form, dashboard, rollouts, credit (needs chromium; pictures in .ui/)
	$(BIN)/python tools/test_ui.py $(ARGS)

test-site: $(STAMP) ## the documentation site in a real browser (needs chromium; pictures in .ui/site/)
	$(BIN)/python tools/test_site.py $(ARGS)

train-sft: $(STAMP) ## the cold start, by configs/sft.yaml
	$(BIN)/nano-reasoner sft --config configs/sft.yaml $(ARGS)

train-%: $(STAMP)  ## RL by configs/base.yaml: train-grpo, train-dr-grpo, train-ppo, train-gspo, train-dapo, train-grpo-lead
	$(BIN)/nano-reasoner train --config configs/base.yaml --algo $* $(ARGS)

evaluate: $(STAMP) ## accuracy of a checkpoint: make evaluate CKPT=checkpoints/dr_grpo/best
	@test -n '$(CKPT)' || { echo 'Which checkpoint? make evaluate CKPT=checkpoints/dr_grpo/best'; exit 2; }
	$(BIN)/nano-reasoner evaluate $(CKPT) $(ARGS)

docs: $(STAMP)    ## README.md, and the site in _docs/
	$(BIN)/python tools/docs.py readme
	$(BIN)/python tools/docs.py site

wheel: $(STAMP)   ## build wheel and sdist, and run the demo from the wheel outside this folder
	bash tools/wheel_test.sh

bench: $(STAMP)   ## everything that is measured: an hour with TRL, minutes without (BENCH=file.json keeps the results elsewhere, ARGS='--pairs 3')
	$(BIN)/python tools/check.py import_time help_time
	$(BIN)/python -c 'from nano_reasoner.bench_answers import main; main()'
	$(BIN)/python -c 'from nano_reasoner.watermark import main; main()'
	$(BIN)/python -c 'from nano_reasoner.overhead import main; main()'
	$(BIN)/nano-reasoner bench --save '$(BENCH)' $(ARGS)
	$(BIN)/nano-reasoner bench --decode --vocab --scaling --save '$(BENCH)' $(ARGS)
	@if test -x '$(TRL)'; then $(BIN)/nano-reasoner bench --against '$(TRL)' --save '$(BENCH)' $(ARGS); \
	else echo; echo 'No comparison with TRL: it needs an environment of its own, which `make bench-trl-env` makes in .bench/trl'; echo '(or TRL=/path/to/python of one that is there).'; fi

bench-trl-env: $(STAMP) ## an environment with TRL in .bench/trl, with the versions of torch, transformers and peft that are in .venv
	test -x .bench/trl/bin/python || $(BIN)/python -m venv .bench/trl
	.bench/trl/bin/python -m pip install -q $$($(BIN)/python -c 'from importlib.metadata import version as v; print("torch==" + v("torch").split("+")[0])')
	.bench/trl/bin/python -m pip install -q 'trl==1.16.*' $$($(BIN)/python -c 'from importlib.metadata import version as v; print(*(f"{p}=={v(p)}" for p in ("transformers", "peft", "datasets", "accelerate")))')

bench-book: $(STAMP) ## the benchmarks anew, into the notebook that shows them
	$(MAKE) bench BENCH=nbs/bench_results.json
	$(BIN)/python tools/nbedit.py run nbs/34_benchmarks.ipynb

lab: $(STAMP)     ## algorithms compared on the embedded task: up to 25 minutes on two cores (ARGS='--seeds 5 --controls')
	$(BIN)/nano-reasoner lab $(ARGS)

fuzz: $(STAMP)    ## 5,000 mutated answers: each gets a verdict in time (ARGS='--seed 1')
	$(BIN)/python tools/fuzz.py $(ARGS)

kill-saves: $(STAMP) ## 300 times kill -9 in the middle of a save: the newest checkpoint is always whole (ARGS='--seed 1')
	$(BIN)/python tools/kill_saves.py $(ARGS)

kill-runs: $(STAMP) ## whole runs, killed and resumed, ten for each signal: the same bits as a run in peace
	$(BIN)/python tools/kill_runs.py $(ARGS)
