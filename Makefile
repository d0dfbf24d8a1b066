# Two commands matter to a newcomer: `make demo` and `make test`. README.md lists the same without make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: install demo demo-host bench-host-crash test test-postgres test-slow test-browser front docs lab lint types contracts check workflows hooks changelog-draft requirements coverage fuzz mutation test-pythons clean bench-hosts-crash bench-teams bench-failover bench-counting bench-load bench-cells bench-client bench-ledger bench-crash erase-crash bench-browser bench-host bench-moving eval-prompts

install: $(VENV)/.installed ## everything that developing needs, in .venv

demo: $(VENV)/.installed ## run the first interview without a key and print what happened
	$(PY) notebooks/run_demo.py

demo-host: $(VENV)/.installed ## a host and a candidate on this machine, without a key: what each of them sees
	$(PY) tools/demo_host.py

test: $(VENV)/.installed ## run every test and every notebook
	$(PY) -m pytest -n 4 --dist loadfile
	$(PY) -m pytest notebooks

test-slow: $(VENV)/.installed ## what is left out of `make test` because the same rule is tried there at less length
	SLOW_TESTS=1 $(PY) -m pytest -n 2 --dist loadfile -m slow

test-postgres: $(VENV)/.installed ## the ledger's whole contract on PostgreSQL, through pgbouncer, and under SERIALIZABLE
	POSTGRES_WHOLE=1 $(PY) -m pytest tests/plugins/test_postgres_contract.py tests/plugins/test_postgres_failures.py tests/plugins/test_postgres_chain.py

.PHONY: attack-host
attack-host: $(VENV)/.installed ## as root: a candidate with an account on the host's machine tries everything; HOST_USER, CANDIDATE_USER
	$(PY) tools/attack_host.py $(if $(HOST_USER),--host-user $(HOST_USER)) $(if $(CANDIDATE_USER),--candidate-user $(CANDIDATE_USER))

.PHONY: test-hub
test-hub: $(VENV)/.installed ## a real JupyterHub with its proxy before the host; installs both beside the project; needs npm
	$(PY) -m venv .hub
	echo 'import site; site.addsitedir("$(CURDIR)/$(VENV)/lib/'"$$(ls $(VENV)/lib)"'/site-packages")' > "$$(.hub/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_project.pth"
	.hub/bin/python -m pip install --quiet --disable-pip-version-check 'jupyterhub>=5.2'
	npm install --silent --no-save --prefix .hub configurable-http-proxy
	PATH="$(CURDIR)/.hub/node_modules/.bin:$$PATH" .hub/bin/python -m pytest tests/host/test_hub.py

test-browser: $(VENV)/.installed ## JupyterLab in a headless Chromium; skipped where there is none
	$(PY) -m pytest tests/browser -n 2 --dist loadfile

front: node_modules/.installed ## types, linter and unit tests of the widgets' modules; needs node 20 and npm
	npm run --silent check

docs: $(VENV)/.installed ## the documentation site, in docs/_build/html; any warning is an error
	$(PY) -m sphinx -q -W --keep-going -b html -c docs . docs/_build/html
	@echo "docs/_build/html/index.html"

