#!/usr/bin/env bash
# NVIDIA's garak in .venv-garak, for `groundwork redteam garak`: about 150 MB, half a minute; safe to repeat.
# Its own requirements (torch with CUDA, cloud clients, litellm) are gigabytes. What its text probes with string
# detectors import is in garak.txt; for the rest, install garak whole elsewhere and name that Python: --python PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x .venv-garak/bin/python ] || "$python" -m venv .venv-garak
.venv/bin/uv pip install --quiet --no-deps --require-hashes --python .venv-garak/bin/python -r requirements/garak.txt
echo "garak: $(.venv-garak/bin/python -P -c 'import importlib.metadata as m; print(m.version("garak"))') in .venv-garak" >&2
