#!/usr/bin/env python
"""What must hold for the repository as a whole. `tools/test.py` runs each check as a test.

    python tools/check.py              all checks
    python tools/check.py NAME ...     some
    python tools/check.py import_time help_time    bars on time, not among the tests: they depend on the machine

A check returns its problems, one line each, and changes nothing: what rewrites files works on a copy.
"""
import argparse, ast, json, os, re, shutil, subprocess, sys, tempfile, time, traceback
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIB = 'nano_reasoner'
SIZE = 500_000                                              # bytes of the largest notebook
HEAVY = {'torch', 'transformers', 'datasets', 'peft', 'matplotlib', 'pydantic', 'numpy'}   # what `import nano_reasoner` must not import
ONLY = {'wandb': lambda mod, n: mod == f'{LIB}.tracking', 'google': lambda mod, n: mod == f'{LIB}.drive',   # who may import what
        'matplotlib': lambda mod, n: n >= 30, 'ipywidgets': lambda mod, n: n >= 30}


def notebooks(): return [p for p in sorted((ROOT/'nbs').rglob('*.ipynb')) if not {'.ipynb_checkpoints', '_proc', '_docs'} & set(p.parts)]
def modules(): return sorted((ROOT/LIB).rglob('*.py'))
def rel(p): return p.relative_to(ROOT).as_posix()


def dotted(path):
    "The module's name: nano_reasoner/algorithms/grpo.py -> nano_reasoner.algorithms.grpo"
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def rooms():
    "`{module: file name of its notebook}`, by the notebooks' `#| default_exp`; the names sort as the rooms do"
    res = {}
    for p in notebooks():
        for c in json.loads(p.read_text(encoding='utf-8'))['cells']:
            exp = re.search(r'^#\|\s*default_exp\s+(\S+)', ''.join(c['source']), re.M) if c['cell_type'] == 'code' else None
            if exp: res[f'{LIB}.{exp[1]}'] = p.name
    return res


def metadata():
    "settings.ini and pyproject.toml say the same"
    from nbdev.config import get_config
    ini, cfg = ConfigParser(delimiters=['=']), get_config(ROOT)
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    d = ini['DEFAULT']
    pairs = [('name', d['lib_name'], cfg.lib_name), ('repository', d['git_url'], cfg.git_url), ('Python', d['min_python'], cfg.min_python),
             ('documentation', d['doc_host'] + d['doc_baseurl'], cfg.doc_url.rstrip('/'))]
    return [f'{k}: settings.ini says {a}, pyproject.toml {b}' for k, a, b in pairs if a != b]


