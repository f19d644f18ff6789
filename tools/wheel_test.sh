#!/usr/bin/env bash
# Build sdist and wheel, install the wheel into an empty environment outside this folder, and run the demo there.
#
#   tools/wheel_test.sh           the heavy dependencies are those of the environment that runs this, so it takes seconds
#   tools/wheel_test.sh --deps    the dependencies are installed too, as for a user: minutes
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

python -m build --outdir "$tmp/dist" . > "$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }     # the wheel is built from the sdist: both are complete or this fails
wheel=$(echo "$tmp"/dist/*.whl)
python - "$wheel" "$tmp"/dist/*.tar.gz <<'PY'
import sys, tarfile, zipfile
from pathlib import Path
want = {p.as_posix() for p in Path('nano_reasoner').rglob('*') if p.is_file() and '__pycache__' not in p.parts}
wheel, sdist = set(zipfile.ZipFile(sys.argv[1]).namelist()), {n.partition('/')[2] for n in tarfile.open(sys.argv[2]).getnames()}
for name, has in (('wheel', wheel), ('sdist', sdist)):
    if want - has: sys.exit(f'not in the {name}: {sorted(want - has)}')
more = {n for n in wheel - want if '.dist-info/' not in n}
if more: sys.exit(f'in the wheel but not in nano_reasoner/: {sorted(more)}')
print(f'{len(want)} files of the package are in wheel and sdist')
PY

python -m venv "$tmp/venv"
py=$tmp/venv/bin/python
if [ "${1:-}" = --deps ]; then "$py" -m pip install -q ${TORCH:-torch} "$wheel"
else
  "$py" -m pip install -q --no-deps "$wheel"
  python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$("$py" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/dependencies.pth"
fi
mkdir "$tmp/work" && cd "$tmp/work"
"$py" - <<'PY'
from importlib.metadata import requires, version
from packaging.requirements import Requirement
for r in map(Requirement, requires('nano-reasoner')):
    if not r.marker or r.marker.evaluate({'extra': ''}): assert r.specifier.contains(version(r.name), prereleases=True), f'{r}, but {version(r.name)} is installed'
PY
"$py" -c 'import nano_reasoner, sys; f = nano_reasoner.__file__; assert f.startswith(sys.prefix), f'
time "$tmp/venv/bin/nano-reasoner" demo --quick
echo "the wheel works outside the clone: $(basename "$wheel")"
