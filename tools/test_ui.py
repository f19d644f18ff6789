#!/usr/bin/env python
"""The notebook's widgets in a real browser, on a real JupyterLab, with the real trainer on the tiny model. `make test-ui` runs this; the last line is `N passed, N failed`.

    python tools/test_ui.py                   all tests, at most four minutes on two cores
    python tools/test_ui.py foreground        some tests
    python tools/test_ui.py --times 3         all of them three times in a row
    python tools/test_ui.py --colab           the classic notebook with the packages that Colab preinstalls (tools/colab.py makes their environment in .bench/colab)

Whatever ends or interrupts a run, the state that the page shows must be true, and a whole checkpoint of the step that it shows must be on the disk. Pictures are left in `.ui/`. Exit code 1 if a test fails.
"""
import argparse, contextlib, json, os, re, subprocess, sys, tempfile, time
from pathlib import Path

from browser import ROOT, SHOTS, JupyterBrowser, missing, run_cases

LIMIT = 240                                                 # seconds for all tests
ENV = dict(OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', HF_HUB_OFFLINE='1', WANDB_MODE='offline', TOKENIZERS_PARALLELISM='false', NANO_REASONER_QUICK='1')
TASK = ['model.name=tiny-arith', 'data.dataset_name=arithmetic', 'data.task={families: {add: 1}, hard: 0.0}', 'data.eval_size=16', 'preflight=off', 'eval.max_new_tokens=40']
COLD = ['sft.steps=100', 'sft.max_samples=1500', 'sft.batch_size=32', 'sft.learning_rate=0.003', 'sft.warmup=10', 'sft.eval_steps=100', 'sft.save_steps=100']
LONG = ['training.algo=GRPO', 'training.steps=5000', 'training.batch_size=2', 'training.group_size=8', 'training.accumulate=1', 'training.max_new_tokens=32', 'training.eval_steps=1000', 'training.save_steps=10', 'training.learning_rate=0.0001', 'training.warmup=0']
SETTINGS = repr([*TASK, *LONG])

# The notebooks. A cell is called by its number; all of them can be run on their own with a kernel and the folder `checkpoints/sft` beside them.
IMPORTS = 'from nano_reasoner import load_config\nfrom nano_reasoner.dashboard import Run'
NOTEBOOKS = dict(
    train=['# Train a small reasoner',
           f'{IMPORTS}\nfrom nano_reasoner.form import ConfigForm\nform = ConfigForm(None, *{SETTINGS})\nform.show()',
           'run = Run(form)\nrun.show()',
           'print(run.state, run.history.step)     # the kernel is free while it trains',
           'from nano_reasoner.browse import RolloutBrowser\nrollouts = RolloutBrowser(run.folder)\nrollouts.show()',
           'from nano_reasoner.credit import credit_of_run\nview = credit_of_run(run.folder)\nview.show()',
           'from nano_reasoner.chat import ChatBox\nchat = ChatBox(run.folder, base="checkpoints/sft")\nchat.show()',
           f'{IMPORTS}\nrun = Run.attach("checkpoints/grpo")\nrun.show()'],
    fit=['# The same, while the cell runs',
         f'{IMPORTS}\nrun = Run(load_config(None, [*{SETTINGS}, "paths.run_name=fit", "training.init_from=checkpoints/sft"]))',
         'history = run.fit()',
         'print(run.state, history.step)',
         '''from nano_reasoner import load_config
from nano_reasoner.dashboard import Run, make_trainer
trainer = make_trainer(load_config(None, [*%s, "paths.run_name=broken", "training.on_reward_fault=raise"]))
def reward(prompt, completion, row):
    if trainer.step == 12: raise ZeroDivisionError('this reward fails <b>on purpose</b>')
    return completion.count('1')
trainer.terms = (reward,)
run = Run(trainer)
run.show()
run.start()''' % SETTINGS,
         'print(run.state, run.history.step)'],
    long=['# Ten thousand steps',
          '''import os, random
from nano_reasoner import load_config
from nano_reasoner.dashboard import Run, make_trainer
trainer = make_trainer(load_config(None, [*%s, "paths.run_name=long", "training.steps=10000", "training.save_steps=5000", "training.eval_steps=100000", "logging.rollouts=false"]))
step, draw = trainer.make_step, random.Random(0)
real = step()                                               # what a step says; the other steps say the same with noise
trainer.trackers = list                                     # neither files nor diagnosis: they are not what is tested here
trainer.make_step = lambda: {k: v*(1 + .1*draw.random()) if isinstance(v, float) else v for k, v in real.items()}
def resident(): return int(open('/proc/self/statm').read().split()[1])*os.sysconf('SC_PAGE_SIZE')/1e6
before = resident()
run = Run(trainer)''' % SETTINGS,
          'history = run.fit()',
          'print(run.state, history.step, len(history.rows), round(resident() - before), run.dash.updates, round(1000*run.dash.slowest))'])


def write_notebook(path, cells):
    "The first cell is text."
    cell = lambda i, text: dict(cell_type='code' if i else 'markdown', id=f'cell-{i}', metadata={}, source=text, **(dict(execution_count=None, outputs=[]) if i else {}))
    path.write_text(json.dumps(dict(cells=[cell(i, c) for i, c in enumerate(cells)], metadata=dict(kernelspec=dict(name='python3', display_name='Python 3', language='python')), nbformat=4, nbformat_minor=5)), encoding='utf-8')


def cold_start(folder, python=sys.executable):
    "A model that adds a little, in `folder`/checkpoints/sft, made while the browser starts."
    return subprocess.Popen([python, '-c', 'from nano_reasoner.cli import main; main()', 'sft', *TASK, *COLD], cwd=folder, env={**os.environ, **ENV}, stdin=subprocess.DEVNULL, stdout=open(folder/'sft.log', 'w'), stderr=subprocess.STDOUT)


class Page:
    "A notebook with a dashboard, as its user sees it."
    def __init__(self, jb, name): self.jb, self.nb, self.root = jb, jb.open(f'{name}.ipynb'), jb.server.root
    def status(self): return self.nb.text('.nr-status')
    def step(self): return int(re.search(r'step ([\d,]+)', self.status())[1].replace(',', ''))
    def steps(self, n):
        "Wait until the page shows `n` steps more."
        first = self.step()
        self.nb.wait(lambda: self.step() >= first + n, f'{n} steps after {first}')

    def true_state(self, state, folder, step_is_saved=True):
        "The page shows this state, the kernel agrees, and the newest checkpoint is whole and of the step that is shown."
        from nano_reasoner.checkpoints import find_latest_checkpoint, verify
        self.nb.wait_text('.nr-status', rf'\b{state}\b')
        said, shown = self.nb.eval('(run.state, run.history.step)'), self.step()
        assert said == repr((state, shown)), f'the page shows {state} at step {shown}, the kernel says {said}'
        path, step = find_latest_checkpoint(self.root/folder)
        assert path is not None and not verify(path), f'{folder}: no whole checkpoint ({path})'
        assert step == shown if step_is_saved else 0 < step <= shown, f'{folder}: the checkpoint is of step {step}, the page shows {shown}'
        return step


def tests(jb, pictures=True):
    "The tests, as functions without arguments"
    app = jb.server.app
    pages = {}
    def page(name):
        if name not in pages: pages[name] = Page(jb, name)
        return pages[name]
    def shot(nb, name, *args, **kw): return nb.screenshot(SHOTS/app/f'{name}.png', *args, **kw) if pictures else None
    def fine(nb): nb.assert_clean()

    def form():
        "The form: choices follow the algorithm, what is wrong is said beside its field as one types, code and command follow, a file is saved and loaded"
        nb = page('train').nb
        nb.run_cell(1, wait=True)
        nb.select('nr-algorithm', 'DAPO').wait_text('.nr-code', 'DAPO')
        nb.select('nr-algorithm', 'GSPO').wait_text('.nr-code', 'GSPO')
        nb.fill('nr-group-size', 'many')
        nb.wait_text('.nr-form [role=alert]', 'group_size|number|integer')
        shot(nb, 'form-error', '.nr-form')
        nb.fill('nr-group-size', 6).wait_text('.nr-code', r'group_size=6')
        nb.fill('nr-path', 'mine.yaml').click('.nr-save').wait_text('.nr-message', 'saved')
        assert 'group_size: 6' in (jb.server.root/'mine.yaml').read_text()
        nb.select('nr-algorithm', 'GRPO').fill('nr-group-size', 4).wait_text('.nr-code', r'group_size=4')
        nb.click('.nr-load').wait_text('.nr-code', r'group_size=6')
        nb.select('nr-algorithm', 'GRPO').fill('nr-group-size', 4).wait_text('.nr-code', r'group_size=4')
        shot(nb, 'form', '.nr-form'); shot(nb, 'form-narrow', '.nr-form', width=560)
        fine(nb)

    def background():
        "Start, curves that move, a free kernel, pause, resume, stop, continue: the state shown is true, with a whole checkpoint"
        p, folder = page('train'), 'checkpoints/grpo'
        nb = p.nb
        cold.wait()
        assert cold.returncode == 0, (jb.server.root/'sft.log').read_text()[-2000:]
        nb.run_cell(2, wait=True).click('.nr-start').wait_text('.nr-status', r'running.*step [1-9]')
        start = time.time()
        nb.wait_changes('.nr-plot img', n=3)
        took = time.time() - start
        assert nb.image_ok('.nr-plot img'), 'a picture is blank'
        nb.run_cell(3, wait=True)
        assert nb.output(3).startswith('running '), nb.output(3)
        nb.wait_text('.nr-samples', 'reward')
        nb.click('.nr-pause')
        a = p.true_state('paused', folder)
        nb.page.wait_for_timeout(1500)
        assert p.true_state('paused', folder) == a, 'it went on while paused'
        shot(nb, 'paused', '.nr-dashboard')
        nb.click('.nr-resume'); p.steps(2)
        nb.click('.nr-stop')
        b = p.true_state('stopped', folder)
        assert b > a
        nb.click('.nr-start'); nb.wait(lambda: p.step() > b, 'it goes on where it stopped')
        fine(nb)
        return f'3 redraws in {took:.1f} s, paused at {a}, stopped at {b}'

    def reload():
        "The page is loaded anew while it trains: the view is live again, and its buttons work"
        p = page('train')
        nb = p.nb
        nb.save()
        before = p.step()
        nb.reload()
        nb.wait_text('.nr-status', 'running'); nb.wait(lambda: p.step() > before, 'the view is live after the reload')
        nb.wait_changes('.nr-plot img', n=2)
        nb.click('.nr-pause'); p.true_state('paused', 'checkpoints/grpo')
        nb.click('.nr-resume'); p.steps(1)
        nb.click('.nr-stop'); p.true_state('stopped', 'checkpoints/grpo')
        shot(nb, 'stopped', '.nr-dashboard'); shot(nb, 'stopped-narrow', '.nr-dashboard', width=700)
        fine(nb)

    def browse():
        "Rollouts: filtered by answer, sorted, paged; what the page shows is what Python selects"
        nb = page('train').nb
        nb.run_cell(4, wait=True).wait_text('.nr-browse-count', r'completions')
        for name in ('answer', 'reason'): assert nb.chosen(f'nr-browse-{name}') == 'all', f'{name}: {nb.chosen(f"nr-browse-{name}")!r} is shown as chosen'
        nb.select('nr-browse-answer', 'right')
        count = lambda **kw: f'{int(nb.eval("len(rollouts.select(" + ", ".join(f"{k}={v!r}" for k, v in kw.items()) + "))")):,} completions'
        nb.wait_text('.nr-browse-count', '^' + count(correct=True))
        nb.select('nr-browse-answer', 'all').select('nr-browse-sort', 'longest')
        nb.wait_text('.nr-browse-count', '^' + count())
        first = nb.text('.nr-browse-page')
        nb.click('.nr-browse-next'); nb.wait_text('.nr-browse-count', 'page 2 of'); nb.wait(lambda: nb.text('.nr-browse-page') != first, 'another page')
        shot(nb, 'browse', '.nr-browse')
        fine(nb)

    def credit():
        "One completion token by token, under each algorithm"
        nb = page('train').nb
        nb.run_cell(5, wait=True)
        labels = re.findall(r"'(.*?)'", nb.eval('[c.algo.label for c in view.credits]'))
        assert len(labels) >= 6
        for label in labels: nb.wait_text('.nr-credit-view', re.escape(label))
        other = nb.eval('max((i for i in range(len(view)) if i != view.row), key=lambda i: abs(float(view.credits[0].sequence[i])))')
        nb.select('nr-credit-row', nb.page.locator('.nr-credit-row option').nth(int(other)).inner_text())
        nb.wait_text('.nr-credit-view', f'completion {other} of')
        shot(nb, 'credit', '.nr-credit'); shot(nb, 'credit-narrow', '.nr-credit', width=560)
        fine(nb)

    def chat():
        "A question is answered by the run's checkpoint and by the cold start, one above or beside the other"
        nb = page('train').nb
        nb.run_cell(6, wait=True).fill('nr-chat-question', '12+5=').click('.nr-chat-ask')
        nb.wait_text('.nr-chat-replies', r'12\+5=.*boxed.*boxed')
        assert nb.chosen('nr-chat-checkpoint'), 'which checkpoint is asked is not shown'
        shot(nb, 'chat', '.nr-chat')
        fine(nb)

    def dark():
        "The same in the dark theme, for the eye"
        nb = page('train').nb
        nb.page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        nb.wait(lambda: nb.page.evaluate("() => document.body.dataset.jpThemeLight") == 'false', 'the dark theme')
        nb.page.wait_for_timeout(700)
        for name in ('form', 'dashboard', 'browse', 'credit', 'chat'):
            if nb.page.locator(f'.nr-{name}').count(): shot(nb, f'{name}-dark', f'.nr-{name}')
        nb.page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")
        fine(nb)

    def restart():
        "The kernel is restarted in the middle of a run: the run is found again in its folder, shown as it is on the disk, and goes on"
        p = page('train')
        nb = p.nb
        nb.click('.nr-start'); p.steps(3)
        nb.restart()
        jb.problems()                                       # what the page says of the kernel that is gone
        nb.run_cell(7, wait=True)
        step = p.true_state('stopped', 'checkpoints/grpo')
        nb.wait(lambda: nb.page.locator('.nr-plot img').count() == 9, 'all curves')
        shot(nb, 'attached', '.nr-dashboard')
        nb.click('.nr-start'); nb.wait(lambda: p.step() > step, 'it goes on')
        nb.click('.nr-stop'); p.true_state('stopped', 'checkpoints/grpo')
        fine(nb)

    def foreground():
        "`fit()`: the cell runs, clicks on Pause, Resume and Stop arrive; a picture and a table stay in the file"
        p, folder = page('fit'), 'checkpoints/grpo-fit'
        nb = p.nb
        cold.wait()
        nb.run_cell(1, wait=True).run_cell(2).wait_text('.nr-status', r'running.*step [1-9]')
        nb.wait_changes('.nr-plot img', n=2)
        t = time.time(); nb.click('.nr-pause').wait_text('.nr-status', 'paused'); pause = time.time() - t
        a = p.step()
        nb.page.wait_for_timeout(1000)
        assert p.step() == a, 'it went on while paused'
        nb.click('.nr-resume'); p.steps(2)
        shot(nb, 'fit')
        t = time.time(); nb.click('.nr-stop'); nb.wait(lambda: not nb.check_cells()[2]['running'], 'fit() returns'); stop = time.time() - t
        nb.run_cell(3, wait=True)
        state, step = nb.output(3).split()
        frozen(nb, folder, state, int(step))
        fine(nb)
        return f'pause after {pause:.1f} s, stop after {stop:.1f} s'

    def frozen(nb, folder, state, step):
        "What `fit` leaves: no widget, a picture with words, a table; the state is true."
        from nano_reasoner.checkpoints import find_latest_checkpoint, verify
        path, saved = find_latest_checkpoint(jb.server.root/folder)
        assert state == 'stopped' and saved == step and not verify(path), (state, step, path)
        nb.save()
        outputs = json.loads((jb.server.root/nb.name).read_text(encoding='utf-8'))['cells'][2]['outputs']
        kinds = [k for o in outputs for k in o.get('data', {})]
        assert 'image/png' in kinds and 'text/html' in kinds and not any('widget' in k for k in kinds), kinds
        html = ''.join(t for o in outputs for t in o.get('data', {}).get('text/html', ''))
        assert f'step {step:,}' in html and 'stopped' in html, html[:500]
        assert nb.image_ok('.jp-RenderedImage img, .output_png img')

    def interrupt():
        "The kernel's interrupt during `fit()` is a stop: no traceback, a checkpoint, and the next cells run"
        p = page('fit')
        nb = p.nb
        nb.run_cell(2).wait_text('.nr-status', r'running')
        before = p.step(); nb.wait(lambda: p.step() > before, 'it goes on where it stopped')
        nb.interrupt()
        nb.wait(lambda: not nb.check_cells()[2]['running'], 'fit() returns')
        nb.run_cell(3, wait=True)
        state, step = nb.output(3).split()
        assert int(step) > before
        frozen(nb, 'checkpoints/grpo-fit', state, int(step))
        shot(nb, 'interrupted')
        fine(nb)

    def failure():
        "An exception in the reward ends the run: the page says failed and why, as text; the last whole step is saved"
        p = page('fit')
        nb = p.nb
        nb.run_cell(4, wait=True)
        step = (nb.wait_text('.nr-status', 'failed'), p.true_state('failed', 'checkpoints/grpo-broken'))[1]
        said = nb.wait_text('.nr-findings', r'ZeroDivisionError.*')[0]
        assert step == 12 and '<b>on purpose</b>' in said, (step, said)
        nb.page.wait_for_timeout(2000)                       # the curves come after the words
        shot(nb, 'failed', '.nr-dashboard')
        fine(nb)

    def long_run():
        "Ten thousand steps through the dashboard: the file stays below 2 MB, the kernel grows by less than 50 MB, at most two updates a second"
        nb, start = page('long').nb, time.time()
        nb.run_all(wait=False).wait_done(400)
        state, steps, rows, grown, updates, slowest = nb.output(3).split()
        size = nb.save().stat().st_size
        fine(nb)
        assert (state, steps) == ('done', '10000') and size < 2e6 and int(grown) < 50 and int(updates) < 2*(time.time() - start) + 3, (nb.output(3), size)
        return f'{size/1e3:.0f} kB, {rows} rows, {grown} MB more, {updates} updates, the slowest {slowest} ms of CPU time'

    cold = jb.cold
    everywhere = [form, background, reload, browse, credit, chat, restart, foreground, interrupt, failure]
    return everywhere if app == 'classic' else everywhere[:6] + [dark] + everywhere[6:] + [long_run]


def once(names, limit, app='lab', python=sys.executable):
    "All tests on a fresh server. Some go on from what others did."
    if 'interrupt' in names: names = [*names, 'foreground']
    if {'reload', 'browse', 'credit', 'chat', 'dark', 'restart', 'background'} & set(names): names = [*names, 'form', 'background']
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp).resolve()
        for name, cells in NOTEBOOKS.items(): write_notebook(root/f'{name}.ipynb', cells)
        start, jb = time.time(), JupyterBrowser(root, python, app, env=ENV)
        jb.cold = cold_start(root, python)
        try:
            with jb: return run_cases(tests(jb), names, limit and limit - (time.time() - start))
        finally:
            if jb.cold.poll() is None: jb.cold.kill()
            jb.cold.wait()
            if left := jb.server.left(): print(f'FAIL these processes were left: {left}')


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('tests', nargs='*')
    ap.add_argument('--times', type=int, default=1)
    ap.add_argument('--colab', action='store_true')
    ap.add_argument('--limit', type=int, default=LIMIT, help=f'seconds that all tests may take; 0: any (default: {LIMIT})')
    a = ap.parse_args()
    if what := missing(): sys.exit(f'not installed: {what}')
    if a.colab:
        import colab
        colab.environment()
    where = ('classic', colab.PYTHON) if a.colab else ('lab', sys.executable)
    return max(once(a.tests, a.limit, *where) for _ in range(a.times))


if __name__ == '__main__': sys.exit(main())