@contextmanager
def copied():
    "A copy of what the package and the site are made from"
    with tempfile.TemporaryDirectory() as tmp:
        for f in ('nbs', LIB, 'tools'): shutil.copytree(ROOT/f, Path(tmp)/f, symlinks=True, ignore=shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints'))
        for f in ('settings.ini', 'pyproject.toml', '_quarto.yml', 'README.md'): shutil.copy(ROOT/f, tmp)
        yield Path(tmp).resolve()


def rewritten(command, *folders):
    "The files below `folders` that `command` changes, adds or removes"
    with copied() as tmp:
        read = lambda base: {p.relative_to(base).as_posix(): p.read_bytes() for f in folders for p in (Path(base)/f).rglob('*')
                             if p.suffix in ('.py', '.ipynb') and '.ipynb_checkpoints' not in p.parts}
        exe = Path(sys.executable).with_name(command)
        run = subprocess.run([exe], cwd=tmp, capture_output=True, text=True, env={k: v for k, v in os.environ.items() if k != 'IN_TEST'})
        if run.returncode: return [f'{command} failed: {run.stderr.strip()}']
        old, new = read(ROOT), read(tmp)
        return [f'{f}: run {command}' for f in sorted(old.keys() | new.keys()) if old.get(f) != new.get(f)]


def clean():
    "nbdev-clean leaves no difference: no execution counts, no editor's metadata"
    return rewritten('nbdev-clean', 'nbs')


def exported():
    "The package is what the notebooks export, and nothing else but the hand-written `__init__.py`"
    bad = rewritten('nbdev-export', LIB)
    for p in modules():
        if p.name in ('__init__.py', '_modidx.py'): continue
        src = re.search(r'File to edit: (\S+\.ipynb)\.', p.read_text(encoding='utf-8'))
        if not src: bad.append(f'{rel(p)}: not made from a notebook')
        elif not (p.parent/src[1]).exists(): bad.append(f'{rel(p)}: its notebook {src[1]} does not exist')
    return bad


def editable():
    "Every notebook survives nbedit's text form byte for byte"
    sys.path.insert(0, str(ROOT/'tools'))
    from nbedit import merge, nb2py, nb2str, read_nb
    bad = []
    for p in notebooks():
        nb = read_nb(p)
        merge(nb, nb2py(nb))
        if nb2str(nb) != p.read_text(encoding='utf-8'): bad.append(f'{rel(p)}: differs after a round trip through `tools/nbedit.py`')
    return bad


def titles():
    "A notebook's first cell is its title and a summary of one line, and nothing else, which nbdev would drop from the site"
    bad = []
    for p in notebooks():
        c = json.loads(p.read_text(encoding='utf-8'))['cells'][0]
        if c['cell_type'] != 'markdown' or not re.fullmatch(r'# [^\n]+\n+> [^\n]+\n*', ''.join(c['source'])):
            bad.append(f'{rel(p)}: the first cell is not just `# Title` and `> summary` (`tools/nbedit.py` to-py and from-py split it)')
    return bad


def outputs():
    "Saved outputs show on GitHub and on the site: no widget state, no bare widget, no error, no path of this machine, not too large"
    bad, private = [], [f'{d}/' for d in {str(ROOT), str(Path.home())} if len(d) > 1]
    for p in notebooks():
        nb, txt = json.loads(p.read_text(encoding='utf-8')), p.read_text(encoding='utf-8')
        def add(problem, c=None): bad.append(rel(p) + (f", cell {c.get('id')}" if c else '') + f': {problem}')
        if len(txt.encode()) > SIZE: add(f'{len(txt.encode())/1000:.0f} kB, more than {SIZE//1000} kB')
        if 'widgets' in nb['metadata']: add('`metadata.widgets` (widget state)')
        for c in nb['cells']:
            if 'widgets' in c['metadata']: add('`metadata.widgets` (widget state)', c)
            for o in c.get('outputs', []):
                kinds = {k for k in o.get('data', {}) if k != 'text/plain'}
                if kinds == {'application/vnd.jupyter.widget-view+json'}: add('a widget view is the only output', c)
                if o['output_type'] == 'error' and 'raises-exception' not in c['metadata'].get('tags', []): add(f"saved error {o['ename']}", c)
                for d in private:
                    if d in json.dumps(o): add(f'an output names a folder of this machine: {d}', c)
    return bad


def imported(tree, mod, package):
    "`(module, line)` of everything a module imports, also inside functions; names of `from x import y` count when y is a module"
    here = mod.split('.') if package else mod.split('.')[:-1]
    for n in ast.walk(tree):
        if isinstance(n, ast.Import): yield from ((a.name, n.lineno) for a in n.names)
        elif isinstance(n, ast.ImportFrom):
            base = '.'.join([*here[:len(here) - n.level + 1], *filter(None, [n.module])]) if n.level else n.module
            yield base, n.lineno
            yield from ((f'{base}.{a.name}', n.lineno) for a in n.names)
        elif isinstance(n, ast.Call) and getattr(n.func, 'attr', getattr(n.func, 'id', '')) in ('import_module', '__import__') and n.args:
            if isinstance(n.args[0], ast.Constant): yield n.args[0].value, n.lineno


def direction():
    "A room imports lower-numbered rooms only; matplotlib and ipywidgets from 30 on, wandb in `tracking`, google.colab in `drive`"
    room, public = rooms(), set(lazy()[0])
    bad = [f'{n}: exports {m} but has no number' for m, n in room.items() if not re.match(r'\d\d_', n)]
    if bad: return bad
    for p in modules():
        mod = dotted(p)
        if mod not in room: continue
        for name, line in imported(ast.parse(p.read_text(encoding='utf-8')), mod, p.name == '__init__.py'):
            def add(what): bad.append(f'{rel(p)}:{line}: {what}')
            top = name.split('.')[0]
            if room.get(name, '') > room[mod]: add(f'{room[mod]} imports from {room[name]}')
            if name.removeprefix(f'{LIB}.') in public: add(f'import {name} from its own module, not from the package')
            if top in ONLY and not ONLY[top](mod, int(room[mod][:2])): add(f'{room[mod]} must not import {top}')
    return bad


def lazy():
    "`({name: module} of the package, {name: module} of its TYPE_CHECKING block)`, read without running it"
    tree = ast.parse((ROOT/LIB/'__init__.py').read_text(encoding='utf-8'))
    home = next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == '_home')
    block = next(n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, 'id', '') == 'TYPE_CHECKING')
    return home, {a.name: n.module for n in block.body for a in n.names}


