# sparseop: the front door. `make` alone lists what there is.
#
# The first target you ask for creates .venv (about a minute). Other machines:
#   make PYTHON=python3.12 fig2                      another interpreter
#   make TORCH='torch --index-url ...' test          another build of torch (only test, demo and the trainers need it)

PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0
BIN    := $(VENV)/bin
RUN    := $(BIN)/python
ARGS   ?= $(if $(FRESH),--force)

.DEFAULT_GOAL := help
.PHONY: help train sane mutants fig2 fig3 fig4 linear lowrank refinery figures gallery inspect tables test test-all lint bench demo notebooks clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo; echo "  ARGS='--quick' for a small grid, '--full' for the finest, '--redraw' to draw committed data: make fig4 ARGS=--full"

# ---- environment -------------------------------------------------------------------------------------------------
# Core: no torch. A torch that the calling interpreter already has is reused (one .pth line), never replaced.
$(VENV)/.ready: pyproject.toml
	@test -x $(RUN) || { echo "creating $(VENV) (about a minute) ..."; $(PYTHON) -m venv $(VENV); }
	@$(RUN) -m pip install -q --upgrade 'pip>=25.1'
	@$(RUN) -m pip install -q -e .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	@site=$$($(PYTHON) -c 'import sys, torch, sysconfig; assert tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4); print(sysconfig.get_path("purelib"))' 2>/dev/null) \
	  && echo "$$site" > $$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/_parent.pth || true
	@$(RUN) -c 'import torch' 2>/dev/null || { echo "installing $(TORCH) ..."; $(RUN) -m pip install -q $(TORCH); }
	@$(RUN) -m pip install -q --group test
	@touch $@

# torchvision and timm beside the torch that is there: the constraint keeps pip from replacing it
$(VENV)/.ready-large: $(VENV)/.ready-test
	@$(RUN) -c 'import torch; print("torch==" + torch.__version__.split("+")[0])' > $(VENV)/torch.txt
	@$(RUN) -m pip install -q -c $(VENV)/torch.txt torchvision timm
	@touch $@

$(VENV)/.ready-bench: $(VENV)/.ready-test
	@$(RUN) -m pip install -q --group bench
	@touch $@

$(VENV)/.ready-lint: $(VENV)/.ready
	@$(RUN) -m pip install -q --group lint
	@touch $@

# ---- figures -----------------------------------------------------------------------------------------------------
fig2: $(VENV)/.ready ## SOP figure 2: gradient descent and the convex program agree
	$(RUN) -m theory.fig2_equivalence $(ARGS)
fig3: $(VENV)/.ready ## SOP figure 3: recovery against the penalty lambda
	$(RUN) -m theory.fig3_penalty $(ARGS)
fig4: $(VENV)/.ready ## SOP figure 4: the phase transition over rank and sparsity
	$(RUN) -m theory.fig4_phase_transition $(ARGS)
linear: $(VENV)/.ready-test fig2 fig3 fig4 ## every study of the linear model: the three figures, and seven more
	$(RUN) -m theory.incoherence $(ARGS)
	$(RUN) -m theory.theorem31 $(ARGS)
	$(RUN) -m theory.why_not_explicit $(ARGS)
	$(RUN) -m theory.landscape $(ARGS)
	$(RUN) -m theory.robust_tables $(ARGS)
	$(RUN) -m theory.group_flow $(ARGS)
	$(RUN) -m theory.open_questions $(ARGS)
lowrank: $(VENV)/.ready ## robust low-rank matrices: the flow on U U^T + g*g - h*h against robust PCA
	$(RUN) -m theory.robust_low_rank $(ARGS)
refinery: $(VENV)/.ready ## SANE's theory: the label refinery's studies and Theorem 1
	$(RUN) -m theory.refinery_jacobian $(ARGS)
	$(RUN) -m theory.refinery_descent $(ARGS)
	$(RUN) -m theory.refinery_recovery $(ARGS)
	$(RUN) -m theory.refinery_bounds $(ARGS)
	$(RUN) -m theory.generalization $(ARGS)

