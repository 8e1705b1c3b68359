# What one does with this repository. Needs Python 3.11 or newer, make and git; everything else is fetched.
#
#   make run        starts the platform        make test       the whole suite, on SQLite and PostgreSQL
#   make worker     only the workers           make test-slow  the long experiments
#   make setup      only the environment       make check      format, lint, types, migrations, API document
#   make schema     writes the API document    make bench      measures throughput

PYTHON ?= python3
VENV := .venv/bin
PIP := $(VENV)/python -m pip install --quiet --disable-pip-version-check --no-input
CHECKING := DJANGO_SETTINGS_MODULE=tests.settings
PYTEST := $(VENV)/python -m pytest

# Each installs only where the list of packages differs from the copy kept beside what was installed from it.
define prepare
test -x $(VENV)/pip || { \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")' && \
	echo "Making .venv ..." && $(PYTHON) -m venv .venv; } || exit 1; \
cmp -s requirements.txt .venv/installed.txt || { \
	echo "Installing what the platform needs ..." && $(PIP) -r requirements.txt && \
	cp requirements.txt .venv/installed.txt; } || exit 1
endef
define prepare_tests
$(prepare); \
cat requirements.txt tests/requirements.txt | cmp -s - .venv/installed-tests.txt || { \
	echo "Installing what the tests need ..." && $(PIP) -r tests/requirements.txt && \
	cat requirements.txt tests/requirements.txt > .venv/installed-tests.txt; } || exit 1
endef

.PHONY: run worker setup test test-slow check schema bench

# `exec`, so that Ctrl-C and SIGTERM reach the platform and not a shell around it.
run:
	@$(prepare); exec $(VENV)/python manage.py quickstart

worker:
	@$(prepare); exec $(VENV)/python manage.py worker

setup:
	@$(prepare_tests)

test: setup
	@$(VENV)/python -m tests.provision.suite -m "not slow"

test-slow: setup
	@$(VENV)/python -m tests.provision.suite -m slow --timeout=1800

check: setup
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/python -m mypy apps stackshift_mail
	$(CHECKING) $(VENV)/python manage.py check
	$(CHECKING) $(VENV)/python manage.py makemigrations --check --dry-run
	$(PYTEST) --quiet tests/test_openapi.py tests/test_architecture.py

schema: setup
	$(CHECKING) $(VENV)/python manage.py spectacular --validate --fail-on-warn --file docs/api/openapi.yaml

bench: setup
	@exec $(VENV)/python -m bench
