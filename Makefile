# guestwire's commands: `make` alone lists them. The logic is in tools/*.sh.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
export PATH := $(PATH):/usr/sbin:/sbin
.PHONY: help demo test test-slow test-machine fault fuzz lint format docs bench bench-build bench-frames bench-watch bench-guests clean

help: ## list these targets
	@echo "make TARGET, with TARGET one of:"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' Makefile | expand -t 16

demo: ## build three ways to network a guest in a lab, check and draw them, take them down
	@tools/packages.sh demo
	@tools/venv.sh demo
	@tools/demo.sh

test: ## run all tests but the slow ones (ARGS="-k word" for some); as root it installs what is missing
	@tools/packages.sh test
	@tools/venv.sh dev
	@# Two at once for each processor: half of the time a test waits for answers, or for the kernel to end namespaces.
	$(PYTHON) -m pytest -n $$(($$(nproc) * 2)) $(ARGS)

test-slow: ## run the slow tests: machines on every network and in every mode; on Debian's kernel ipvlan, vhost, Open vSwitch, faults
	@tools/packages.sh test
	@tools/venv.sh dev
	$(PYTHON) -m pytest -m slow -o timeout=600 $(ARGS)
	$(PYTHON) -m tests.machine.host python -m pytest -p no:cacheprovider -m slow -o timeout=1200 \
		tests/machine/inside tests/libvirt/test_switch.py

# What stands on the kernel most: 43 minutes under emulation on a machine with much else to do. The suite would take hours.
MACHINE := tests/machine/inside tests/linux tests/plan tests/trouble/test_macvtap_modes.py $(addprefix tests/world/, \
	test_ways.py test_gateway.py test_routed.py test_lab.py test_kinds.py)

test-machine: ## run the tests that depend on the kernel most on Debian's, in a guest, an hour at most (ARGS="tests/reach" for others)
	@tools/packages.sh test
	@tools/venv.sh dev
	$(PYTHON) -m tests.machine.host $(if $(ARGS),,--seconds 3600) \
		python -m pytest -p no:cacheprovider -o timeout=1200 $(or $(ARGS),$(MACHINE))

fault: ## break guestwire off at every step of every example, not at a sample (minutes)
	@tools/packages.sh test
	@tools/venv.sh dev
	@# More at once than processors: most of the time they wait for the kernel to end namespaces, which it does in batches.
	GUESTWIRE_ALL_FAULTS=1 $(PYTHON) -m pytest -n 8 -o timeout=4000 tests/world/test_faults.py tests/world/test_qemu_faults.py tests/world/test_strangers.py tests/world/test_concurrency.py $(ARGS)

fuzz: ## bring up random files and random changes of them (minutes; ARGS="--seeds 600-699" for others)
	@tools/packages.sh test
	@tools/venv.sh dev
	$(PYTHON) -m pytest -n $$(($$(nproc) * 2)) -m slow -o timeout=600 tests/fuzz $(or $(ARGS),--seeds 0-99)

lint: ## run ruff, mypy and shellcheck, as tests/conventions does
	@tools/venv.sh dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/shellcheck tools/*.sh src/guestwire/kinds/*.sh tests/machine/*.sh .ci/run

format: ## put the code into ruff's format
	@tools/venv.sh dev
	$(PYTHON) -m ruff check --fix-only --exit-zero .
	$(PYTHON) -m ruff format .

docs: ## regenerate what is made from the code: reference pages, schema, completions, man page
	@tools/venv.sh dev
	$(PYTHON) tools/generate.py

bench-build: ## time building 1,000 guests against ip -batch, the kernel's floor and the peers
	@tools/packages.sh test
	@tools/venv.sh bench
	$(PYTHON) bench/build.py --install $(ARGS)

bench-frames: ## measure TCP through cables between descriptors, beside veth and kernel bridge (ARGS="--minutes 10")
	@tools/packages.sh bench
	@tools/venv.sh dev
	$(PYTHON) bench/frames.py $(ARGS)

bench-watch: ## time how fast guestwire watch repairs what breaks, beside raw netlink (minutes)
	@tools/packages.sh test
	@tools/venv.sh dev
	$(PYTHON) bench/watch.py $(ARGS)

bench-guests: ## time eight virtual machines until all answer, and guestwire's own part of a machine's start
	@tools/packages.sh test
	@tools/venv.sh dev
	$(PYTHON) bench/guests.py $(ARGS)

bench: bench-build bench-frames bench-watch bench-guests ## run all benches

clean: ## remove what make made, the virtual environment too
	rm -rf .venv .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