lab: $(VENV)/.installed ## open the notebooks in JupyterLab
	JUPYTER_PATH="$(CURDIR)/ib_kernel/notebook/lab$${JUPYTER_PATH:+:$$JUPYTER_PATH}" $(BIN)/jupyter lab notebooks/01_first_interview.ipynb

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PY) tools/check_notebooks.py notebooks/*.ipynb

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports

check: test lint types contracts workflows

fuzz: $(VENV)/.installed ## every fuzz target with many examples; FUZZ_EXAMPLES=5000 says how many
	SLOW_TESTS=1 FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),5000) $(PY) -m pytest tests/fuzz --timeout 3600

bench-counting: $(VENV)/.installed ## counters side by side; writes benchmarks/results/counting.md
	$(PY) benchmarks/counting.py

bench-load: $(VENV)/.installed ## %load_ext ib_kernel beside import openai, in fresh processes
	$(PY) benchmarks/load_ext.py

bench-cells: $(VENV)/.installed ## what recording a cell costs beside a bare one
	$(PY) benchmarks/cells.py

bench-ledger: $(VENV)/.installed ## the ledger beside the bare disk, SQLite and Postgres; writes benchmarks/results/ledger.md
	$(PY) benchmarks/ledger.py

bench-crash: $(VENV)/.installed ## 1,000 times kill -9, then an audit
	$(PY) benchmarks/crash.py

.PHONY: damage
damage: $(VENV)/.installed ## 200 random damages of usage.duckdb: the answers stay right
	SLOW_TESTS=1 DAMAGES=200 $(PY) -m pytest tests/plugins/test_store_record.py -k whatever_is_damaged

erase-crash: $(VENV)/.installed ## kill -9 of erasures until it gets through, 100 times; then a search for every byte
	ERASE_RUNS=100 $(PY) -m pytest tests/plugins/test_store_erasure.py -k kills --timeout 3600

bench-host-crash: $(VENV)/.installed ## 50 times kill -9 of a host with 20 candidates streaming; ROUNDS, CANDIDATES
	$(PY) benchmarks/host_crash.py

.PHONY: bench-host-queue
bench-host-queue: $(VENV)/.installed ## 100 candidates before one rate-limited key: who waits how long; CANDIDATES, TURNS, RATE
	$(PY) benchmarks/host_queue.py

bench-hosts-crash: $(VENV)/.installed ## two hosts, 100 candidates streaming, kill -9 of one, on both ledgers; CANDIDATES
	$(PY) benchmarks/hosts_crash.py

bench-teams: $(VENV)/.installed ## PostgreSQL beside the embedded ledger, 1,000 sessions over two hosts; writes benchmarks/results/teams.md
	$(PY) benchmarks/teams.py

bench-failover: $(VENV)/.installed ## a primary dies under 16 writers, by hand and with Patroni; writes benchmarks/results/failover.md
	$(PY) benchmarks/failover.py

.PHONY: test-host-long
test-host-long: $(VENV)/.installed ## 100 connections cut while streaming; 40 times 40 turns and 40 gateway calls at once
	CUTS=100 $(PY) -m pytest tests/host/test_turns.py -k broken_lines --timeout 1800
	AT_ONCE_RUNS=40 $(PY) -m pytest tests/host/test_gateway.py -k never_exceed --timeout 1800

.PHONY: bench-host-stops
bench-host-stops: $(VENV)/.installed ## how soon the service's stream ends when a candidate stops; STOPS
	$(PY) benchmarks/host_stops.py

bench-browser: $(VENV)/.installed ## latency, long tasks and 50 interrupts; writes benchmarks/results/browser.md
	$(PY) benchmarks/browser.py

bench-client: $(VENV)/.installed ## a turn beside other clients; LITELLM=its/bin/python; writes benchmarks/results/client.md
	$(PY) benchmarks/client.py $(if $(LITELLM),--litellm $(LITELLM))

bench-host: $(VENV)/.installed ## the gateway beside pass-throughs and peers, a turn through the host; writes benchmarks/results/host.md
	$(PY) benchmarks/host.py $(if $(HARDCAP),--hardcap $(HARDCAP)) $(if $(LITELLM),--litellm $(LITELLM))

eval-prompts: $(VENV)/.installed ## simulated candidates against the prompts; ARGS="--client openai --as FILE.md --show"
	$(PY) tools/eval_prompts.py $(ARGS)

bench-moving: $(VENV)/.installed ## a ledger of a million rows moves into PostgreSQL; ROWS; writes benchmarks/results/moving.md
	$(PY) benchmarks/moving.py $(if $(ROWS),--rows $(ROWS))

workflows: $(VENV)/.installed ## the forge's workflows, checked without the network
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --no-progress --quiet .github

hooks: $(VENV)/.installed ## let git run ruff before a commit and mypy before a push
	$(BIN)/pre-commit install

changelog-draft: $(VENV)/.installed ## what the next release's changelog would say
	$(BIN)/towncrier build --draft --version Unreleased

# Run it after a change of dependencies in pyproject.toml; UPGRADE=1 takes newer versions of everything.
# With extras (coverage[toml]): without them pip looks at a release newer than the one locked, and stops.
requirements: ## every package for development, by version and hash, for all systems and Pythons
	$(if $(wildcard $(BIN)/uv),$(BIN)/uv,uv) pip compile --quiet --universal --python-version 3.11 --extra dev \
		--generate-hashes --no-strip-extras --no-emit-index-url --custom-compile-command "make requirements" \
		$(if $(UPGRADE),--upgrade) --output-file requirements-dev.txt pyproject.toml

coverage: $(VENV)/.installed ## branch coverage of tests/; the pages are in artifacts/coverage
	$(PY) -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-report=html

mutation: $(VENV)/.installed ## FILES="ib_kernel/turn/*.py" SAMPLE=20: does a test fail for each small change of a rule?
	$(PY) tools/mutation.py $(FILES) $(if $(SAMPLE),--sample $(SAMPLE))

test-pythons: ## every test and notebook on every Python from 3.11 on that this machine has; ONLY=3.13 for one
	$(PYTHON) tools/test_pythons.py $(ONLY)

clean:
	rm -rf $(VENV) .hub node_modules docs/_build .pythons mutants artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Reinstalled only when one of these files changes, so that everything above works offline afterwards.
$(VENV)/.installed: pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes -r requirements-dev.txt
	$(PIP) --no-deps --no-build-isolation -e . -e plugins/ib_challenges
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "make front needs node 20 or newer and npm; the product itself needs neither"; exit 1; }
	npm ci --silent
	@touch $@
