#!/usr/bin/env bash
# Every test, with coverage. Browser tests need a chromium; without one they are left out, and this says so.
set -euo pipefail
export GROUNDWORK_ACTOR=${GROUNDWORK_ACTOR:-tester} DO_NOT_TRACK=1
command -v chromium >/dev/null || echo "tests: no chromium on this machine: the browser tests are left out (Debian: apt-get install chromium)" >&2
exec .venv/bin/python -m pytest --cov --cov-report=term:skip-covered -q "$@"
