#!/usr/bin/env python
"""Check the package's types as a user's type checker sees them.

    python tools/typecheck.py           the stubs are sound, and mypy --strict accepts tools/user_script.py and finds the mistakes in it
    python tools/typecheck.py --full    besides, mypy's stubtest compares every stub with the module as it runs: minutes
"""
import argparse, os, subprocess, sys, sysconfig, tempfile
from pathlib import Path

import stubs

ROOT = stubs.ROOT


def mypy(folder, module, *args, **env):
    "What it says in `folder`, or '' if it has no objection"
    r = subprocess.run([sys.executable, '-m', module, *map(str, args)], cwd=folder, capture_output=True, text=True, env={**os.environ, **env})
    return (r.stdout + r.stderr).strip() if r.returncode else ''


def problems(full=False):
    "An environment in which the package is installed as from the wheel; what mypy says there"
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', f'{tmp}/venv'], check=True)
        site = Path(tmp)/'venv'/Path(sysconfig.get_path('purelib')).relative_to(sys.prefix)
        (site/'dependencies.pth').write_text(sysconfig.get_path('purelib') + '\n')
        stubs.write(site/stubs.LIB)
        common = ['--cache-dir', f'{tmp}/cache', '--ignore-missing-imports']
        said = [mypy(tmp, 'mypy', *common, '--strict', '--python-executable', f'{tmp}/venv/bin/python', ROOT/'tools/user_script.py'),
                mypy(tmp, 'mypy', *common, site/stubs.LIB)]
        if full:
            allow, settings = Path(tmp)/'allow', Path(tmp)/'mypy.ini'
            allow.write_text('\n'.join(ALLOWED) + '\n')
            settings.write_text('[mypy]\nignore_missing_imports = True\n')
            said.append(mypy(tmp, 'mypy.stubtest', stubs.LIB, '--allowlist', allow, '--ignore-unused-allowlist', '--mypy-config-file', settings, '--concise', MYPYPATH=str(site), PYTHONPATH=str(ROOT), HF_HUB_OFFLINE='1'))
    return [line for s in said for line in s.splitlines()]


ALLOWED = [   # regular expressions: what stubtest cannot know
    rf'{stubs.LIB}\._modidx',
    rf'{stubs.LIB}\.config\.(Count|Whole|Positive|NonNeg|Rate|Share|Unit|Text|Flag|Free|Schedule|OptimizerName)(\..*)?',   # `Annotated[int, ...]` is int for a checker
    rf'{stubs.LIB}\.(ask|console|measure|cli)\.[A-Z]\w*(\..*)?',                                                       # the same for the commands' options
    rf'{stubs.LIB}\.config\._.*',
    rf'{stubs.LIB}\.(dashboard\.Run\.attach|policy\.UnifiedPolicyModel\.wrap|results\.EvalResult\.load|rollout\.Rollout\.join)',   # class methods by `@patch`, which are bound methods
    rf'{stubs.LIB}\..*__(match_args|dataclass_fields)__']


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--full', action='store_true')
    bad = problems(ap.parse_args().full)
    print('\n'.join(bad) or 'no problem')
    return bool(bad)


if __name__ == '__main__': sys.exit(main())
