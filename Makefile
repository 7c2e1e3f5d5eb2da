# make demo: sets everything up, infers a sample pair's flow, measures generated pairs and fine-tunes for a minute.
# make test: sets everything up and runs the tests, by two processes or by JOBS=8 (say).
# make fuzz: reads malformed files, for a minute or for SECONDS=600 (tests/fuzz/__main__.py).
# PYTHON=python3.11 (say) chooses the interpreter; each has its own environment under .venv/.

PYTHON ?= $(shell for p in python3.7 "$$(pyenv root 2>/dev/null)"/versions/3.7.*/bin/python3.7 python3; do \
                  "$$p" -c '' 2>/dev/null && echo "$$p" && break; done)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/py$(VERSION)

.PHONY: demo test fuzz smoke native venv clean

demo: venv
	$(VENV)/bin/python -m src.native.build || echo "no native ops: the demo goes on with stock operations"
	PYTHON=$(CURDIR)/$(VENV)/bin/python sh tools/demo.sh

# Each file's tests stay in one process, in their order: they share what they prepare. tests/conftest.py has the order
# of the files.
JOBS := 2
test: venv
	$(VENV)/bin/python -m pytest tests -n $(JOBS) --dist loadfile

SECONDS := 60
fuzz: venv
	$(VENV)/bin/python tests/fuzz --seconds $(SECONDS)

# All stages of the training, from nothing to FlowNet2, on generated pairs and a step or so each.
smoke: venv
	rm -rf .venv/smoke
	PYTHON=$(CURDIR)/$(VENV)/bin/python sh tools/train_stages.sh synthetic:1 .venv/smoke --scale 0.000001 \
		--width 0.015625 --image_size 64,64 --batch_size 1 --save_step 1 --log_step 1 --chip cpu

# The native ops, for this TensorFlow (src/native/build.py): the graph and a CPU's augmentation are faster with them.
native: venv
	$(VENV)/bin/python -m src.native.build

venv: $(VENV)/.installed

$(VENV)/.installed: requirements.txt tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv demo
