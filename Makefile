# make         install, build the programs
# make demo    install, build what it needs, train on drawn faces, detect in photographs
# make test    install, build what the tests need, run them all
# make bench   measure every operation and the engines people use instead (QUICK=1: in two minutes)
# make deb     build Debian packages (build-deb/)
# make wheel   a Python wheel with all libraries that it needs (build-wheel/dist; PYTHON=python3.11 for that one)
# make web     the page for browsers, with Emscripten (build-web/site); make web-serve shows it, make web-test tests it
# make fuzz    every parser for SECONDS=60 each, with sanitizers (clang; TARGETS="picture model" for some)
# make format  clang-format over all sources
BUILD ?= build
PACKAGES := $(shell sed '/^\# Tests alone/,$$d; s/[[:space:]]*\#.*//' packages.txt)
TEST_PACKAGES := $(shell sed '1,/^\# Tests alone/d; s/[[:space:]]*\#.*//' packages.txt)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: all deps setup demo test bench deb wheel web web-serve web-test fuzz format clean

all: setup
	@ninja -C $(BUILD) programs

deps:
	@missing=; for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing:$$missing"; \
	  $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing && \
	  { [ ! -f $(BUILD)/build.ninja ] || meson setup --reconfigure $(BUILD); }; \
	fi

setup: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)

demo: setup
	@ninja -C $(BUILD) demo
	@apps/demo.sh $(BUILD)

# meson builds what the tests run, and no more.
test: setup
	@$(MAKE) --no-print-directory deps PACKAGES="$(TEST_PACKAGES)"
	@meson test -C $(BUILD) --print-errorlogs --timeout-multiplier 3

bench: setup
	@bench/run.sh $(BUILD) $(if $(QUICK),--quick)

deb: deps
	@packaging/deb.sh

wheel:
	@$(MAKE) --no-print-directory deps PACKAGES="$(PACKAGES) python3-venv"
	@PYTHON=$(PYTHON) packaging/wheel.sh

# Emscripten is large, and nothing else needs it.
web:
	@$(MAKE) --no-print-directory deps PACKAGES="$(PACKAGES) emscripten"
	@web/build.sh

web-serve: web
	@web/serve.py $(if $(PORT),--port $(PORT))

web-test: web setup
	@$(MAKE) --no-print-directory deps PACKAGES="chromium firefox-esr"
	@meson test -C $(BUILD) --suite web --print-errorlogs

fuzz: deps
	@nice tests/fuzz/run.sh $(or $(SECONDS),60) $(TARGETS)

format:
	@git ls-files '*.h' '*.cc' '*.cu' | xargs clang-format -i

clean:
	@rm -rf $(BUILD) build-deb build-web build-web-threads build-wheel
