#!/usr/bin/env bash
# Build sdist and wheel, install the wheel into an empty environment outside this folder, and use it there: no extras, no network.
#
#   tools/wheel_test.sh           the heavy dependencies are those of the environment that runs this: a minute or two
#   tools/wheel_test.sh --deps    the dependencies are installed too, as for a user: many minutes
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

python -m build --outdir "$tmp/dist" . > "$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }     # the wheel is built from the sdist: both are complete or this fails
wheel=$(echo "$tmp"/dist/*.whl)
python - "$wheel" "$tmp"/dist/*.tar.gz <<'PY'
import sys, tarfile, zipfile
from pathlib import Path
source = {p.as_posix() for p in Path('nano_reasoner').rglob('*') if p.is_file() and '__pycache__' not in p.parts}
types = {str(Path(p).with_suffix('.pyi')) for p in source if p.endswith('.py') and not p.endswith('_modidx.py')} | {'nano_reasoner/py.typed'}
wheel, sdist = set(zipfile.ZipFile(sys.argv[1]).namelist()), {n.partition('/')[2] for n in tarfile.open(sys.argv[2]).getnames()}
for name, has, want in (('wheel', wheel, source | types), ('sdist', sdist, source | {'configs/base.yaml', 'CHANGELOG.md', 'LICENSE'})):
    if want - has: sys.exit(f'not in the {name}: {sorted(want - has)}')
more = {n for n in wheel - source - types if '.dist-info/' not in n}
if more: sys.exit(f'in the wheel but not in nano_reasoner/: {sorted(more)}')
print(f'{len(source)} files of the package are in wheel and sdist, {len(types)} for type checkers in the wheel')
PY

python -m venv "$tmp/venv"
py=$tmp/venv/bin/python
site=$("$py" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ "${1:-}" = --deps ]; then "$py" -m pip install -q ${TORCH:-torch} "$wheel"
else
  "$py" -m pip install -q --no-deps "$wheel"
  python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$site/dependencies.pth"
fi
# From here on nothing connects to another machine, and what only the extras install cannot be imported.
cat > "$site/sitecustomize.py" <<'PY'
import socket, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'nbdev', 'execnb', 'nbclient', 'build', 'mypy', 'smalldocs', 'playwright', 'jupyterlab'}: raise ModuleNotFoundError(f'No module named {name!r} (an extra)', name=name)

connect = socket.socket.connect
def local(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ('127.0.0.1', '::1', 'localhost'): raise OSError(f'a connection to {address[0]}: this test has no network')
    return connect(self, address)

socket.socket.connect, socket.socket.connect_ex = local, local
sys.meta_path.insert(0, Missing())
PY
mkdir "$tmp/work" && cd "$tmp/work"
export HOME=$tmp HF_HOME=$tmp/hf OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
unset PYTHONPATH NANO_REASONER_DATA NANO_REASONER_MODELS HF_HUB_OFFLINE
"$py" - <<'PY'
from importlib.metadata import requires, version
from packaging.requirements import Requirement
for r in map(Requirement, requires('nano-reasoner')):
    if not r.marker or r.marker.evaluate({'extra': ''}): assert r.specifier.contains(version(r.name), prereleases=True), f'{r}, but {version(r.name)} is installed'
PY
"$py" -c 'import nano_reasoner, sys; f = nano_reasoner.__file__; assert f.startswith(sys.prefix), f'

run() {   # run a command; its output is shown only if it fails
  local start=$SECONDS
  "$tmp/venv/bin/nano-reasoner" "$@" > "$tmp/out" 2>&1 || { local code=$?; cat "$tmp/out"; echo "nano-reasoner $*: exit code $code"; exit 1; }
  echo "ok $((SECONDS - start)) s: nano-reasoner $*"
}
run demo --quick
run doctor --sft model.name=tiny-arith data.dataset_name=arithmetic eval.max_new_tokens=40
code=0      # the quick demo has learned next to nothing, and the doctor says so
"$tmp/venv/bin/nano-reasoner" doctor model.name=tiny-arith data.dataset_name=arithmetic training.init_from=checkpoints/demo/sft training.max_new_tokens=40 eval.max_new_tokens=40 > "$tmp/out" 2>&1 || code=$?
{ [ $code = 0 ] || { [ $code = 1 ] && grep -q 'fix: a cold start first' "$tmp/out"; }; } || { cat "$tmp/out"; echo "nano-reasoner doctor: exit code $code"; exit 1; }
echo "ok: nano-reasoner doctor, of a run, exit code $code"
run plan --gpu t4
run plan --model Qwen/Qwen2.5-1.5B-Instruct --gpu all
run lab --quick --algos grpo --seeds 1 --jobs 1
run report checkpoints/demo/grpo
test -s checkpoints/demo/grpo/report.html
echo "the wheel works outside the clone: $(basename "$wheel")"
