# The main commands are `make up` and `make test`. `make help` lists the others.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up plan url token down dev static policy check test e2e bench scorecard tune release-check docs lock
PYTHON ?= python3
# For OpenTofu: make up TERRAFORM=tofu
TERRAFORM ?= terraform
PORT ?= 4566
SERVICE_PORT ?= 8000
EXAMPLE ?= complete
# For two cores: a third of the tests' time is waiting. Each worker needs 2 GB at most.
WORKERS ?= 3
export TERRAFORM
dev := .venvs/dev/bin
lint := .venvs/lint/bin
sandbox := $(dev)/python -m sandbox
pytest = $(dev)/pytest -n $(WORKERS) --no-loadscope-reorder
export PYTHONDONTWRITEBYTECODE := 1

help:
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

# One environment per requirements file, since their boto pins conflict. Rebuilt when the file changes.
.venvs/%/.ready: requirements/%.txt
	@$(call require,$(PYTHON),install Python 3.11 or newer or use another: make PYTHON=python3.12 …)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"error: Python {sys.version.split()[0]} is too old: 3.11 or newer is required. Use another: make PYTHON=python3.12 …")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "error: $(PYTHON) has no venv: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@echo "installing $(@D) from $<"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

# actionlint is a Go program, and PyPI has only installers that fetch it from GitHub. Go itself is in the environment.
.venvs/lint/bin/actionlint: | .venvs/lint/.ready
	@echo "building actionlint"
	@GOPATH=$(CURDIR)/.venvs/lint/go GOCACHE=$(CURDIR)/.venvs/lint/cache GOBIN=$(CURDIR)/$(@D) GOTOOLCHAIN=local $(@D)/go install -modcacherw github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	@rm -rf .venvs/lint/go .venvs/lint/cache

# A clear error instead of the shell's "command not found".
require = command -v $(1) >/dev/null || { echo "error: $(1) is not on PATH: $(2)" >&2; exit 1; }

up: .venvs/dev/.ready .venvs/emulator/.ready ## Deploy examples/complete to a local sandbox and print its URL (PORT=4566)
	@$(sandbox) up --port $(PORT)

plan: .venvs/dev/.ready .venvs/emulator/.ready ## Print the plan of an example, without AWS and without Docker (EXAMPLE=complete)
	@$(sandbox) plan --port $(PORT) --example $(EXAMPLE)

url: .venvs/dev/.ready ## Print the sandbox's URL
	@$(sandbox) url --port $(PORT)

token: .venvs/dev/.ready ## Print a token for the sandbox or for `make dev` (all scopes, or SCOPES="users:read users:write")
	@$(sandbox) token --port $(PORT) $(if $(SCOPES),--scopes $(SCOPES))

down: .venvs/dev/.ready ## Remove the sandbox
	@$(sandbox) down --port $(PORT)

dev: .venvs/dev/.ready .venvs/emulator/.ready ## Run the service without Lambda, with reload on save, on the emulator's DynamoDB (SERVICE_PORT=8000)
	@$(sandbox) dev --port $(PORT) --service-port $(SERVICE_PORT)

# Checks without tests, in seconds.
static: .venvs/dev/.ready .venvs/lint/bin/actionlint release-check
	@$(call require,$(TERRAFORM),install Terraform or OpenTofu 1.9 or newer or use another: make TERRAFORM=tofu …)
	$(dev)/ruff format --check .
	$(dev)/ruff check --quiet .
	$(TERRAFORM) fmt -check -recursive .
	$(dev)/mypy
	PATH="$(CURDIR)/$(lint):$$PATH" $(lint)/actionlint .github/workflows/*.yml examples/*/.github/workflows/*.yml
	$(lint)/zizmor --offline --quiet .github examples/*/.github
	$(dev)/python -m tools.module_docs --check
	$(dev)/python -m tools.terraform_docs --check
	$(dev)/python -m tools.openapi --check
	$(dev)/python -m tools.harness_docs --check
	$(dev)/python -m tools.policy_interface --check

# For maintainers, and so not in the help.
release-check: .venvs/dev/.ready
	@$(dev)/python -m tools.release check

policy: .venvs/dev/.ready .venvs/emulator/.ready .venvs/policy/.ready ## Scan sources and the plan of every example with checkov and policies/; reports in .reports/policy
	$(dev)/python -m tools.policy_scan

# The policy scan is one of the tests, since it shares plans with them.
environments := .venvs/dev/.ready .venvs/emulator/.ready .venvs/policy/.ready .venvs/client/.ready

check: static $(environments) ## Format, lint, types, policy, unit and plan tests; needs no Docker engine
	$(pytest) -m "not engine and not browser"

test: static $(environments) ## `make check` and the applied tests, with real containers
	$(pytest)

e2e: .venvs/dev/.ready .venvs/emulator/.ready ## Only the applied tests
	$(pytest) tests/e2e

bench: .venvs/dev/.ready .venvs/emulator/.ready ## Benchmark plans with the module, and the service against its peers, as ratios
	$(dev)/python -m benchmarks.plan_time
	$(dev)/python -m benchmarks.ignored_files
	$(dev)/python -m benchmarks.service_speed

scorecard: .venvs/dev/.ready .venvs/emulator/.ready ## Measure the decision record's six metrics before and after (ANSWERS=file.csv; OPTIONS=--help)
	@$(dev)/python -m benchmarks.scorecard run $(if $(ANSWERS),--answers $(ANSWERS)) $(OPTIONS)

tune: .venvs/dev/.ready ## Propose memory and concurrency from a function's log (FUNCTION=name or LOG=file; OPTIONS=--help)
	@$(dev)/python -m tuning $(LOG) $(if $(FUNCTION),--function $(FUNCTION)) $(OPTIONS)

docs: .venvs/dev/.ready ## Regenerate the generated parts of the documentation
	$(dev)/python -m tools.module_docs
	$(dev)/python -m tools.terraform_docs
	$(dev)/python -m tools.openapi
	$(dev)/python -m tools.harness_docs
	$(dev)/python -m tools.policy_interface

# Each requirements file with its Python version. The service's comes first, since others use its pins. Renovate repeats the command in a
# file's header: it needs the header, and the equals signs.
compile := $(dev)/uv pip compile --quiet --universal --generate-hashes --upgrade
lock: .venvs/dev/.ready
	$(compile) --python-version=3.13 service/requirements.in --output-file=service/requirements.txt
	$(foreach name,dev emulator policy client bench delivery docs lint,$(compile) --python-version=3.11 requirements/$(name).in --output-file=requirements/$(name).txt &&) true
	$(compile) --python-version=3.13 requirements/base-image.in --output-file=requirements/base-image.txt
	$(compile) --python-version=3.13 --no-deps requirements/base-image-emulator.in --output-file=requirements/base-image-emulator.txt
