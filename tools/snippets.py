#!/usr/bin/env python
"""Run every command and snippet of README.md and of the tutorials, in a temporary folder.

    python tools/snippets.py            in the quick form of the tables below: minutes
    python tools/snippets.py --full     each command in a process of its own, and the long ones too
    python tools/snippets.py --list     what would be run, and what is replaced or left out, with the reason

A fenced block ```sh is run line by line, ```python as one program for the page, ```yaml is read as a configuration. The `configs/` that the commands
name are the real ones with the settings of `QUICK` over them, so that any computer runs them in seconds and without a network.
"""
import argparse, json, os, re, shlex, shutil, subprocess, sys, tempfile, time, traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

QUICK = ['model.name=tiny-arith', 'model.revision=null', 'data.dataset_name=arithmetic', 'data.columns=null', 'data.task={}', 'data.eval_size=4', 'data.revision=null', 'data.prompt_format=auto', 'data.max_prompt_tokens=null',
         'training.max_samples=16', 'training.steps=1', 'training.group_size=2', 'training.batch_size=2', 'training.accumulate=1', 'training.max_new_tokens=32', 'training.save_steps=1', 'training.eval_steps=1',
         'training.warmup=0', 'sft.warmup=0', 'sft.steps=2', 'sft.max_samples=16', 'sft.batch_size=8', 'eval.size=4', 'eval.max_new_tokens=32', 'model.lora.r=0', 'preflight=warn']

LEFT_OUT = [  # pattern of a line, why it is not run
    (r'(git clone|pip install|%pip install) ', 'needs a network; tools/wheel_test.sh installs the package'),
    (r'(cd nano-reasoner|source )', 'follows an installation'),
]
REPLACED = [  # pattern, replacement, why: what is too large, or would have to be downloaded
    (r'^make (\S+)(.*)$', r'make -n -C @ROOT@ \1\2', 'the target is there; what it runs is tested here or is `make test` itself'),
    (r'^nano-reasoner demo\b', 'nano-reasoner demo --quick', 'minutes'),
    (r'^(nano-reasoner lab\b.*?)( --quick)?$', r'\1 --quick --algos grpo --seeds 1', 'an hour'),
    (r'HuggingFaceTB/SmolLM2-135M-Instruct', 'tiny-arith', 'a download'),
    (r'^(nano-reasoner train .*--preset \S+)', r'\1 --fresh', 'each of these is for another machine, here it is one after the other'),
    (r'--size \d+', '--size 4', 'time'),
    (r'--max-new-tokens \d+', '--max-new-tokens 32', 'time'),
]
SLOW = [(r'^nano-reasoner (demo|lab)\b', 'a minute or more each; the wheel test runs the first of each')]   # run once in the quick form, all of them in the full one
PYTHON = [  # the same for Python
    ('"Qwen/Qwen2.5-Math-1.5B-Instruct"', '"tiny-arith"', 'a download'), ('"your-org/your-math-dataset"', '"arithmetic"', 'does not exist'), ('device="cuda"', 'device="cpu"', 'no GPU'),
    ('"max_new_tokens": 384', '"max_new_tokens": 40', 'time'), ('max_samples=10000', 'max_samples=4', 'time'), ('"steps": 100', '"steps": 1', 'time')]
AFTER = {'README.md': r'''
assert {'loss', 'accuracy', 'reward', 'completion_length'} <= metrics.keys() and trainer.extract_answer(r'\boxed{42}') == '42'
assert find_latest_checkpoint('checkpoints/dr_grpo')[1] == 1 and run.state in ('done', 'stopped'), run.state
'''}   # what must hold when the Python of a page has run
VERBOSE = False
STDIN = '23+58=\n'                                                    # what is typed to a command that asks
FILES = {'problems.jsonl': [{'question': '23+58='}], 'problems/train.jsonl': [{'problem': f'{i}+{i+1}=', 'result': str(2*i + 1)} for i in range(10, 26)],
         'problems/test.jsonl': [{'problem': f'{i}+{i+2}=', 'result': str(2*i + 2)} for i in range(30, 38)]}   # what the commands name


