# `make` alone lists the targets. A target's help is the text after its two hashes.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := jax,tfp,book,dev
INSTALLED := $(VENV)/.installed
WORKERS ?= 2

# TensorFlow's start-up notes and progress bars would end up in the cells' outputs.
export TF_CPP_MIN_LOG_LEVEL := 3
export IPYTHONDIR := $(CURDIR)/book/machinery/ipython
export TQDM_DISABLE := 1
# Two test workers or notebooks run at a time; threads of BLAS in each of them get in their way (a
# fit whose stages are threads themselves took 3.0 s in place of 0.6).
export OPENBLAS_NUM_THREADS ?= 1
# So do those of OpenMP, which spin while they wait: boosted trees on a page took 110 s for 5. (Not
# of the benchmarks, which have the machine to themselves, and peers with OpenMP.)
book page test mutants fuzz results: export OMP_NUM_THREADS ?= 1
# What JAX compiled is shared by test workers, notebooks and the book, and kept for the next time.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/_build/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1
# An entry that cannot be read is compiled again; on a page, its warning would fail the build.
export PYTHONWARNINGS ?= ignore:Error reading persistent compilation,ignore:Error writing persistent compilation
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Kernels run in the chapters' folders, where a relative path would lead elsewhere.
ifdef LRMF_DATA_DIR
export LRMF_DATA_DIR := $(abspath $(LRMF_DATA_DIR))
endif

# With OFFLINE=1 the chapters find neither data nor network: requests end at a closed port.
ifdef OFFLINE
NOWHERE := http://127.0.0.1:9
CHAPTERS := env HTTP_PROXY=$(NOWHERE) HTTPS_PROXY=$(NOWHERE) ALL_PROXY=$(NOWHERE) NO_PROXY= \
  http_proxy=$(NOWHERE) https_proxy=$(NOWHERE) all_proxy=$(NOWHERE) no_proxy= \
  LRMF_CACHE_DIR=$(CURDIR)/_build/offline LRMF_DATA_DIR=
endif

.PHONY: help
help: ## list the targets
	@echo "make <target>, where <target> is one of"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	@echo "Everything is installed into $(VENV) on the first call."

.PHONY: book
book: $(INSTALLED) ## build the book, with every chapter executed, into _build/html
	@echo "1/3 executing the chapters"
	$(CHAPTERS) $(BIN)/python -m book.machinery.execute --workers $(WORKERS)
	@echo "2/3 building the pages"
	$(CHAPTERS) $(BIN)/jupyter-book build . -n -W --keep-going
	@echo "3/3 checking the pages"
	$(BIN)/python -m book.machinery.pages
	@echo "The book is in _build/html/index.html"

.PHONY: test
test: $(INSTALLED) ## run all tests, then every chapter's notebook; or a part: ONLY=tests/theory
ifdef ONLY
	@case "$(ONLY)" in \
	  book/machinery*|book/results*) $(BIN)/python -m pytest $(ONLY) ;; \
	  book/*) $(CHAPTERS) $(BIN)/python -m book.machinery.execute --again $(basename $(ONLY)) ;; \
	  */*|tests|lrmf) $(BIN)/python -m pytest $(ONLY) ;; \
	  *) $(BIN)/python -m pytest tests -k "$(ONLY)" ;; \
	esac
else
	@echo "1/2 unit tests, statements and doctests"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
	@echo "2/2 the chapters' notebooks"
	$(CHAPTERS) $(BIN)/python -m book.machinery.execute --workers $(WORKERS)
endif

.PHONY: mutants
mutants: $(INSTALLED) ## put known faults into copies of the library: a test must see each
	$(BIN)/python -m tests.mutants --workers $(WORKERS) $(if $(ONLY),--only "$(ONLY)")

.PHONY: fuzz
fuzz: $(INSTALLED) ## hostile data and parameters for all that is public: some hundred thousand cases
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=long -n $(WORKERS)

.PHONY: lint
lint: $(INSTALLED) ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: notebooks
notebooks: $(INSTALLED) ## write the course's pages, and each chapter's plain notebook
	$(BIN)/python -m book.machinery.notebooks