def python(code):
    "Run `code` in a fresh interpreter"
    return subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)


def package():
    "`import nano_reasoner` imports nothing heavy, and each of its public names is there"
    r = python(f'import sys, nano_reasoner; print(*sorted({HEAVY!r} & sys.modules.keys()))')
    bad = [f'import {LIB} fails: {r.stderr.strip()}'] if r.returncode else [f'import {LIB} imports {m}' for m in r.stdout.split()]
    home, block = lazy()
    bad += [f'{LIB}/__init__.py: `_home` and the TYPE_CHECKING block differ in {k}' for k, _ in sorted(set(home.items()) ^ set(block.items()))]
    # Python sets `package.x` when module `package/x.py` is imported, so a public name of the same name would change its meaning
    bad += [f'{LIB}.{k} is a module as well as a public name' for k in home if (ROOT/LIB/f'{k}.py').exists()]
    r = python(f'''import nano_reasoner as m
for k in m.__all__:
    try: getattr(m, k)
    except Exception as e: print(f"nano_reasoner.{{k}} does not resolve: {{type(e).__name__}}: {{e}}")
missing = set(m.__all__) - set(dir(m))
if missing: print(f"not in dir(nano_reasoner): {{missing}}")''')
    return bad + r.stdout.splitlines() + ([r.stderr.strip()] if r.returncode else [])


def name_of(node):
    "`a.b.c` of an expression of names and attributes"
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ''


def safe_loaders(tree):
    "The classes of a module that are, or derive from, a safe YAML loader"
    safe = {'SafeLoader', 'CSafeLoader'}
    for n in ast.walk(tree):
        if isinstance(n, ast.ClassDef) and any(name_of(b).split('.')[-1] in safe for b in n.bases): safe.add(n.name)
    return safe


def banned_in(tree):
    "`(line, what)` of what must not be called or imported"
    safe = safe_loaders(tree)
    for n in ast.walk(tree):
        if isinstance(n, (ast.Import, ast.ImportFrom)):
            for m, _ in imported(ast.Module([n], []), '', False):
                if {'pickle', 'cPickle', '_pickle', 'dill', 'cloudpickle', 'joblib', 'marshal', 'shelve'} & set(m.split('.')): yield n.lineno, f'imports {m}'
        if isinstance(n, ast.keyword) and n.arg in ('shell', 'trust_remote_code') and not (isinstance(n.value, ast.Constant) and n.value.value is False): yield n.value.lineno, f'{n.arg}={ast.unparse(n.value)}'
        if isinstance(n, ast.Dict):
            for k, v in zip(n.keys, n.values):
                if isinstance(k, ast.Constant) and k.value in ('shell', 'trust_remote_code') and not (isinstance(v, ast.Constant) and v.value is False): yield k.lineno, f'{k.value}: {ast.unparse(v)}'
        if not isinstance(n, ast.Call): continue
        f, kw = name_of(n.func), {k.arg: k.value for k in n.keywords}
        if f.removeprefix('builtins.') in {'eval', 'exec', 'compile', '__import__'}: yield n.lineno, f'calls {f}'
        if f in {'os.system', 'os.popen', 'subprocess.getoutput', 'subprocess.getstatusoutput'}: yield n.lineno, f'calls {f}'
        if f.split('.')[-1] in {'sympify', 'parse_expr', 'parse_latex'}: yield n.lineno, f'calls {f}'
        if f in {'yaml.unsafe_load', 'yaml.full_load', 'yaml.unsafe_load_all', 'yaml.full_load_all'}: yield n.lineno, f'calls {f}'
        if f in {'yaml.load', 'yaml.load_all'} and name_of((n.args[1:2] or [kw.get('Loader')])[0]).split('.')[-1] not in safe: yield n.lineno, f'calls {f} without a safe loader'
        if f == 'torch.load' and ast.unparse(kw.get('weights_only', ast.Constant(None))) != 'True': yield n.lineno, 'calls torch.load without weights_only=True'
        if f in {'np.load', 'numpy.load'} and ast.unparse(kw.get('allow_pickle', ast.Constant(False))) != 'False': yield n.lineno, f'calls {f} with allow_pickle'
        if f == 'HTML' and n.args and not isinstance(n.args[0], (ast.Constant, ast.JoinedStr)): yield n.lineno, 'calls HTML(text), which opens a file of that name: write HTML(data=text)'


