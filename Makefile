# iwx: build, test, install. See CONTRIBUTING.md.

PREFIX     ?= /usr/local
DESTDIR    ?=
SBINDIR    ?= $(PREFIX)/sbin
LIBEXECDIR ?= $(PREFIX)/libexec/iwx
MANDIR     ?= $(PREFIX)/share/man
UNITDIR    ?= /usr/lib/systemd/system
VERSION    ?= 0.1.0

TOOLS   := iwx-cluster-setup iwx-node iwx-queue iwx-queued
GO      ?= go
LDFLAGS := -s -w -X iwx/lib/cli.Version=$(VERSION)
export CGO_ENABLED ?= 0

.PHONY: build check test race bench demo install completions clean

build:
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

# The README's test command: brings in what it needs, then runs everything.
check:
	./testscripts/prepare
	@test -z "$$(gofmt -l cmd lib)" || { gofmt -l cmd lib; echo 'error: gofmt would change these files'; exit 1; }
	$(GO) vet ./...
	$(MAKE) test race demo

test:
	./testscripts/test ./...

race:
	CGO_ENABLED=1 ./testscripts/test -race ./...

bench: build
	./testscripts/prepare bench
	$(GO) run ./testscripts/bench bin

demo: build
	./testscripts/demo

completions:
	$(GO) test ./lib/tool -run Completions -update

install: build
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(UNITDIR)
	install -m 755 $(addprefix bin/,$(TOOLS)) $(DESTDIR)$(SBINDIR)
	install -m 755 bin/iwx-attempt $(DESTDIR)$(LIBEXECDIR)
	for s in 5 7 8; do install -d $(DESTDIR)$(MANDIR)/man$$s && install -m 644 man/*.$$s $(DESTDIR)$(MANDIR)/man$$s || exit 1; done
	install -d $(DESTDIR)/usr/share/bash-completion/completions $(DESTDIR)/usr/share/zsh/vendor-completions $(DESTDIR)/usr/share/fish/vendor_completions.d
	for t in $(TOOLS); do \
	  install -m 644 completions/$$t.bash $(DESTDIR)/usr/share/bash-completion/completions/$$t && \
	  install -m 644 completions/_$$t $(DESTDIR)/usr/share/zsh/vendor-completions && \
	  install -m 644 completions/$$t.fish $(DESTDIR)/usr/share/fish/vendor_completions.d || exit 1; done
	sed 's|/usr/sbin/|$(SBINDIR)/|' packaging/systemd/iwx-queued.service > $(DESTDIR)$(UNITDIR)/iwx-queued.service
	install -D -m 644 packaging/sysusers.d/iwx.conf $(DESTDIR)/usr/lib/sysusers.d/iwx.conf
	install -D -m 644 packaging/tmpfiles.d/iwx.conf $(DESTDIR)/usr/lib/tmpfiles.d/iwx.conf

clean:
	rm -rf bin dist
