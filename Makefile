# Terse. `make` alone lists what can be made.
#
# Everything is found by its place, so a new file needs no line here:
#   codec/*.c net/*.c bridge/*.c  libraries           client/agent*.c  terse-agent
#   net/nng/*.c net/epoll/*.c     what net/ stands on, one of them in a program
#   proxy/*.c cli/*.c         programs            client/*.c       client library
#   tests/unit/NAME_test.c    one cmocka program each; other tests/unit/*.c are
#                             shared by all of them. proxy_*, cli_* and agent_*
#                             are linked with that program less its main().
#                             `/* link: FLAGS */` in a line adds linker flags.
#                             NAME_test.epoll: the same on the other backend
#   tests/e2e/NAME.c          $(O)/bin/e2e-NAME; tests/e2e/wire/*.c are shared
#   tests/fuzz/NAME_fuzz.c    one libFuzzer program each; proxy_* as above
#   tests/second/NAME.c       $(O)/bin/NAME, with other parsers than ours
#   tests/grow/*.c            built by its check, with two sets of tables
#   tests/soak tests/ledger tests/tsan tests/valgrind   what those targets start
#   tests/check/NN-NAME       one part of `make check` each, see tests/run
#   demo/run bench/run deploy/run   what those targets start
# All that is built goes to $(O).

O ?= build
PREFIX ?= /usr/local
TIME ?= 60
T ?=
VERSION ?= $(shell git describe --tags --always 2>/dev/null || echo 0)

ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS ?= -O3 -g
WERROR ?= -Werror
# e.g. address,undefined; set by `make sanitize` and `make fuzz`.
SANITIZE ?=

# Debian packages: to build, to test, to lint.
DEPS = gcc libc6-dev pkg-config \
	libprotobuf-c-dev protobuf-c-compiler protobuf-compiler \
	libprotobuf-dev libprotoc-dev \
	libxml2-dev libnng-dev libssl-dev libwslay-dev libgsasl-dev libinih-dev libc-ares-dev \
	libcmocka-dev libexpat1-dev libstrophe-dev zlib1g-dev liblzma-dev xz-utils \
	libjansson-dev libmicrohttpd-dev \
	python3 python3-pytest python3-pytest-xdist python3-protobuf python3-slixmpp \
	python3-websockets ejabberd prosody haproxy openssl curl
DEPS_LINT = git clang clang-format cppcheck shellcheck

# Of `make soak` and `make ledger`.
export FAULTS MESSAGES SEED CLIENT PART RACES WIRE CONTROL AWAY

MAKEFLAGS += --no-print-directory
# V=1 prints whole commands instead of one word each.
V ?=
Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(patsubst $(O)/%,%,$@)')
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := help

# ---- flags -----------------------------------------------------------------