def sources():
    "`(where, code)` of all Python there is: the package, the tools, and the code cells of notebooks, tests included"
    for p in [*modules(), *sorted((ROOT/'tools').glob('*.py')), ROOT/'setup.py']: yield rel(p), p.read_text(encoding='utf-8')
    for p in notebooks():
        for c in json.loads(p.read_text(encoding='utf-8'))['cells']:
            if c['cell_type'] != 'code': continue
            yield f'{rel(p)}, cell {c.get("id")}', '\n'.join('' if l.lstrip().startswith(('%', '!')) else l for l in ''.join(c['source']).splitlines())


CAUGHT = ["eval('1')", "builtins.exec('x')", "compile('x', '', 'exec')", "__import__('os')", 'import pickle', 'from joblib import load', 'torch.load(f)', 'torch.load(f, weights_only=False)', 'np.load(f, allow_pickle=True)', 'yaml.load(x)',
          'yaml.load(x, Loader=yaml.Loader)', 'yaml.unsafe_load(x)', "subprocess.run('x', shell=True)", "f(**{'trust_remote_code': True})", 'f(trust_remote_code=t)', "os.system('x')", 'sympy.sympify(x)', 'HTML(text)']
PASSED = ["re.compile('x')", 'torch.load(f, weights_only=True)', 'class L(yaml.SafeLoader): pass\nyaml.load(x, L)', "subprocess.run(['x'], shell=False)", 'model.eval()', 'HTML(data=x)', 'np.load(f)']


def banned():
    "Text from models, data and configuration is never executed: no eval, exec, pickle, unsafe YAML, shell, remote code, SymPy parser"
    found = lambda code: list(banned_in(ast.parse(code)))
    return [f'this check does not find `{c}`' for c in CAUGHT if not found(c)] + [f'this check refuses `{c}`' for c in PASSED if found(c)] + [f'{where}:{line}: {what}' for where, code in sources() for line, what in banned_in(ast.parse(code))]


def linked(text, folder, hosted):
    "The links of a Markdown text in `folder` that lead nowhere; `hosted` begins those to files of this repository. What is code is no link"
    text = re.sub(r'^```.*?^```|`[^`\n]*`', '', text, flags=re.M | re.S)
    for url in re.findall(r'\]\(([^)\s]+)(?:\s+"[^"]*")?\)', text):
        path = url.partition('#')[0]
        if path.startswith(hosted): to = ROOT/path.removeprefix(hosted)
        elif not path or re.match(r'[a-z][a-z0-9+.-]*:', path): continue
        else: to = folder/path
        if not to.exists(): yield url