def blocks(page):
    "`[(language, text)]` of the fenced blocks of a page; of a notebook those in its text"
    txt = page.read_text(encoding='utf-8')
    if page.suffix == '.ipynb': txt = '\n\n'.join(''.join(c['source']) for c in json.loads(txt)['cells'] if c['cell_type'] == 'markdown')
    return re.findall(r'^```(\w+)\n(.*?)^```', txt, re.M | re.S)


def pages(): return [ROOT/'README.md', *sorted((ROOT/'nbs/tutorials').glob('*.ipynb'))]


def commands(page):
    "`[(line, what is run or None, why it differs)]` of the sh blocks of a page"
    res = []
    for line in (l for lang, txt in blocks(page) if lang in ('sh', 'bash') for l in txt.replace('\\\n', ' ').splitlines()):
        line = re.sub(r'\s+#\s.*$', '', line).strip()
        if not line or line.startswith('#'): continue
        why = [w for p, w in LEFT_OUT if re.match(p, line)]
        new = line
        for p, r, w in REPLACED if not why else []:
            if re.search(p, new): new = re.sub(p, r, new).replace('@ROOT@', str(ROOT)); why.append(w)
        res.append((line, None if re.match('|'.join(p for p, _ in LEFT_OUT), line) else new, '; '.join(why)))
    return res


def program(page):
    "The Python of a page as one program, with what `PYTHON` replaces"
    code = '\n'.join(txt for lang, txt in blocks(page) if lang == 'python' and not txt.startswith('%'))
    for old, new, _ in PYTHON: code = code.replace(old, new)
    return code and code + AFTER.get(page.name, '')


def prepare(folder, demo):
    "The files that commands name: the configurations with `QUICK` over them, problems, and the result of the demo, which README.md ran"
    from nano_reasoner.config import load_config
    for f in (ROOT/'configs').glob('*.yaml'):
        (folder/'configs').mkdir(exist_ok=True)
        load_config(f, QUICK).save(folder/'configs'/f.name)
    shutil.copy(folder/'configs/base.yaml', folder/'my.yaml')
    for name, rows in FILES.items():
        (folder/name).parent.mkdir(exist_ok=True)
        (folder/name).write_text(''.join(json.dumps(r) + '\n' for r in rows), encoding='utf-8')
    if (demo/'checkpoints/demo').exists(): shutil.copytree(demo/'checkpoints/demo', folder/'checkpoints/demo')


def forked(call, log):
    "Exit code of `call` in a child of this process, which has imported everything; its output goes to the file `log`"
    sys.stdout.flush(); sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(log.fileno(), 1); os.dup2(log.fileno(), 2)
            call()
            code = 0
        except SystemExit as e: code = e.code if isinstance(e.code, int) else int(e.code is not None)
        except BaseException: traceback.print_exc()
        finally:
            sys.stdout.flush(); sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(line, folder, log, full):
    "Exit code of a shell line. In the quick form `nano-reasoner` runs in a fork, which saves seconds of imports for each"
    args = shlex.split(line)
    def call():
        os.chdir(folder)
        with open('.typed', 'w') as f: f.write(STDIN)
        os.dup2(os.open('.typed', os.O_RDONLY), 0)
        from nano_reasoner.cli import main
        main(args[1:])
    if args[0] == 'nano-reasoner' and not full and not set(args) & set('|<>&;'): return forked(call, log)
    return subprocess.run(['bash', '-c', line], cwd=folder, input=STDIN.encode(), stdout=log, stderr=log).returncode


def warm():
    "Import what commands need"
    import torch, transformers, peft, rich.progress   # noqa
    import nano_reasoner.cli, nano_reasoner.trainer, nano_reasoner.sft, nano_reasoner.report, nano_reasoner.export   # noqa