WARN = -Wall -Wextra -Wconversion -Wshadow $(WERROR)
SAN = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer)
CPPFLAGS += -D_GNU_SOURCE -I. -isystem $(O)/gen -isystem /usr/include/libxml2
ALL_CFLAGS = -std=c11 $(CPPFLAGS) $(CFLAGS) $(SAN) $(EXTRA_CFLAGS) -MD -MP
LINK = $(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -Wl,--as-needed

LIBS_CODEC = -lxml2 -lz
LIBS_NET = -lnng -lssl -lcrypto -lwslay -lcares -lpthread
LIBS_CLIENT = -lgsasl -lprotobuf-c
LIBS_PROXY = -lmicrohttpd
LIBS = $(LIBS_CLIENT) $(LIBS_NET) $(LIBS_CODEC) -linih -lz -llzma -ljansson $(LIBS_PROXY)

# ---- sources ---------------------------------------------------------------

objects = $(patsubst %.c,$(O)/obj/%.o,$(1))
main_of = $(if $(1),$(shell grep -l '^int main' $(1)))

CODEGEN_C = $(wildcard codegen/*.c)
CODEC_C = $(wildcard codec/*.c)
NET_C = $(wildcard net/*.c)
# What net/ stands on: one of them in each program (net/io.h).
NNG_C = $(wildcard net/nng/*.c)
EPOLL_C = $(wildcard net/epoll/*.c)
BRIDGE_C = $(wildcard bridge/*.c)
PROXY_C = $(wildcard proxy/*.c)
CLI_C = $(wildcard cli/*.c)
AGENT_C = $(wildcard client/agent*.c)
CLIENT_C = $(filter-out $(AGENT_C),$(wildcard client/*.c))
UNIT_C = $(wildcard tests/unit/*_test.c)
UNIT_LIB_C = $(filter-out $(UNIT_C),$(wildcard tests/unit/*.c))
E2E_C = $(wildcard tests/e2e/*.c)
E2E_LIB_C = $(wildcard tests/e2e/wire/*.c)
FUZZ_C = $(wildcard tests/fuzz/*_fuzz.c)
OWN_C = $(wildcard codegen/*.[ch] codec/*.[ch] net/*.[ch] net/nng/*.[ch] \
	net/epoll/*.[ch] bridge/*.[ch] \
	proxy/*.[ch] \
	client/*.[ch] cli/*.[ch] tests/unit/*.[ch] tests/e2e/*.[ch] \
	tests/e2e/wire/*.[ch] \
	tests/fuzz/*.[ch] tests/second/*.[ch] tests/grow/*.[ch] \
	bench/*.[ch] bench/lib/*.[ch] bench/load/*.[ch] \
	demo/*.[ch])

SCHEMAS = $(sort $(patsubst schemas/%,%,\
	$(wildcard schemas/*.proto schemas/terse/*.proto)))

GEN_PB = $(O)/gen/google/protobuf/descriptor.pb-c \
	$(O)/gen/google/protobuf/compiler/plugin.pb-c
PLUGIN = $(O)/bin/protoc-gen-terse

LIB_CODEC = $(O)/lib/libterse.a
LIB_NET = $(O)/lib/libterse-net.a
LIB_NNG = $(O)/lib/libterse-net-nng.a
LIB_EPOLL = $(O)/lib/libterse-net-epoll.a
# Of tersed and terse-agent: what stands on net/ and codec/.
LIB_BRIDGE = $(O)/lib/libterse-bridge.a
LIB_CLIENT = $(O)/lib/libterse-client.a
LIB_ALL = $(if $(CLIENT_C),$(LIB_CLIENT)) $(if $(BRIDGE_C),$(LIB_BRIDGE)) \
	$(if $(NET_C),$(LIB_NET) $(LIB_NNG)) $(LIB_CODEC)
# The same without the client library, on the other backend: for tersed.
LIB_LOOP = $(LIB_BRIDGE) $(LIB_NET) $(LIB_EPOLL) $(LIB_CODEC)

PROGRAMS = $(PLUGIN) \
	$(if $(call main_of,$(PROXY_C)),$(O)/bin/tersed) \
	$(if $(call main_of,$(CLI_C)),$(O)/bin/terse) \
	$(if $(call main_of,$(AGENT_C)),$(O)/bin/terse-agent)
MAN = $(O)/man/terse.1 $(O)/man/terse-agent.1 $(O)/man/tersed.8
SECOND = $(patsubst tests/second/%.c,$(O)/bin/%,$(wildcard tests/second/*.c))
# What stands on net/ is tested with both backends, tersed with its own.
UNITS_LOOP = $(filter $(O)/tests/unit/proxy_% $(O)/tests/unit/net_epoll_%, \
		$(patsubst %.c,$(O)/%,$(UNIT_C))) \
	$(patsubst %,$(O)/tests/unit/net_%_test.epoll,conn tls)
UNITS = $(patsubst %.c,$(O)/%,$(UNIT_C)) $(filter %.epoll,$(UNITS_LOOP))
E2E = $(patsubst tests/e2e/%.c,$(O)/bin/e2e-%,$(E2E_C))
DEMOS = $(patsubst demo/%.c,$(O)/bin/demo-%,$(wildcard demo/*.c))
BENCHES = $(patsubst bench/%.c,$(O)/bin/bench-%,$(wildcard bench/*.c))
BENCH_LIB_C = $(wildcard bench/lib/*.c)
# The two ends of a measurement of tersed; their own folder, for bench/lib has
# a malloc of its own.
LOAD_C = $(wildcard bench/load/*.c)
LOADS = $(patsubst bench/load/%.c,$(O)/bin/bench-%,$(call main_of,$(LOAD_C)))
FUZZERS = $(patsubst tests/fuzz/%.c,$(O)/bin/%,$(FUZZ_C))

# ---- what one asks for -----------------------------------------------------

.PHONY: help deps all check check-run check-browser demo vector lock run bench bench-codec lint format \
	sanitize tsan valgrind soak ledger fuzz install dist clean

help: ## this list
	@echo "Terse: XMPP in a fraction of its bytes. Targets:"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 14
	@echo "Built in O=$(O) with CC=$(CC)."

deps: ## install the Debian packages that are missing (sudo where not root)
	@scripts/deps $(DEPS)

all: $(LIB_ALL) $(PROGRAMS) $(MAN) $(O)/gen/terse.proto ## build libraries and programs

check: ## all tests; T=name: those whose name contains it
	@scripts/deps $(DEPS)
	@$(MAKE) check-run

check-run: all $(UNITS) $(E2E) $(SECOND)
	@O='$(O)' CC='$(CC)' T='$(T)' tests/run $(UNITS)

check-browser: ## a page in headless Chromium, which it installs
	@scripts/deps chromium
	@$(MAKE) check-e2e T=browser

# One part: check-unit, or check-NAME for tests/check/NN-NAME.
check-%:
	@scripts/deps $(DEPS)
	@$(MAKE) all $(UNITS) $(E2E) $(SECOND)
	@O='$(O)' CC='$(CC)' T='$(T)' ONLY='$*' tests/run $(UNITS)

demo: ## ejabberd, tersed and two clients that chat, with a table of bytes
	@scripts/deps $(DEPS)
	@$(MAKE) all $(E2E) $(DEMOS)
	@O='$(O)' demo/run

vector: ## write the frames of tests/vectors/T.txt anew, for review (T=name)
	@scripts/deps $(DEPS)
	@$(MAKE) all
	@O='$(O)' tests/vector '$(T)'

lock: ## write schemas/lock anew: what is released of the schemas
	@scripts/deps $(DEPS)
	@$(MAKE) $(PLUGIN)
	@mkdir -p $(O)/lock
	$(Q)ASAN_OPTIONS=detect_leaks=0 protoc \
		--plugin=protoc-gen-terse=$(PLUGIN) \
		--terse_out=write_lock=schemas/lock:$(O)/lock -Ischemas $(SCHEMAS)
	$(Q)mv $(O)/lock/lock schemas/lock

run: ## tersed in the foreground; CONF=file, else the sample, to be edited
	@scripts/deps $(DEPS)
	@$(MAKE) all
	@O='$(O)' deploy/run

# The peers that tersed is measured beside.
DEPS_BENCH = haproxy nginx libnginx-mod-stream iproute2
.PHONY: bench-proxy bench-connections bench-air

bench: ## measure all there is to measure; writes JSON to $(O)/bench
	@scripts/deps $(DEPS) $(DEPS_BENCH)
	@$(MAKE) all $(BENCHES) $(LOADS) $(O)/bin/e2e-session_driver
	@mkdir -p $(O)/bench
	@O='$(O)' bench/run

bench-codec: ## of these, the codec's time and memory; ROUNDS=21
	@scripts/deps $(DEPS)
	@$(MAKE) $(O)/bin/bench-codec
	@O='$(O)' bench/run codec

bench-proxy: ## of these, tersed beside HAProxy, nginx and ejabberd: rate, CPU, latency
	@scripts/deps $(DEPS) $(DEPS_BENCH)
	@$(MAKE) all $(LOADS)
	@O='$(O)' bench/run proxy

bench-connections: ## of these, thousands of idle sessions: memory, CPU, time to connect
	@scripts/deps $(DEPS)
	@$(MAKE) all $(LOADS)
	@O='$(O)' bench/run connections

bench-air: ## of these, what a phone pays on the air, beside ejabberd by TLS and zlib
	@scripts/deps $(DEPS) iproute2
	@$(MAKE) all $(O)/bin/e2e-session_driver
	@O='$(O)' bench/run air

scale-table: ## docs/scale.md's arithmetic, from the JSON of bench-connections and bench-proxy
	@O='$(O)' scripts/scale-table

.PHONY: scale-table

lint: ## format, #include directions, white space, cppcheck
	@scripts/deps $(DEPS_LINT)
	@scripts/lint $(OWN_C)

format: ## let clang-format rewrite all C
	@scripts/deps $(DEPS_LINT)
	clang-format -i $(OWN_C)

sanitize: ## unit and end-to-end tests under ASan and UBSan
	@scripts/deps $(DEPS)
	@$(MAKE) $(BUILD_SAN) sanitize-run

.PHONY: sanitize-run
sanitize-run: all $(UNITS) $(E2E)
	@O='$(O)' CC='$(CC)' T='$(T)' ONLY='unit codegen vectors e2e' tests/run $(UNITS)

# What the sanitizers are run with; others would only build it again.
BUILD_SAN = O='$(O)-san' SANITIZE=address,undefined CFLAGS='-O1 -g'
BUILD_TSAN = O='$(O)-tsan' SANITIZE=thread CFLAGS='-O1 -g'

tsan: ## unit tests and some end-to-end tests under ThreadSanitizer
	@scripts/deps $(DEPS)
	@$(MAKE) $(BUILD_TSAN) tsan-run

.PHONY: tsan-run
tsan-run: all $(UNITS) $(E2E)
	@O='$(O)' CC='$(CC)' T='$(T)' tests/tsan $(UNITS)

valgrind: ## 1,000 short sessions through tersed under valgrind
	@scripts/deps $(DEPS) valgrind
	@$(MAKE) all
	@O='$(O)' tests/valgrind

soak: ## hundreds of clients, each build of tersed, a ledger; TIME=600 in all
	@scripts/deps $(DEPS)
	@$(MAKE) $(O)/bin/tersed $(O)/gen/terse.proto
	@$(MAKE) $(BUILD_SAN) $(O)-san/bin/tersed
	@$(MAKE) $(BUILD_TSAN) $(O)-tsan/bin/tersed
	@O='$(O)' TIME='$(if $(filter file,$(origin TIME)),600,$(TIME))' \
		tests/soak/run

ledger: ## 2,000 messages each way while FAULTS=200 things break, by SEED
	@scripts/deps $(DEPS)
	@$(MAKE) $(if $(filter asan%,$(PART)),$(BUILD_SAN),$(if \
		$(filter tsan,$(PART)),$(BUILD_TSAN))) ledger-build
	@O='$(O)' tests/ledger/run

.PHONY: ledger-build
ledger-build: all $(E2E)

fuzz: ## libFuzzer on every tests/fuzz program for TIME=60 seconds in all
	@scripts/deps $(DEPS) clang
	@$(MAKE) O='$(O)-fuzz' CC=clang SANITIZE=address,undefined \
		CFLAGS='-O1 -g' EXTRA_CFLAGS=-fsanitize=fuzzer-no-link fuzz-run

.PHONY: fuzz-run
fuzz-run: $(FUZZERS)
	@O='$(O)' TIME='$(TIME)' scripts/fuzz $(FUZZERS)

install: all ## install to DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib \
		$(DESTDIR)$(PREFIX)/include/terse $(DESTDIR)$(PREFIX)/share/terse
	install -m 755 $(filter-out $(PLUGIN),$(PROGRAMS)) \
		$(DESTDIR)$(PREFIX)/bin
	install -m 644 $(filter-out $(LIB_NET) $(LIB_NNG) $(LIB_BRIDGE),$(LIB_ALL)) $(DESTDIR)$(PREFIX)/lib
	install -m 644 codec/terse.h $(wildcard client/terse*.h) \
		$(O)/gen/terse.pb-c.h $(DESTDIR)$(PREFIX)/include/terse
	sed -i 's,"codec/terse.h","terse.h",' \
		$(DESTDIR)$(PREFIX)/include/terse/*.h
	install -m 644 $(O)/gen/terse.proto $(DESTDIR)$(PREFIX)/share/terse
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 $(filter %.1,$(MAN)) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(filter %.8,$(MAN)) $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,/usr/local/bin,$(PREFIX)/bin,' deploy/tersed.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/tersed.service

dist: ## a tarball of what is committed, in dist/
	mkdir -p dist
	git archive --prefix=terse-$(VERSION)/ HEAD | gzip -9n \
		>dist/terse-$(VERSION).tar.gz

clean: ## remove what was built
	rm -rf $(O) $(O)-san $(O)-tsan $(O)-fuzz dist

# ---- generated code --------------------------------------------------------

$(addsuffix .c,$(GEN_PB)) $(addsuffix .h,$(GEN_PB)) &:
	@mkdir -p $(O)/gen
	$(call say,PROTOC)
	$(Q)protoc-c -I/usr/include --c_out=$(O)/gen google/protobuf/descriptor.proto \
		google/protobuf/compiler/plugin.proto

$(O)/gen/tables.c $(O)/gen/terse.proto &: $(PLUGIN) $(addprefix schemas/,$(SCHEMAS))
	@mkdir -p $(O)/gen
	$(call say,CODEGEN)
	$(Q)ASAN_OPTIONS=detect_leaks=0 protoc \
		--plugin=protoc-gen-terse=$(PLUGIN) --terse_out=$(O)/gen -Ischemas $(SCHEMAS)

$(O)/gen/text_model.c: schemas/text.model scripts/text/table.py
	@mkdir -p $(O)/gen
	$(call say,TABLE)
	$(Q)/usr/bin/python3 scripts/text/table.py $< >$@

$(O)/gen/terse.pb-c.c $(O)/gen/terse.pb-c.h &: $(O)/gen/terse.proto
	$(call say,PROTOC)
	$(Q)protoc-c -I$(O)/gen --c_out=$(O)/gen $<

# ---- objects, libraries, programs ------------------------------------------

# What protoc-c writes is not held to our warnings.
$(O)/obj/gen/%.pb-c.o: $(O)/gen/%.pb-c.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -w -c -o $@ $<

$(O)/obj/gen/tables.o $(O)/obj/gen/text_model.o: $(O)/obj/gen/%.o: $(O)/gen/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) $(WARN) -c -o $@ $<

$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) $(WARN) -c -o $@ $<

$(O)/obj/proxy/main.o $(O)/obj/client/agent.o: \
	CPPFLAGS += -DVERSION='"$(VERSION)"'

$(call objects,$(CODEGEN_C)): | $(addsuffix .h,$(GEN_PB))
$(call objects,$(CLIENT_C) $(AGENT_C) $(PROXY_C) $(CLI_C) $(UNIT_C) \
	$(UNIT_LIB_C) $(E2E_C) $(E2E_LIB_C) $(FUZZ_C) \
	$(wildcard demo/*.c bench/*.c tests/second/*.c)): \
	| $(O)/gen/terse.pb-c.h

define archive
@mkdir -p $(@D)
@rm -f $@
$(call say,AR)
$(Q)$(AR) rcs $@ $^
endef
define program
@mkdir -p $(@D)
$(call say,LINK)
$(Q)$(LINK) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
	-Wl,--end-group $(LIBS)
endef

$(PLUGIN): $(call objects,$(CODEGEN_C)) \
		$(patsubst $(O)/gen/%,$(O)/obj/gen/%.o,$(GEN_PB))
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ -lprotobuf-c

$(LIB_CODEC): $(call objects,$(CODEC_C)) $(O)/obj/gen/tables.o \
		$(O)/obj/gen/text_model.o
	$(archive)

$(LIB_NET): $(call objects,$(NET_C))
	$(archive)

$(LIB_NNG): $(call objects,$(NNG_C))
	$(archive)

$(LIB_EPOLL): $(call objects,$(EPOLL_C))
	$(archive)

$(LIB_BRIDGE): $(call objects,$(BRIDGE_C))
	$(archive)

# For users who link nothing but this and libterse.a.
$(LIB_CLIENT): $(call objects,$(CLIENT_C) $(NET_C) $(NNG_C)) $(O)/obj/gen/terse.pb-c.o
	$(archive)

$(O)/bin/tersed: $(call objects,$(PROXY_C)) $(LIB_LOOP)
	$(program)

$(O)/bin/terse: $(call objects,$(CLI_C)) $(LIB_ALL) $(O)/obj/gen/terse.pb-c.o
	$(program)

$(O)/man/terse.1: $(O)/bin/terse
	@mkdir -p $(@D)
	$< help --man >$@

$(O)/man/terse-agent.1: $(O)/bin/terse-agent
	@mkdir -p $(@D)
	$< --man >$@

$(O)/man/tersed.8: $(O)/bin/tersed
	@mkdir -p $(@D)
	$< --man >$@

# Reads what we write with other parsers than ours.
$(SECOND): $(O)/bin/%: $(O)/obj/tests/second/%.o $(O)/obj/gen/terse.pb-c.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ -lprotobuf-c -lxml2 -lexpat -ljansson

$(O)/bin/terse-agent: $(call objects,$(AGENT_C)) $(LIB_ALL)
	$(program)

$(O)/bin/demo-%: $(O)/obj/demo/%.o $(LIB_ALL) $(O)/obj/gen/terse.pb-c.o
	$(program)

# With the reader of recordings that terse has.
$(O)/bin/bench-%: $(O)/obj/bench/%.o $(call objects,$(BENCH_LIB_C)) \
		$(patsubst %,$(O)/obj/cli/%.o,records trip same xmltext) $(LIB_ALL) \
		$(O)/obj/gen/terse.pb-c.o
	$(program)

$(O)/lib/libload.a: $(call objects,$(filter-out $(call main_of,$(LOAD_C)),$(LOAD_C)))
	$(archive)

$(LOADS): $(O)/bin/bench-%: $(O)/obj/bench/load/%.o $(O)/lib/libload.a $(LIB_ALL)
	$(program)

LIB_E2E = $(if $(E2E_LIB_C),$(O)/lib/libe2e.a)
$(O)/lib/libe2e.a: $(call objects,$(E2E_LIB_C))
	$(archive)

$(O)/bin/e2e-%: LIBS += -lstrophe -lexpat
$(O)/bin/e2e-%: $(O)/obj/tests/e2e/%.o $(LIB_E2E) $(LIB_ALL) \
		$(O)/obj/gen/terse.pb-c.o
	$(program)

$(O)/bin/%_fuzz: private LDFLAGS += -fsanitize=fuzzer
$(O)/bin/%_fuzz: private LIBS += -lexpat
$(O)/bin/%_fuzz: $(O)/obj/tests/fuzz/%_fuzz.o $(LIB_ALL) \
		$(if $(UNIT_LIB_C),$(O)/lib/libunit.a)
	$(program)

# ---- unit tests ------------------------------------------------------------

no_main = $(filter-out $(call objects,$(call main_of,$(1))),$(call objects,$(1)))
LIB_UNIT = $(if $(UNIT_LIB_C),$(O)/lib/libunit.a)
$(O)/lib/libunit.a: $(call objects,$(UNIT_LIB_C))
	$(archive)

$(filter $(O)/tests/unit/proxy_%,$(UNITS)): $(call no_main,$(PROXY_C))
$(filter $(O)/tests/unit/cli_%,$(UNITS)): $(call no_main,$(CLI_C))
$(filter $(O)/tests/unit/agent_%,$(UNITS)): $(call no_main,$(AGENT_C))
$(filter $(O)/tests/unit/codegen_%,$(UNITS)): $(call no_main,$(CODEGEN_C)) \
	$(patsubst $(O)/gen/%,$(O)/obj/gen/%.o,$(GEN_PB))

$(filter $(O)/tests/unit/load_%,$(UNITS)): $(O)/lib/libload.a
# Fuzzers of a program's parts, too.
$(filter $(O)/bin/proxy_%,$(FUZZERS)): $(call no_main,$(PROXY_C))

$(UNITS_LOOP): $(LIB_LOOP)
$(filter-out $(UNITS_LOOP),$(UNITS)): $(LIB_ALL)

$(UNITS): LIBS += -lcmocka -lexpat
$(filter-out %.epoll,$(UNITS)): $(O)/%: $(O)/obj/%.o
$(filter %.epoll,$(UNITS)): $(O)/%.epoll: $(O)/obj/%.o
$(UNITS): $(O)/%: $(O)/obj/gen/terse.pb-c.o $(LIB_UNIT)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(LINK) $(shell sed -n 's,^/\* link: \(.*\) \*/$$,\1,p' $(*:.epoll=).c) -o $@ \
		$(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
		-Wl,--end-group $(LIBS)

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