def links():
    "A link in a notebook, README or guide leads to a file that is there; between notebooks to the notebook, which is a page on the site and a file elsewhere"
    ini, bad = ConfigParser(delimiters=['=']), []
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    hosted = f"{ini['DEFAULT']['git_url']}/blob/{ini['DEFAULT']['branch']}/"
    texts = [(p, p.read_text(encoding='utf-8')) for p in sorted(ROOT.glob('*.md')) + [ROOT/'nbs/_start.md']]
    texts += [(p, ''.join(c['source'])) for p in notebooks() for c in json.loads(p.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'markdown']
    bad += [f'{rel(p)}: {url}' for p, text in texts for url in linked(text, p.parent, hosted)]
    tried = '[a](check.py) [b](no.html) ![c](no.svg "title") `[d](no)` [e](https://x.y) [f](#g) [h](HOST/tools/no.py)'.replace('HOST/', hosted)
    found = list(linked(tried, ROOT/'tools', hosted))
    return bad + ([f'this check finds {found}'] if found != ['no.html', 'no.svg', f'{hosted}tools/no.py'] else [])


def reference():
    "Every public function, class and method has a docstring, and every parameter of it a comment"
    r = subprocess.run([sys.executable, ROOT/'tools'/'docs.py', 'reference'], cwd=ROOT, capture_output=True, text=True)
    return [l for l in (r.stdout + r.stderr).splitlines() if l] if r.returncode else []


def documentation():
    "README.md is what the index notebook says, and the site builds without warnings or broken links"
    with copied() as tmp: r = subprocess.run([sys.executable, tmp/'tools'/'docs.py', 'readme', 'site', '--check'], cwd=tmp, capture_output=True, text=True)
    return (r.stdout + r.stderr).strip().splitlines() if r.returncode else []


TRIAL = """import importlib.util, subprocess
from types import SimpleNamespace
tried = []
def run(command, **kw): tried.append(command[-1]); return SimpleNamespace(returncode=int(len(tried) < 2))
subprocess.run, importlib.util.find_spec = run, lambda name, *a: {found}
{cell}
print(*tried)
"""                                                         # without pip: the first attempt fails, the second one succeeds

def colab():
    "The Colab notebook installs what settings.ini names, and nothing twice, and shows saved pictures and tables of its widgets; links to Colab open notebooks that are there"
    ini, file = ConfigParser(delimiters=['=']), ROOT/'nbs'/'tutorials'/'colab.ipynb'
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    d = ini['DEFAULT']
    cells = {''.join(c['source']): {k for o in c['outputs'] for k in o.get('data', {})} for c in json.loads(file.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code'}
    bad, install = [], [c for c in cells if c.startswith('#@title Install\n')]
    for code, kind in {'form.show(': 'text/html', 'run.fit(': 'image/png', 'browse.select(': 'text/html', 'view.at(': 'text/html', 'chat.ask(': 'text/html'}.items():
        if not any(kind in kinds and not any('widget' in k for k in kinds) for c, kinds in cells.items() if code in c): bad.append(f'{rel(file)}: the saved output of `{code}...)` is no {kind}')
    if len(install) != 1: return [f'{rel(file)}: {len(install)} cells begin with `#@title Install`']
    for found, want in (('None', f"{d['lib_name']} git+{d['git_url']}"), ('True', '')):
        r = python(TRIAL.format(found=found, cell=install[0]))
        if r.returncode or r.stdout.strip() != want: bad.append(f'{rel(file)}: the install cell should try `{want}` and tries `{r.stdout.strip()}` {r.stderr.strip()[-500:]}')
    for p in [*notebooks(), ROOT/'README.md']:
        for where in re.findall(r'colab\.research\.google\.com/github/([^\s)"\\]+)', p.read_text(encoding='utf-8')):
            if not where.startswith(home := f"{d['user']}/{d['repo']}/blob/{d['branch']}/") or not (ROOT/where.removeprefix(home)).is_file(): bad.append(f'{rel(p)}: {where} is not a notebook of {home}')
    return bad


def tool(name):
    "What a tool says if it does not end well; with NANO_REASONER_FULL in its full form"
    full = ['--full'] if os.environ.get('NANO_REASONER_FULL', '') not in ('', '0') else []
    r = subprocess.run([sys.executable, ROOT/'tools'/name, *full], cwd=ROOT, capture_output=True, text=True)
    return (r.stdout + r.stderr).strip().splitlines() if r.returncode else []


def snippets():
    "Every command and snippet of README.md and of the tutorials runs"
    return tool('snippets.py')


def types():
    "mypy accepts a program that uses the public names as installed, and finds the mistakes in it"
    return tool('typecheck.py')


def import_time(runs=5, bar=0.3):
    "`import nano_reasoner` takes at most 0.3 s: the best of some runs"
    code = f'import time; t = time.perf_counter(); import {LIB}; print(time.perf_counter() - t)'
    best = min(float(python(code).stdout) for _ in range(runs))
    print(f'import {LIB}: {best*1000:.1f} ms, the best of {runs} (bar: {bar*1000:.0f} ms)')
    return [f'{best:.3f} s, more than {bar} s'] if best > bar else []


def help_time(runs=5, bar=0.6):
    "`nano-reasoner --help` takes at most 0.6 s: the best of some runs"
    def once():
        start = time.perf_counter()
        subprocess.run([Path(sys.executable).with_name('nano-reasoner'), '--help'], check=True, capture_output=True)
        return time.perf_counter() - start
    best = min(once() for _ in range(runs))
    print(f'nano-reasoner --help: {best*1000:.0f} ms, the best of {runs} (bar: {bar*1000:.0f} ms)')
    return [f'{best:.3f} s, more than {bar} s'] if best > bar else []


CHECKS = [metadata, clean, exported, editable, titles, outputs, direction, package, banned, links, reference, documentation, types, snippets, colab]


def run(check):
    "`(problems, ok)` of a check; one that raises has failed"
    try: problems = check()
    except Exception: problems = [traceback.format_exc()]
    return problems, not problems


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = {f.__name__: f for f in [*CHECKS, import_time, help_time]}
    ap.add_argument('names', nargs='*', choices=[*known, []], metavar='NAME', help=', '.join(known))
    a = ap.parse_args()
    os.chdir(ROOT)
    failed = 0
    for f in [known[n] for n in a.names] or CHECKS:
        problems, ok = run(f)
        print(f'{"ok  " if ok else "FAIL"} {f.__name__}: {f.__doc__}')
        for p in problems: print(f'       {p}')
        failed += not ok
    return 1 if failed else 0


if __name__ == '__main__': sys.exit(main())
