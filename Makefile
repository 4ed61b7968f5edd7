# iwx: build, test, install. See CONTRIBUTING.md.

PREFIX     ?= /usr/local
DESTDIR    ?=
SBINDIR    ?= $(PREFIX)/sbin
LIBEXECDIR ?= $(PREFIX)/libexec/iwx
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= /usr/lib/systemd/system
ZSHDIR     ?= /usr/share/zsh/vendor-completions
BIN        ?= bin
DIST       ?= dist
VERSION    ?= $(shell sed -n 's/^var Version = "\(.*\)"/\1/p' lib/cli/version.go)

TOOLS   := iwx-cluster-setup iwx-lb iwx-node iwx-queue iwx-queued iwx-site
GO      ?= go
LDFLAGS := -s -w -X iwx/lib/cli.Version=$(VERSION)
NFPM    := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0
export CGO_ENABLED ?= 0

# All times in the packages: the same commit gives the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date -r packaging/changelog +%s)

.PHONY: build check check-all vet test race race-all bench bench-lb demo lab lab-shell install packages later completions clean

build:
	$(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

# The README's test command: installs what the tests need, then runs all tests except
# those of whole servers.
check:
	./testscripts/prepare
	$(MAKE) vet test race demo

vet:
	@test -z "$$(gofmt -l cmd lib testscripts)" || { gofmt -l cmd lib testscripts; echo 'error: gofmt would change these files'; exit 1; }
	$(GO) vet ./...

# The thorough tier, to run before a task is done: also the race detector over
# everything, and all scripts of the lab. It takes an hour or two.
check-all: check race-all lab

test:
	./testscripts/test -timeout 25m ./...

# The race detector, on packages whose goroutines share data. Randomized tests run fewer
# rounds with -short: further kills show the detector nothing new.
SHARING = $(sort $(dir $(shell grep -rlE '\bsync\.|\batomic\.|\bgo func|\.Go\b' --include='*.go' --exclude='*_test.go' lib)))
race:
	CGO_ENABLED=1 ./testscripts/test -race -short -timeout 25m $(SHARING:%=./%)

race-all:
	CGO_ENABLED=1 ./testscripts/test -race -short -timeout 60m ./lib/...

bench: build
	./testscripts/prepare bench
	$(GO) run ./testscripts/bench bin

# What visitors lose behind iwx, and behind other balancers: those that are proxies
# in network namespaces, those in the kernel on servers of the lab.
bench-lb: packages
	./testscripts/prepare bench-lb
	./testscripts/prepare lab
	$(GO) run ./testscripts/benchlb $(BIN)
	$(GO) run ./testscripts/lab -dist $(DIST) -name bench -scripts testscripts/lab/bench -jobs 1

demo: build
	./testscripts/demo

# Whole servers: see testscripts/lab. One script: make lab RUN=NAME.
SCRIPTS ?= testscripts/lab
lab: packages later
	./testscripts/prepare lab
	$(GO) run ./testscripts/lab -dist $(DIST) -scripts '$(SCRIPTS)' -run '$(RUN)'

lab-shell: packages
	./testscripts/prepare lab
	$(GO) run ./testscripts/lab -dist $(DIST) -shell

# The same packages as of the next version, to upgrade to.
LATER = $(shell echo $(VERSION) | awk -F. -v OFS=. '{ $$NF = $$NF + 1; print }')
later:
	$(MAKE) -s packages VERSION=$(LATER) DIST='$(DIST)/later' BIN='$(DIST)/later/bin'

completions:
	$(GO) test ./lib/tool -run Completions -update

install: build
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR)
	install -m 755 $(addprefix $(BIN)/,$(TOOLS)) $(DESTDIR)$(SBINDIR)
	install -m 755 $(BIN)/iwx-attempt $(DESTDIR)$(LIBEXECDIR)
	for s in 5 7 8; do install -d $(DESTDIR)$(MANDIR)/man$$s && install -m 644 man/*.$$s $(DESTDIR)$(MANDIR)/man$$s || exit 1; done
	install -d $(DESTDIR)/usr/share/bash-completion/completions $(DESTDIR)$(ZSHDIR) $(DESTDIR)/usr/share/fish/vendor_completions.d
	for t in $(TOOLS); do \
	  install -m 644 completions/$$t.bash $(DESTDIR)/usr/share/bash-completion/completions/$$t && \
	  install -m 644 completions/_$$t $(DESTDIR)$(ZSHDIR) && \
	  install -m 644 completions/$$t.fish $(DESTDIR)/usr/share/fish/vendor_completions.d || exit 1; done
	for u in packaging/systemd/*; do \
	  sed 's|/usr/sbin/|$(SBINDIR)/|' $$u > $(DESTDIR)$(UNITDIR)/$${u##*/} && chmod 644 $(DESTDIR)$(UNITDIR)/$${u##*/} || exit 1; done
	install -D -m 644 packaging/sysusers.d/iwx.conf $(DESTDIR)/usr/lib/sysusers.d/iwx.conf
	install -D -m 644 packaging/tmpfiles.d/iwx.conf $(DESTDIR)/usr/lib/tmpfiles.d/iwx.conf
	install -D -m 644 packaging/modprobe.d/iwx.conf $(DESTDIR)/usr/lib/modprobe.d/iwx.conf
	install -D -m 644 packaging/sysctl.d/60-iwx.conf $(DESTDIR)/usr/lib/sysctl.d/60-iwx.conf

# $(DIST) gets the Debian and the RPM package for this architecture.
packages: build
	./packaging/stage '$(DIST)/stage' '$(VERSION)'
	for p in deb rpm; do (cd '$(DIST)/stage' && \
	  VERSION='$(VERSION)' GOARCH=$$($(GO) env GOARCH) $(GO) run $(NFPM) package -f '$(CURDIR)/packaging/nfpm.yaml' -p $$p -t ..) || exit 1; done

clean:
	rm -rf bin dist
