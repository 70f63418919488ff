#!/usr/bin/env bash
# Training speed against PyTorch: installs it into a folder of its own under target/ and runs the benchmark `pytorch`.
# Arguments are names of networks; none for all. Neither users nor the CI need this.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$PWD/target/pytorch/bin/python"
if ! "$python" -c 'import torch' 2>/dev/null; then
  python3 -m venv "$PWD/target/pytorch"
  "$PWD/target/pytorch/bin/pip" install --quiet torch numpy
fi
STRIAE_PYTORCH="$python" cargo bench --locked -p striae-train --bench pytorch -- "$@"
