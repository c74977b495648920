# The commands of MV Studio. Works with GNU make 3.81 (macOS) and later; nothing needs to be run before them.

.PHONY: help film studio test lint format doctor clean

SONG   =
THEME  =
OUT    =
MODEL  =
STEPS  =
SIZE   =
ASPECT =
SEED   =
ARGS   =

# Which Python builds .venv; empty: the first one found that is 3.11 or later.
PYTHON ?=
# Another place for torch, e.g. https://download.pytorch.org/whl/cpu (small, no CUDA).
TORCH_INDEX ?=

# The shell reads these from its environment, so a path may hold spaces, quotes and dollar signs.
# `value` keeps make from expanding a $ in them. An empty SONG means the example song.
override SONG   := $(if $(value SONG),$(value SONG),assets/song/first_light.mp3)
override THEME  := $(value THEME)
override OUT    := $(value OUT)
override MODEL  := $(value MODEL)
override STEPS  := $(value STEPS)
override SIZE   := $(value SIZE)
override ASPECT := $(value ASPECT)
override SEED   := $(value SEED)
export SONG THEME OUT MODEL STEPS SIZE ASPECT SEED PYTHON TORCH_INDEX

RUN = .venv/bin/python

help:
	@echo "make film SONG=path.mp3   a music video of the whole song (without SONG: the example song)"
	@echo "     THEME=\"neon city at night\"  OUT=film.mp4  MODEL=mv-mini  STEPS=8  SIZE=draft  ASPECT=9:16  SEED=7"
	@echo "make studio               open the studio in the browser        (ARGS=\"--port 7861\")"
	@echo "make test                 every test that runs without a GPU    (ARGS=\"-k camera\")"
	@echo "make lint                 style and formatting; make format mends the formatting"
	@echo "make doctor               what this machine can run, and what is missing"
	@echo "make clean                remove .venv and caches; films and projects stay"
	@echo ""
	@echo "The first command makes .venv and installs requirements.txt into it. On Linux without an NVIDIA GPU"
	@echo "TORCH_INDEX=https://download.pytorch.org/whl/cpu saves a download of several GB."

film: .venv/ready
	@set -- ; \
	if [ -n "$$OUT" ]; then set -- "$$@" -o "$$OUT"; fi; \
	if [ -n "$$THEME" ]; then set -- "$$@" --theme "$$THEME"; fi; \
	if [ -n "$$MODEL" ]; then set -- "$$@" --model "$$MODEL"; fi; \
	if [ -n "$$STEPS" ]; then set -- "$$@" --steps "$$STEPS"; fi; \
	if [ -n "$$SIZE" ]; then set -- "$$@" --size "$$SIZE"; fi; \
	if [ -n "$$ASPECT" ]; then set -- "$$@" --aspect "$$ASPECT"; fi; \
	if [ -n "$$SEED" ]; then set -- "$$@" --seed "$$SEED"; fi; \
	$(RUN) -m mv make "$$@" $(ARGS) -- "$$SONG"

studio: .venv/ready
	@$(RUN) app.py --inbrowser $(ARGS)

doctor: .venv/ready
	@$(RUN) -m mv doctor

test: .venv/ready-dev
	@$(RUN) -m pytest -m "not gpu and not network" $(ARGS)

lint: .venv/ready-dev
	@$(RUN) -m ruff check . && $(RUN) -m ruff format --check .

format: .venv/ready-dev
	@$(RUN) -m ruff format .

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamps come last, after pip has succeeded: an interrupted installation is taken up again.
.venv/ready: requirements.txt
	@python=; \
	for name in $${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "error: Python 3.11 or later is needed; found: `$${PYTHON:-python3} --version 2>&1 | head -n 1`." >&2; \
		echo "Install it (Debian, Ubuntu: apt-get install python3 python3-venv; Mac: brew install python@3.12)," >&2; \
		echo "or name one: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "error: $$python cannot make virtual environments: its venv module is missing." >&2; \
		echo "Debian, Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then \
		echo "Making .venv with $$python ..."; \
		"$$python" -m venv --clear .venv || exit 1; \
	fi; \
	echo "Installing requirements.txt into .venv: some minutes, the first time only ..."; \
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		$${TORCH_INDEX:+--extra-index-url "$$TORCH_INDEX"} -r requirements.txt && touch .venv/ready

.venv/ready-dev: .venv/ready requirements-dev.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		$${TORCH_INDEX:+--extra-index-url "$$TORCH_INDEX"} -r requirements-dev.txt && touch .venv/ready-dev
