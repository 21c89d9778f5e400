# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Needs Python 3.11+ and make, nothing else. Everything that is installed goes below $POLYSTORE_CACHE
# (default ~/.cache/polystore.storage); everything that is built below .build.
# CORE=2.20 chooses ansible-core, ARGS="-k name -x" goes to pytest.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
ifeq ($(strip $(PYTHON)),)
$(error Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python3)
endif
export PYTHONDONTWRITEBYTECODE = 1
CORE_OPTION = $(if $(CORE),--core $(CORE))
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-real units contract conformance integration lint sanity matrix benchmark docs build generate clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r a b; do printf '%-22s %s\n' "$$a" "$$b"; done

quickstart:  ## starts a real Swift here, runs a playbook against it twice, and cleans up
	@$(PYTHON) tools/quickstart.py

test:  ## unit, contract, conformance and integration tests on the default ansible-core
	@$(PYTHON) tools/run_tests.py $(CORE_OPTION) -- $(ARGS)

units:  ## the unit tests alone
	@$(PYTHON) tools/run_tests.py units $(CORE_OPTION) -- $(ARGS)

contract:  ## the promises that every module keeps, against a real server's request log
	@$(PYTHON) tools/run_tests.py contract $(CORE_OPTION) -- $(ARGS)

conformance:  ## raw calls and other people's clients, compared with what real servers answered
	@$(PYTHON) tools/run_tests.py conformance $(CORE_OPTION) -- $(ARGS)

integration:  ## playbooks against a real server
	@$(PYTHON) tools/run_tests.py integration $(CORE_OPTION) -- $(ARGS)

test-real:  ## the integration targets on your own server: PACHD_ADDRESS=grpc://host:port, FDFS_TRACKERS=host:port make test-real
	@$(PYTHON) tools/test_real.py $(CORE_OPTION) -- $(ARGS)

lint:  ## every linter, each reported
	@$(PYTHON) tools/lint.py $(ARGS)

sanity:  ## ansible-test sanity
	@$(PYTHON) tools/sanity.py $(CORE_OPTION)

matrix:  ## units, sanity and integration on every ansible-core that an interpreter found here can run
	@$(PYTHON) tools/matrix.py $(ARGS)

benchmark:  ## ratios against other tools, measured side by side
	@$(PYTHON) tools/benchmark.py $(ARGS)

docs:  ## the documentation site, in docs/build/html
	@$(PYTHON) tools/docs.py

build:  ## the collection's tarball, in .build
	@$(PYTHON) tools/build.py

generate:  ## rewrites what is made from the modules: action files, README table, action groups
	@$(PYTHON) tools/generate.py

clean:  ## removes what was built here (the cache stays)
	@$(PYTHON) tools/stage.py --clean
	rm -rf .build docs/build tests/output
