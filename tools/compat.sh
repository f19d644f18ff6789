#!/usr/bin/env bash
# The notebooks that touch transformers, peft and torch most, with whatever versions are installed: run it after installing others.
#
#   .venv/bin/python -m pip install 'transformers==5.0.0' && bash tools/compat.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
python - <<'PY'
import sys
from importlib.metadata import version
print('Python', sys.version.split()[0], *(f'{p} {version(p)}' for p in ('torch', 'transformers', 'peft', 'accelerate', 'datasets', 'tokenizers', 'fastcore', 'pydantic')), sep=', ')
PY
exec python tools/test.py --jobs 1 --limit 300 nbs/{00_config,03_data,04_adapters,04_attention,04_policy,05_cache,05_rollout,21_checkpoints,23_evaluate,24_export,24_plan,25_doctor,26_loop,26_trainer,27_sft,29_four_bits}.ipynb nbs/algorithms/18_checks.ipynb