def inline(page):
    "Commands within the text: problems with names of commands and options that do not exist"
    import typer
    from nano_reasoner.cli import app
    group, bad = typer.main.get_command(app), []
    txt = page.read_text(encoding='utf-8') if page.suffix != '.ipynb' else '\n\n'.join(''.join(c['source']) for c in json.loads(page.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'markdown')
    for line in re.findall(r'`(nano-reasoner [^`\n]+)`', re.sub(r'^```.*?^```', '', txt, flags=re.M | re.S)):
        args = shlex.split(line)[1:]
        if args[0].startswith('-') or args[0] == 'COMMAND': continue
        command = group.commands.get(args[0])
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {'--help', '-h'} if command else set()
        if not command: bad.append(f'{page.name}: `{line}`: no such command')
        bad += [f'{page.name}: `{line}`: {args[0]} has no option {a}' for a in args[1:] if a.startswith('--') and a.split('=')[0] not in known]
    return bad


def check(page, full, demo):
    "Run the commands and the Python of a page; problems, one a line. The result of the demo is kept in the folder `demo`"
    import yaml
    from nano_reasoner.config import load_config
    bad, seen, fresh = inline(page), set(), []
    for lang, txt in blocks(page):
        if lang == 'yaml':
            try: load_config(yaml.safe_load(txt))
            except Exception as e: bad.append(f'{page.name}: a yaml block: {e}')
        elif lang not in ('sh', 'bash', 'python', 'bibtex', 'text', 'json', 'mermaid'): bad.append(f'{page.name}: a block of {lang}: nobody runs it')
    code = program(page) if page.suffix == '.md' else ''                       # the Python of a notebook is in its cells
    for old, *_ in PYTHON if page.name == 'README.md' else []:
        if old not in '\n'.join(t for l, t in blocks(page) if l == 'python'): bad.append(f'{page.name}: no {old} in its Python')
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        prepare(folder, demo)
        for line, now, _ in commands(page):
            slow = next((p for p, _ in SLOW if now and re.match(p, now)), None)
            if now is None or slow and not full and (slow in seen or page.name != 'README.md'): continue
            seen.add(slow)
            fresh.append((line, lambda log, now=now: run(now, folder, log, full)))
        if code:
            (folder/'python').mkdir()
            (folder/'python/configs').mkdir()
            load_config(folder/'configs/base.yaml', ['paths.output_dir=watched']).save(folder/'python/configs/base.yaml')   # a run of its own
            (folder/'python/snippet.py').write_text(code, encoding='utf-8')
            fresh.append(('its Python', lambda log: subprocess.run([sys.executable, 'snippet.py'], cwd=folder/'python', stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode))
        for name, call in fresh:
            with tempfile.TemporaryFile() as log:
                start = time.time()
                status = call(log)
                if VERBOSE: print(f'{time.time() - start:6.1f} s  {page.name}: {name}', flush=True)
                log.seek(0)
                if status: bad.append(f'{page.name}: {name}: exit code {status}\n' + log.read().decode(errors='replace')[-1500:])
        if page.name == 'README.md' and (folder/'checkpoints/demo').exists(): shutil.copytree(folder/'checkpoints/demo', demo/'checkpoints/demo')
    return bad


def problems(full=False):
    "Of all pages"
    os.environ |= {'HF_HUB_OFFLINE': '1', 'OMP_NUM_THREADS': '1', 'MPLBACKEND': 'agg', 'TOKENIZERS_PARALLELISM': 'false', 'PYTHONPATH': str(ROOT), 'WANDB_MODE': 'offline',
                   'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'}
    sys.path.insert(0, str(ROOT))
    warm()
    with tempfile.TemporaryDirectory() as demo: return [p for page in pages() for p in check(page, full, Path(demo))]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--full', action='store_true')
    ap.add_argument('--list', action='store_true')
    a = ap.parse_args()
    if a.list:
        for page in pages():
            for line, now, why in commands(page): print(f'{page.name}: {line}' + ('' if now == line else f'\n    -> {now or "not run"} ({why})'))
        return 0
    global VERBOSE
    VERBOSE = True
    bad = problems(a.full)
    print('\n'.join(bad) or 'no problem')
    return bool(bad)


if __name__ == '__main__': sys.exit(main())
