#!/usr/bin/env bash
# pyproject.toml -> requirements/lock.txt: every version with its hashes, for Python 3.11 to 3.13, without index
# addresses. torch and the CUDA packages that it brings are left to pip (see setup.sh).
set -euo pipefail
skip=()
# openvino-telemetry sends usage data to its maker without being asked; openvino runs without it.
for name in torch triton setuptools pip openvino-telemetry $(.venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
    --no-annotate --no-header --quiet | sed -nE 's/^((nvidia|cuda)-[a-z0-9-]+)==.*/\1/p'); do
  skip+=(--no-emit-package "$name")
done
.venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url --no-emit-find-links --quiet "${skip[@]}" -o requirements/lock.txt
