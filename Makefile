# make demo: sets everything up, trains a small net on generated pairs, measures it, and infers a sample pair's flow.
# make test: sets everything up and runs the tests.
# PYTHON=python3.11 (say) chooses the interpreter; each has its own environment under .venv/.

PYTHON ?= $(shell for p in python3.7 "$$(pyenv root 2>/dev/null)"/versions/3.7.*/bin/python3.7 python3; do \
                  "$$p" -c '' 2>/dev/null && echo "$$p" && break; done)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/py$(VERSION)

.PHONY: demo test venv clean

demo: venv
	PYTHON=$(CURDIR)/$(VENV)/bin/python sh tools/demo.sh

test: venv
	$(VENV)/bin/python -m pytest tests

venv: $(VENV)/.installed

$(VENV)/.installed: requirements.txt tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv demo
