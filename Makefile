# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Needs python3 >= 3.11 and make; uv is installed into .venv if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export HF_HUB_OFFLINE ?= 1
export YOLO_OFFLINE ?= 1
export ULTRALYTICS_SAFE_LOAD ?= 1
# a setting against .pyc files would compile torch anew in each process that a test starts: most of their time
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo studio test test-all bench fuzz lint docs setup constraints clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("isotherm needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[all,test,lint,docs]'
	touch $(READY)

demo: $(READY)
	$(BIN)/isotherm demo

studio: $(READY)
	$(BIN)/isotherm studio

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# every row of every rule: more families, sizes and seeds of what make test holds on some
test-all: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m ''

lint: $(READY)
	$(BIN)/ruff format --check src tests bench docs
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	@if command -v node > /dev/null && command -v npm > /dev/null && $(MAKE) --silent node_modules/.ready; then node_modules/.bin/tsc --project .; else \
	  echo "skipped: the types of the pages' scripts, which needs node, and npm to install typescript"; \
	  test -z "$$ISOTHERM_NO_SKIPS"; fi

# no lock file: there is one package, and package.json has its exact version
node_modules/.ready: package.json
	npm install --no-package-lock --no-audit --no-fund --silent
	touch $@

bench: $(READY)
	$(BIN)/python -m bench

# a million changed inputs of all readers; Ctrl-C ends it, and the same command goes on
fuzz: $(READY)
	@$(BIN)/python -c 'import atheris' 2> /dev/null || VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --python $(BIN)/python atheris==3.0.0 || \
	  echo "going on without atheris, which does not install here: inputs are not guided by coverage"
	nice -n 15 $(BIN)/python -m bench.fuzz

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "open site/index.html"

# Versions only: no addresses, no hashes. By hand, never by file times: a fresh clone has arbitrary ones.
constraints:
	test -x $(BIN)/uv || ($(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv)
	$(BIN)/uv pip compile pyproject.toml --all-extras --no-header --no-annotate --no-emit-index-url --quiet -o constraints.txt

clean:
	rm -rf $(VENV) node_modules demo runs site .pytest_cache .mypy_cache .ruff_cache
