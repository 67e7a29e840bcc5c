# Kilter's build. `make` lists the targets; `make check` is exactly what CI runs. Needs Go, git and make, nothing else.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

# One set of build flags for every command: what `make devcluster` compiles is never compiled again for a test or a tool.
export CGO_ENABLED := 0

ROOT           := $(CURDIR)
CONTROLLER_GEN := go tool -modfile='$(ROOT)/tools/controller-gen/go.mod' controller-gen
GOFUMPT        := go tool -modfile='$(ROOT)/tools/lint/go.mod' gofumpt
GOLANGCI_LINT  := go tool -modfile='$(ROOT)/tools/lint/go.mod' golangci-lint
HELM           := go tool -modfile='$(ROOT)/tools/helm/go.mod' helm
MODULES        := . devcluster tools/controller-gen tools/gitea tools/helm tools/kubectl tools/lint tools/release

# Asked only when something is linked.
VERSION = $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)

KUBERNETES_VERSION := v1.37.2
DEVCLUSTER_LDFLAGS := -s -w -X k8s.io/component-base/version.gitVersion=$(KUBERNETES_VERSION) \
	-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## build bin/kilter
	go build -o bin/kilter -ldflags '-s -w -X main.version=$(VERSION)' ./cmd/kilter

.PHONY: devcluster
devcluster: ## build bin/devcluster, a whole Kubernetes control plane (minutes, the first time)
	@[[ -x bin/devcluster ]] || echo 'Building bin/devcluster, some 2,700 packages: about 10 minutes on two cores, the first time only.' >&2
	@build=(go build -C devcluster -o ../bin/devcluster -ldflags '$(DEVCLUSTER_LDFLAGS)'); \
	if [[ -t 2 ]]; then \
		"$${build[@]}" -v . 2>&1 | awk '/^[^ :#]+$$/ {printf "\r  %d packages compiled", ++n; fflush(); next} {print} END {if (n) print ""}' >&2; \
	else \
		"$${build[@]}" .; \
	fi
	go build -C devcluster -o ../bin/devcluster-workload -ldflags '-s -w' ./workload

.PHONY: demo
demo: build $(if $(DEMO_KUBECONFIG),,devcluster) ## watch a git push change a cluster (KEEP=1 stays up, DEMO_KUBECONFIG=… uses yours)
	go run ./demo

# Tests find the cluster in TEST_KUBECONFIG. Unless that is set, withcluster starts a dev cluster with a kubeconfig of its own,
# whose path is new each time: so go test's cache holds for unit tests and never for tests that ask a cluster. One of its nodes runs
# containers where the machine can; tests that need it are skipped elsewhere. So are those of alerts where Debian's packages prometheus and
# prometheus-alertmanager are not installed.
.PHONY: test
test: build devcluster ## run every test, on a dev cluster or on the one TEST_KUBECONFIG names
	$(HELM) version > /dev/null # built here, so that no test has to wait for it
	go build -C tools/kubectl -o '$(ROOT)/bin/kubectl' .
	go build -C tools/gitea -o '$(ROOT)/bin/gitea' -ldflags '-s -w' .
	go build -C tools/release -o '$(ROOT)/bin/release' .
	go build -o bin/withcluster ./internal/withcluster
	go build -o bin/canary ./internal/canary
	bin/withcluster -real-node bin/canary go test -timeout 20m $(if $(TEST_KUBECONFIG),-count=1) ./...
	DEVCLUSTER_BIN=$(ROOT)/bin/devcluster go test -C devcluster ./...
	go test -C tools/release ./...

# BENCH_FLAGS are those of bench/: `make bench BENCH_FLAGS='-n 100,1000 -out docs/performance'`; see docs/performance. Of the Go benchmarks a
# metric "x" stands beside "x-limit", what is promised of it. On an idle machine: the numbers are of this one.
.PHONY: bench
bench: build devcluster ## measure what is promised of speed and memory, each beside its limit
	$(HELM) version > /dev/null
	go build -o bin/bench ./bench
	bin/bench $(BENCH_FLAGS)
	@# The kernel counts for a program what its parent had when it forked, so those that start one have a small parent of their own.
	@for benchmarks in Validate 'Workload|OneOf|Kept'; do \
		go test -v -run '^$$' -bench "$$benchmarks" -cpu 1 ./manifests | grep -E -- '-limit|-kept|bench_test.go|^(--- |FAIL|panic)'; \
	done
	go test -run '^$$' -bench Large -benchtime 10x ./source
	go test -run '^$$' -bench Answer ./hook

# What a release is made of is built anew for each platform: about five minutes each on two cores, the first time. `make test` packs the
# program that it tests instead.
RELEASE = go run -C tools/release . -source '$(ROOT)' -version $(VERSION:v%=%) -created $$(git log -1 --format=%cI)

.PHONY: image
image: ## build the image: bin/image/kilter-VERSION.oci.tar, for linux amd64 and arm64, with bills of materials (minutes)
	$(RELEASE) -out '$(ROOT)/bin/image' -platforms linux/amd64,linux/arm64

.PHONY: release
release: ## build all that is published, in bin/dist: programs for linux, darwin and windows, the image, bills of materials, sums
	$(RELEASE) -out '$(ROOT)/bin/dist'

.PHONY: generate
generate: ## write what is made from code: deepcopy, CRDs, dashboards and docs/metrics.md
	$(call generate_into,api/v1alpha1)
	mkdir -p charts/kilter/files/crds
	cp api/v1alpha1/crds/*.yaml charts/kilter/files/crds/
	go run ./internal/metricspage > docs/metrics.md
	go run ./internal/dashboards charts/kilter/files/dashboards

generate_into = $(CONTROLLER_GEN) object crd paths=./api/... output:object:dir=$(1) output:crd:dir=$(1)/crds

.PHONY: fmt
fmt: ## format the Go code
	$(GOFUMPT) -l -w .

.PHONY: lint
lint: ## run the linters on every module with code of ours
	$(GOLANGCI_LINT) run ./...
	cd devcluster && $(GOLANGCI_LINT) run --config ../.golangci.yml ./...
	cd tools/release && $(GOLANGCI_LINT) run --config ../../.golangci.yml ./...

.PHONY: verify
verify: lint ## lint, go vet, and that what is generated, formatted and required is up to date
	go vet ./...
	go vet -C devcluster ./...
	go vet -C tools/release ./...
	@unformatted=$$($(GOFUMPT) -l .); [[ -z $$unformatted ]] || { echo "not formatted, run 'make fmt':" $$unformatted >&2; exit 1; }
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(call generate_into,"$$fresh"); \
	go run ./internal/metricspage > "$$fresh/metrics.md"; \
	diff -u "$$fresh/metrics.md" docs/metrics.md && \
	diff -u "$$fresh/zz_generated.deepcopy.go" api/v1alpha1/zz_generated.deepcopy.go && \
	diff -ru "$$fresh/crds" api/v1alpha1/crds && diff -ru "$$fresh/crds" charts/kilter/files/crds || \
	{ echo "generated files are not up to date, run 'make generate'" >&2; exit 1; }
	@for module in $(MODULES); do \
		go mod tidy -C $$module -diff || { echo "$$module/go.mod is not tidy, run 'go mod tidy -C $$module'" >&2; exit 1; }; \
	done
	$(HELM) lint --strict charts/kilter

.PHONY: check
check: verify test ## all that CI checks

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