# ---- tables of the trainers: from committed records, nothing is trained but with FRESH=1 ------------------------------
RECORDED := $(if $(FRESH),--force,--redraw)
# a study whose record isn't committed yet is left out
WITH_RECORD = $(foreach study,$(1),$(if $(or $(FRESH),$(wildcard figures/data/$(study).csv)),$(study)))
tables: $(VENV)/.ready-test ## the trainers' figures and tables, of both papers and beyond, from the committed records
	for study in $(call WITH_RECORD,table1 fig1 sensitivity auto_rates image_recovery sane_shapes sane_time sane_regimes); do $(RUN) -m deep.$$study $(RECORDED) || exit; done
	for table in table2 table3 table4 table5 tableA1 cifar10_convnet sane_tables $(if $(wildcard deep/results/fast/*),fast_tables when_sop_pays); do $(RUN) -m deep.$$table || exit; done

# ---- everything: what takes a minute is computed, what takes longer is drawn from the records ---------------------------
figures: linear tables ## figures, tables and figures/README.md (FRESH=1: every study computed anew)
	for study in refinery_jacobian generalization; do $(RUN) -m theory.$$study $(ARGS) || exit; done
	for study in refinery_descent refinery_recovery refinery_bounds $(if $(call WITH_RECORD,low_rank_gamma),robust_low_rank); do $(RUN) -m theory.$$study $(RECORDED) || exit; done
	$(MAKE) gallery
inspect: $(VENV)/.ready ## which labels are wrong? The digits with errors put in; ARGS='INPUT --labels FILE' for your own
	$(RUN) -m sparseop.inspect $(if $(ARGS),$(ARGS),--open)
gallery: $(VENV)/.ready ## figures/README.md from the committed data, tables and records
	$(RUN) -m gallery

# ---- development -------------------------------------------------------------------------------------------------
# two processes of one thread each: most tests are too small for two threads. ARGS='-n 0' is one process
test: $(VENV)/.ready-test ## the default test suite (under 5 minutes)
	$(RUN) -m pytest -n 2 $(ARGS)
test-all: $(VENV)/.ready-test ## the slow tests too
	$(RUN) -m pytest -n 2 -m 'not gpu' $(ARGS)
mutants: $(VENV)/.ready-test ## change one thing at a time: does a test notice? (hours; goes on where it stopped; docs/mutants.md)
	$(RUN) -m pip install -q --group mutants
	$(RUN) -m tests.mutation $(ARGS)
lint: $(VENV)/.ready-lint ## ruff and mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check -q .
	$(RUN) -m mypy
# official_sop wants a checkout of the released code: python -m benchmarks.official_sop --official DIR
BENCHMARKS := $(basename $(notdir $(filter-out $(addprefix benchmarks/,__init__.py record.py official_sop.py),$(wildcard benchmarks/*.py))))
bench: $(VENV)/.ready-bench ## the speed claims, "claimed | measured here"; ARGS=--record replaces the record
	for name in $(BENCHMARKS); do echo "== benchmarks.$$name"; $(RUN) -m benchmarks.$$name $(filter --record,$(ARGS)) || exit; done
# ---- the trainers ------------------------------------------------------------------------------------------------
train: $(VENV)/.ready-deep ## cross-entropy against SOP on handwritten digits: a minute (ARGS=RECIPE for another)
	$(RUN) -m sparseop.deep.train $(ARGS)
sane: $(VENV)/.ready-deep ## MoCo against SANE on painted shapes: four minutes
	$(RUN) -m sparseop.deep.train sane $(ARGS)
$(VENV)/.ready-deep: $(VENV)/.ready
	@$(RUN) -c 'import torch' 2>/dev/null || { echo "installing $(TORCH) ..."; $(RUN) -m pip install -q $(TORCH); }
	@$(RUN) -m pip install -q -e '.[deep,image]'
	@touch $@

demo: ## the classroom: one page that computes in your browser, nothing to install
	@$(PYTHON) -m webbrowser "file://$(CURDIR)/demos/index.html" >/dev/null 2>&1 || true
	@echo "if no browser has opened: demos/index.html, from disk, on any screen"
notebooks: $(VENV)/.ready-test ## the lessons as marimo notebooks, to read and change, on this machine only
	@$(RUN) -c 'import marimo' 2>/dev/null || $(RUN) -m pip install -q -e '.[demo]'
	$(RUN) -m marimo run $(filter-out $(addprefix demos/,__init__.py classroom.py build.py record.py),$(wildcard demos/*.py))
clean: ## remove the environment and the caches; results stay
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache figures/quick figures/measured