.PHONY: instructor
instructor: $(INSTALLED) ## write the pack for course staff, with solutions, into _build/instructor
	$(BIN)/python -m book.machinery.course --instructor _build/instructor

.PHONY: statements
statements: $(INSTALLED) ## run the changed checks of statements and write the pages that quote them
	$(BIN)/python -m book.results.statements
	$(BIN)/python -m book.machinery.claims_page

.PHONY: claims
claims: $(INSTALLED) ## write the page of the claims ledger from book/claims.yml and the result files
	$(BIN)/python -m book.machinery.claims_page

.PHONY: results
results: $(INSTALLED) ## make the runs that the saved results lack; takes hours for all of them
	$(BIN)/python -m book.results --workers $(WORKERS)

.PHONY: page
page: $(INSTALLED) ## build one page only: make page PAGE=book/experiments/realnvp
	@test -n "$(PAGE)" || { echo "say which: make page PAGE=book/experiments/realnvp"; exit 2; }
	@mkdir -p _build/page
	@printf 'format: jb-book\nroot: book/intro\nchapters:\n- file: %s\n- file: book/appendix/bibliography\n' "$(PAGE)" > _build/page/_toc.yml
	$(CHAPTERS) $(BIN)/python -m book.machinery.execute --output _build/page/_build book/intro $(PAGE)
	$(CHAPTERS) $(BIN)/jupyter-book build . --toc _build/page/_toc.yml --path-output _build/page --keep-going
	@echo "The page is in _build/page/_build/html/$(PAGE).html"

.PHONY: picture
picture: $(INSTALLED) ## run the README's example and draw its picture
	MPLBACKEND=agg $(BIN)/python -m book.machinery.picture

.PHONY: links
links: $(INSTALLED) ## follow every link of the book; needs the network
	$(BIN)/python -m book.machinery.execute --workers $(WORKERS)
	$(BIN)/jupyter-book build . --builder linkcheck --keep-going

.PHONY: address
address: $(INSTALLED) ## put the repository's address in: make address URL=... BRANCH=...
	@test -n "$(URL)" || { echo "say which: make address URL=https://github.com/owner/lrmf"; exit 2; }
	$(BIN)/python -m book.machinery.address "$(URL)" --branch "$(or $(BRANCH),main)"
	$(BIN)/python -m book.machinery.notebooks

.PHONY: bench
bench: $(INSTALLED) ## measure speed, memory and import time; writes a dated JSON file and its page
	$(BIN)/python -m benchmarks
	$(BIN)/python -m book.machinery.benchmarks_page

.PHONY: package
package: ## build wheel and sdist, use the wheel in an empty environment: EXTRA=tfp CONSTRAINTS=...; EXTRA=none is quick
	$(PYTHON) -m tests.packaging --extras $(or $(EXTRA),jax) $(if $(CONSTRAINTS),--constraints $(CONSTRAINTS))

.PHONY: interface
interface: $(INSTALLED) ## write the pages of the interface and of the benchmarks
	$(BIN)/python -m book.machinery.interface
	$(BIN)/python -m book.machinery.benchmarks_page

.PHONY: pdf
pdf: export LRMF_PDF := 1 # the pages say so
pdf: book ## the book as one PDF, printed by Chromium: _build/lrmf.pdf
	$(BIN)/python -m book.machinery.pdf

.PHONY: lock
lock: ## resolve the dependencies anew in an empty environment and write constraints.txt
	rm -rf _build/lock && $(PYTHON) -m venv _build/lock
	_build/lock/bin/pip install --quiet --upgrade pip
	_build/lock/bin/pip install --quiet -e '.[$(EXTRAS)]'
	{ echo "# Written by 'make lock': the versions that the tests ran with."; \
	  _build/lock/bin/pip freeze --exclude-editable; } > constraints.txt
	rm -rf _build/lock

.PHONY: clean
clean: ## remove what was built; .venv stays
	rm -rf _build build dist .pytest_cache .mypy_cache .ruff_cache
	find lrmf tests book -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
