# Two commands for everyone: `make demo` and `make test`. They make their own environments from
# nothing but python3, make and a package registry.

VENV    := .venv
PYTHON  := $(VENV)/bin/python
RUN     := $(VENV)/bin/resnetkit
DEMO    := runs/demo
PEERS   := .venv-peers

.PHONY: help demo test check data kill-resume kill-ranks planted-labels lab-page data-checks zoo zoo-page bench speed speed-folder speed-page fast default best \
        growth growth-ways any-depth any-depth-ways depth-steps gpu-speed latency imbalance distilling augmentation-cost deep-memory kill-growth depth-page peers clean

help:
	@echo "make demo         train on Fashion-MNIST, look at it, use it (about 3 minutes)"
	@echo "make test         all tests (9 minutes; on old cores up to 25)"
	@echo "make check        ruff, ty, import-linter, deptry"
	@echo "make kill-resume  20 runs killed and resumed, compared bit by bit (about 8 minutes)"
	@echo "make kill-ranks   several ranks killed, restarted, stopped (about 25 minutes)"
	@echo "make data-checks  100,000 files, 60,000 with duplicates, 2,000 damaged (about 5 minutes)"
	@echo "make zoo          all networks against torchvision and timm, and learning (an hour and a half)"
	@echo "make zoo-page     docs/zoo.md and its figure, drawn from the specs"
	@echo "make speed        step, input, prediction and start against torchvision (10 minutes)"
	@echo "make speed-folder training on 20,000 JPEGs against the plain loop (20 minutes)"
	@echo "make fast         --recipe fast against the textbook's recipe (25 minutes)"
	@echo "make default      the default recipe on Fashion-MNIST (three quarters of an hour)"
	@echo "make best         the best recipe on Fashion-MNIST (three quarters of an hour)"
	@echo "make growth       deepened and growing networks against deep ones (an hour and a half)"
	@echo "make growth-ways  ways in which new blocks come in (an hour and a half)"
	@echo "make any-depth    one file of many depths against networks alone (hours)"
	@echo "make any-depth-ways  ways to train one file of many depths (hours)"
	@echo "make depth-steps  what growing and many depths save, step by step (5 minutes)"
	@echo "make gpu-speed    a step of resnet50 on a CUDA GPU against torchvision and timm (3 minutes)"
	@echo "make imbalance    ways to make up for rare classes (an hour)"
	@echo "make distilling   a small network taught by a deep one, against itself alone (hours)"
	@echo "make augmentation-cost  microseconds a picture (1 minute)"
	@echo "make latency      whether --latency keeps what it promises (2 minutes)"
	@echo "make deep-memory  memory and time of a thousand layers (2 minutes)"
	@echo "make kill-growth  10 runs killed around their growth and resumed (3 minutes)"
	@echo "make depth-page   docs/depth.md, docs/any_depth.md and their figures, from the results"
	@echo "make bench        training speed against torchvision, textbook against default (half an hour)"

$(VENV)/.installed: pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PYTHON) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

data: $(VENV)/.installed
	@PYTHON=$(PYTHON) sh scripts/fashion-mnist.sh

demo: data
	@RUN=$(RUN) OUT=$(DEMO) sh scripts/demo.sh

test: $(VENV)/.installed-dev data
	$(PYTHON) -m pytest -n 2 -q --durations 40 --durations-min 3

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ty check
	$(VENV)/bin/lint-imports
	$(VENV)/bin/deptry src

kill-resume: data
	$(PYTHON) benchmarks/kill_resume.py --runs 20

kill-ranks: data
	$(PYTHON) benchmarks/kill_ranks.py resume --ranks 2 --runs 10
	$(PYTHON) benchmarks/kill_ranks.py resume --ranks 4 --runs 10
	$(PYTHON) benchmarks/kill_ranks.py elastic --ranks 2 --runs 10
	$(PYTHON) benchmarks/kill_ranks.py saving --ranks 2 --runs 20
	$(PYTHON) benchmarks/kill_ranks.py hang --ranks 4 --runs 2
	$(PYTHON) benchmarks/kill_folds.py --runs 5
	$(PYTHON) benchmarks/ranks_equal.py

data-checks: data
	$(PYTHON) benchmarks/many_files.py
	$(PYTHON) benchmarks/check_duplicates.py
	$(PYTHON) benchmarks/fuzz_images.py --files 2000

# torchvision's wheel asks for a CUDA build of torch: it goes without its dependencies into an
# environment of its own, beside the same CPU torch. The mark's name changes with what is installed.
$(PEERS)/.installed-resnetkit: constraints.txt
	python3 -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --editable . torch==2.13.0 huggingface-hub scikit-image
	$(PEERS)/bin/python -m pip install --quiet --no-deps torchvision==0.28.0 timm==1.0.31
	@touch $@

peers: $(PEERS)/.installed-resnetkit

zoo: data peers
	$(PEERS)/bin/python benchmarks/peers_equal.py
	$(PEERS)/bin/python benchmarks/peers_speed.py
	$(PYTHON) benchmarks/zoo_learns.py

zoo-page: $(VENV)/.installed
	$(PYTHON) scripts/zoo_page.py

speed-page: $(VENV)/.installed
	$(PYTHON) scripts/speed_page.py

bench: data peers
	$(PYTHON) benchmarks/train_speed.py --peers $(PEERS)/bin/python
	$(PYTHON) benchmarks/memory.py
	$(PYTHON) benchmarks/textbook.py

speed: data peers
	$(PEERS)/bin/python benchmarks/step_speed.py
	$(PEERS)/bin/python benchmarks/input_speed.py
	$(PEERS)/bin/python benchmarks/predict_speed.py
	$(PYTHON) benchmarks/start_time.py

speed-folder: peers
	$(PEERS)/bin/python benchmarks/folder_speed.py

fast: data peers
	$(PYTHON) benchmarks/fast_recipe.py --peers $(PEERS)/bin/python

default: data
	$(PYTHON) benchmarks/long_recipe.py default

best: data
	$(PYTHON) benchmarks/long_recipe.py best

growth: data
	$(PYTHON) benchmarks/growth.py
	$(PYTHON) benchmarks/deepened.py

imbalance: data
	$(PYTHON) benchmarks/imbalance.py

distilling: data
	$(PYTHON) benchmarks/distilling.py

growth-ways: data
	$(PYTHON) benchmarks/growth_ways.py

any-depth: data
	$(PYTHON) benchmarks/any_depth.py

depth-steps: data
	$(PYTHON) benchmarks/depth_steps.py

gpu-speed:
	python3 benchmarks/gpu_speed.py

any-depth-ways: data
	$(PYTHON) benchmarks/any_depth_ways.py

augmentation-cost: $(VENV)/.installed
	$(PYTHON) benchmarks/augmentation_cost.py

latency: data
	$(PYTHON) benchmarks/latency_kept.py

deep-memory: $(VENV)/.installed
	$(PYTHON) benchmarks/deep_memory.py

planted-labels: data
	$(PYTHON) benchmarks/planted_labels.py

kill-growth: data
	$(PYTHON) benchmarks/kill_growth.py --runs 10

lab-page: $(VENV)/.installed
	$(PYTHON) scripts/lab_page.py lab

depth-page: $(VENV)/.installed
	$(PYTHON) scripts/depth_page.py
	$(PYTHON) scripts/any_depth_page.py

clean:
	rm -rf $(VENV) $(PEERS) build src/*.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
