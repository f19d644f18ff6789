"""A real browser for tests: Chromium without a window, driven by Playwright, on a real Jupyter server or on the built site.

    with JupyterBrowser('folder') as jb:                          # JupyterLab; app='classic' with a python= that has Notebook 6
        nb = jb.open('train.ipynb').run_all()
        nb.select('nr-algorithm', 'GSPO').click('nr-start')       # a widget is named by a class that it got with add_class
        nb.wait_text('nr-status', r'step \\d+')
        nb.wait_changes('.nr-plot img', n=3)
        nb.screenshot('train.png', '.nr-dashboard')
        nb.assert_clean()                                         # no cell failed, the page logged no error and asked no other host for anything

    with SiteBrowser('_docs') as site:
        page = site.open('losses.html')
        assert not site.problems()

Both listen on a free port of 127.0.0.1 and end what they started: server, kernels, browser. Playwright's own browsers are not needed, Debian's package `chromium` is (or NANO_REASONER_CHROMIUM, a path). The
server's Python may be another than the one that runs this file, which needs `playwright` and the standard library.
"""
import contextlib, http.server, json, os, re, secrets, shutil, signal, socket, subprocess, sys, tempfile, threading, time, traceback, urllib.request
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT/'.ui'                                          # pictures that the tests leave
PATIENCE = 100                                              # seconds to wait for what should come at once: the machine may be busy
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
         '--font-render-hinting=none', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1']
IGNORE = [r'favicon\.ico', r'ResizeObserver loop']          # what pages log that says nothing about our code


def chromium():
    "The browser's program, or None"
    return os.environ.get('NANO_REASONER_CHROMIUM') or next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


def missing():
    "What keeps the browser tests from running here; empty if nothing does"
    from importlib.util import find_spec
    return ', '.join(what for what, there in (('Chromium (apt-get install chromium)', chromium()), ('playwright', find_spec('playwright')), ('jupyterlab', find_spec('jupyterlab'))) if not there)


def wait(test, timeout=PATIENCE, what='condition', every=.1, sleep=time.sleep, detail=lambda: ''):
    "Ask `test()` until it says something true, and return that. Time in which this process itself was stopped does not count."
    left, value = timeout, None
    while left > 0:
        start = time.monotonic()
        if value := test(): return value
        sleep(every)
        left -= min(time.monotonic() - start, 2)
    raise TimeoutError(f'{what}: not so after {timeout} s (last value: {value!r}) {detail()}'.strip())


class Browser:
    "Chromium, and what its pages logged and asked for"
    def __init__(self, viewport=(1280, 1000), dark=False, ignore=()):
        self.viewport, self.dark, self.ignore, self.logged, self.hosts = viewport, dark, [re.compile(p) for p in [*IGNORE, *ignore]], [], set()

    def __enter__(self):
        self.open_all = contextlib.ExitStack()
        try: self.start()
        except BaseException: self.close(); raise
        return self

    def __exit__(self, *args): self.close()
    def close(self): self.open_all.close()

    def start(self):
        from playwright.sync_api import sync_playwright
        self.playwright = self.open_all.enter_context(sync_playwright())
        self.browser = self.playwright.chromium.launch(executable_path=chromium(), args=FLAGS, headless=True)
        self.open_all.callback(self.browser.close)
        self.context = self.new_context()

    def new_context(self, viewport=None, dark=None, **kwargs):
        "Like a new profile: no cookies, no storage; `viewport` is (width, height)"
        w, h = viewport or self.viewport
        context = self.browser.new_context(viewport=dict(width=w, height=h), color_scheme='dark' if (self.dark if dark is None else dark) else 'light', **kwargs)
        context.set_default_timeout(1000*PATIENCE)
        return context

    def new_page(self, context=None):
        page = (context or self.context).new_page()
        page.on('console', lambda m: m.type == 'error' and self.logged.append(f'[{m.type}] {m.text[:400]} ({(m.location or {}).get("url", "")})'))
        page.on('pageerror', lambda e: self.logged.append(f'[page error] {str(e)[:400]}'))
        page.on('requestfailed', lambda r: r.failure != 'net::ERR_ABORTED' and self.logged.append(f'[request failed] {r.failure} ({r.url[:200]})'))
        page.on('request', lambda r: urlsplit(r.url).scheme in ('http', 'https', 'ws', 'wss') and self.hosts.add(urlsplit(r.url).hostname))
        return page

    def problems(self):
        "What was logged as an error since the last call, and which other hosts were asked"
        found = [l for l in self.logged if not any(p.search(l) for p in self.ignore)] + [f'asked {h}' for h in sorted(self.hosts - {'127.0.0.1'})]
        self.logged.clear(); self.hosts.clear()
        return found


# The site

class SiteBrowser(Browser):
    "The built site, served under the path that it will have on its host, so that links from the root of a host break here too"
    def __init__(self, folder, prefix='/nano-reasoner/', **kwargs): super().__init__(**kwargs); self.folder, self.prefix = Path(folder).resolve(), prefix

    def start(self):
        folder, prefix = str(self.folder), self.prefix
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args): super().__init__(*args, directory=folder)
            def translate_path(self, path): return super().translate_path('/' + path.removeprefix(prefix)) if path.startswith(prefix) else '/nowhere'
            def log_message(self, *args): pass
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.open_all.callback(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.open_all.callback(server.shutdown)
        self.url = f'http://127.0.0.1:{server.server_port}{prefix}'
        super().start()

    def pages(self): return sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob('*.html'))

    def open(self, name='index.html', page=None):
        page = page or self.new_page()
        page.goto(self.url + name, wait_until='load')
        return page


# Jupyter

LAB = {
    '@jupyterlab/apputils-extension:notification': {'fetchNews': 'false', 'checkForUpdates': False, 'doNotDisturbMode': True},
    '@jupyterlab/notebook-extension:tracker': {'windowingMode': 'none', 'codeCellConfig': {'autoClosingBrackets': False}},     # cells out of sight are there, too
    '@jupyterlab/docmanager-extension:plugin': {'autosave': False},
}


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def parents():
    "`{process: its parent}` of the processes that are alive (Linux)"
    res = {}
    for d in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError, IndexError):
            state, parent = (d/'stat').read_text().rpartition(')')[2].split()[:2]
            if state != 'Z': res[int(d.name)] = int(parent)
    return res


def family(pid):
    "A process and all that it started"
    tree, found = parents(), [pid]
    for p in found: found += [k for k, v in tree.items() if v == p]
    return found


class JupyterServer:
    "A server with folders of its own for settings and data, which `stop` removes"
    def __init__(self, root, python=sys.executable, app='lab', settings=None, env=None):
        self.root, self.python, self.app, self.settings, self.env, self.process, self.ours = Path(root).resolve(), str(python), app, {**LAB, **(settings or {})}, env or {}, None, []

    def start(self):
        self.home = Path(tempfile.mkdtemp(prefix='jupyter-'))
        (self.home/'config'/'labconfig').mkdir(parents=True)
        (self.home/'config'/'labconfig'/'default_setting_overrides.json').write_text(json.dumps(self.settings))
        env = {k: v for k, v in os.environ.items() if not k.startswith(('JUPYTER', 'IPYTHON'))}
        env |= {f'JUPYTER_{k}_DIR': str(self.home/k.lower()) for k in ('CONFIG', 'DATA', 'RUNTIME')} | {f'JUPYTERLAB_{k}_DIR': str(self.home/k.lower()) for k in ('SETTINGS', 'WORKSPACES')}
        env |= dict(PATH=f'{Path(self.python).parent}{os.pathsep}{env.get("PATH", "")}', IPYTHONDIR=str(self.home/'ipython'), PYDEVD_DISABLE_FILE_VALIDATION='1', **self.env)
        for last in (False, False, True):                    # another process may take the port first
            self.port, self.token = free_port(), secrets.token_hex(16)
            with open(self.home/'server.log', 'w') as log:
                self.process = subprocess.Popen([self.python, '-m', *self.arguments()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self.root, start_new_session=True)
            try: return wait(self.answers, what='the Jupyter server answers')
            except (TimeoutError, RuntimeError):
                if last: raise
                self.end()

    def arguments(self):
        common = ['--no-browser', '--allow-root']
        if self.app == 'classic':
            return ['notebook', *common, '--NotebookApp.ip=127.0.0.1', f'--NotebookApp.port={self.port}', '--NotebookApp.port_retries=0', f'--NotebookApp.token={self.token}', f'--NotebookApp.notebook_dir={self.root}']
        return ['jupyterlab', *common, '--ServerApp.ip=127.0.0.1', f'--ServerApp.port={self.port}', '--ServerApp.port_retries=0', f'--IdentityProvider.token={self.token}', f'--ServerApp.root_dir={self.root}',
                '--expose-app-in-browser']

    @property
    def url(self): return f'http://127.0.0.1:{self.port}'
    def log(self, n=15): return '\n'.join((self.home/'server.log').read_text(errors='replace').splitlines()[-n:])

    def answers(self):
        if self.process.poll() is not None: raise RuntimeError('the Jupyter server ended:\n' + self.log())
        with contextlib.suppress(OSError): return self.api('/api/status')

    def api(self, path, method='GET'):
        request = urllib.request.Request(self.url + path, method=method, headers={'Authorization': f'token {self.token}'})
        with urllib.request.urlopen(request, timeout=PATIENCE) as f: return json.loads(f.read() or b'null')

    def end(self):
        "Ask the server to end itself and its kernels, then end what is left of its family."
        if self.process is None: return
        self.ours = family(self.process.pid)
        if self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError): self.api('/api/shutdown', 'POST')
        with contextlib.suppress(subprocess.TimeoutExpired): self.process.wait(10)
        for p in self.left():
            with contextlib.suppress(ProcessLookupError): os.kill(p, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def left(self): return sorted(set(self.ours) & parents().keys())
    def stop(self): self.end(); shutil.rmtree(self.home, ignore_errors=True)


STATE = dict(lab='''() => {
  const p = window.jupyterapp && window.jupyterapp.shell.currentWidget;
  if (!p || !p.content || !p.content.widgets || !p.sessionContext) return {ready: false, cells: []};
  const k = p.sessionContext.session && p.sessionContext.session.kernel;
  return {ready: p.sessionContext.isReady && !!k && k.connectionStatus === 'connected', kernel: k ? k.status : 'none',
    cells: p.content.widgets.map(c => { const j = c.model.toJSON();
      return {type: j.cell_type, source: [].concat(j.source).join(''), count: j.execution_count ?? null, running: c.model.executionState === 'running', outputs: j.outputs || []}; })};
}''', classic='''() => {
  const n = window.Jupyter && window.Jupyter.notebook;
  if (!n || !n.kernel || !n._fully_loaded) return {ready: false, cells: []};
  return {ready: n.kernel.is_connected() && !!n.kernel.widget_manager, kernel: n.kernel_busy ? 'busy' : 'idle',
    cells: n.get_cells().map(c => ({type: c.cell_type, source: c.get_text(), count: typeof c.input_prompt_number === 'number' ? c.input_prompt_number : null,
      running: c.input_prompt_number === '*', outputs: c.output_area ? c.output_area.outputs : []}))};
}''')
LAB_KERNEL = 'window.jupyterapp.shell.currentWidget.sessionContext.session.kernel'
DO = dict(                                                  # what the buttons of the page do; the first of each pair in JupyterLab, the second in the classic notebook
    run_all=("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }", '() => { Jupyter.notebook.execute_all_cells(); }'),
    run_cell=('''i => { const p = window.jupyterapp.shell.currentWidget; p.content.deselectAll(); p.content.activeCellIndex = i;
                 window.jupyterapp.commands.execute('notebook:run-cell'); }''', 'i => { Jupyter.notebook.execute_cells([i]); }'),
    interrupt=("() => { window.jupyterapp.commands.execute('notebook:interrupt-kernel'); }", '() => { Jupyter.notebook.kernel.interrupt(); }'),
    clear=("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')", '() => { Jupyter.notebook.clear_all_output(); }'),
    restart=(f'() => {LAB_KERNEL}.restart()', '() => { Jupyter.notebook.kernel.restart(); }'),
    save=("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }", '() => Jupyter.notebook.save_notebook()'),
    eval=(f'''async e => {{ const r = await {LAB_KERNEL}.requestExecute({{code: '', silent: true, store_history: false, user_expressions: {{v: e}}}}).done;
              const v = r.content.user_expressions.v; return v.status === 'ok' ? v.data['text/plain'] : v.ename + ': ' + v.evalue; }}''',
          '''e => new Promise(ok => Jupyter.notebook.kernel.execute('', {shell: {reply: r => { const v = r.content.user_expressions.v;
              ok(v.status === 'ok' ? v.data['text/plain'] : v.ename + ': ' + v.evalue); }}}, {silent: true, user_expressions: {v: e}}))'''))
PICTURES = "all => all.map(e => { const s = e.currentSrc || e.src || ''; return s.length + ':' + s.slice(2000, 2400) + s.slice(-400, -20); }).join()"


class Notebook:
    "An open notebook. A widget is named by a class (`nr-start`) or a CSS selector; it may be one of several, then the first is meant."
    def __init__(self, jb, page, name): self.jb, self.page, self.name, self.app = jb, page, name, jb.server.app

    def do(self, what, *args): return self.page.evaluate(DO[what][self.app == 'classic'], *args)
    def state(self): return self.page.evaluate(STATE[self.app])
    def wait(self, test, what='condition', timeout=PATIENCE, every=.1): return wait(test, timeout, f'{self.name}: {what}', every, lambda s: self.page.wait_for_timeout(1000*s), lambda: '\n' + self.jb.server.log(5))

    def wait_ready(self):
        def ready():
            with contextlib.suppress(Exception):             # the page may still be on its way to another address
                s = self.state()
                return s['ready'] and s['kernel'] in ('idle', 'busy')
        self.wait(ready, 'the kernel is ready')
        return self

    # cells

    def run_all(self, wait=True):
        self.do('run_all')
        return self.wait_done() if wait else self

    def run_cell(self, i, wait=False):
        before = self.state()['cells'][i]['count']
        self.do('run_cell', i)
        if wait: self.wait(lambda: (c := self.check_cells()[i])['count'] not in (before, None) and not c['running'], f'cell {i} has run')
        return self

    def wait_done(self, timeout=PATIENCE):
        "Wait until every cell has run and the kernel is idle; an error in a cell raises."
        def done():
            s = self.state()
            code = [c for c in self.check_cells(s) if c['type'] == 'code' and c['source'].strip()]
            return s['ready'] and s['kernel'] == 'idle' and all(c['count'] and not c['running'] for c in code)
        self.wait(done, 'all cells have run', timeout)
        return self

    def check_cells(self, state=None):
        cells = (state or self.state())['cells']
        for o in (o for c in cells for o in c['outputs'] if o.get('output_type') == 'error'): raise AssertionError(f'{self.name}: a cell failed: {o.get("ename")}: {o.get("evalue")}')
        return cells

    def output(self, i):
        "The text that cell `i` printed or returned."
        return ''.join(''.join(o.get('text', '')) + ''.join(o.get('data', {}).get('text/plain', '')) for o in self.state()['cells'][i]['outputs'])

    def eval(self, expression):
        "The `repr` of an expression in the kernel, which must be free."
        return self.do('eval', expression)

    def interrupt(self): self.do('interrupt'); return self
    def restart(self): "Restart the kernel and clear all outputs."; self.do('restart'); self.page.wait_for_timeout(1000); self.wait_ready(); self.do('clear'); return self
    def reload(self): self.page.reload(wait_until='domcontentloaded'); return self.settle()

    def settle(self):
        self.wait_ready()
        if self.app == 'classic': self.page.wait_for_timeout(1500)       # its manager of widgets comes late
        return self

    def save(self):
        "Save the notebook; returns its file's path."
        path = self.jb.server.root/self.name
        before = path.stat().st_mtime_ns
        self.do('save')
        self.wait(lambda: path.stat().st_mtime_ns != before, 'the notebook is saved')
        return path

    # widgets

    def find(self, css): return self.page.locator(css if css[0] in '.#[' or ' ' in css else f'.{css}').first
    def visible(self, css): return self.find(css).is_visible()
    def disabled(self, css): return self.find(css).is_disabled()
    def click(self, css): self.find(css).click(); return self
    def select(self, css, label): self.page.locator(f'.{css} select').first.select_option(label=label); return self
    def chosen(self, css): "The label that a drop-down list shows."; return self.page.locator(f'.{css} select').first.evaluate("e => e.selectedOptions.length ? e.selectedOptions[0].label : ''")
    def text(self, css): return self.find(css).inner_text()

    def fill(self, css, value):
        box = self.page.locator(f'.{css} input:not([type=range]):not([type=checkbox]), .{css} textarea').first
        box.fill(str(value)); box.press('Tab')
        return self

    def wait_text(self, css, pattern, timeout=PATIENCE):
        def found():
            with contextlib.suppress(Exception): return re.search(pattern, self.find(css).inner_text(timeout=1000), re.S)
        return self.wait(found, f'{css} shows /{pattern}/', timeout)

    def wait_changes(self, css, n=3, timeout=PATIENCE):
        "Wait until pictures have changed `n` times, any of them."
        seen = []
        def more():
            now = self.page.locator(css).evaluate_all(PICTURES)
            if now and (not seen or seen[-1] != now): seen.append(now)
            return len(seen) > n
        self.wait(more, f'{css} changes {n} times', timeout, .05)
        return self

    def image_ok(self, css): return self.page.locator(css).first.evaluate('e => e.complete && e.naturalWidth > 100 && e.naturalHeight > 50')

    # pictures and the verdict

    def screenshot(self, path, css=None, width=None):
        "A picture of a part, or of what the window shows. The window grows for it, since a notebook scrolls inside the page."
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        w, h = width or self.jb.viewport[0], self.jb.viewport[1]
        if width: self.page.set_viewport_size(dict(width=w, height=h)); self.page.wait_for_timeout(500)
        if css:
            part = self.find(css)
            self.page.set_viewport_size(dict(width=w, height=max(h, int(part.evaluate('e => e.getBoundingClientRect().height')) + 300)))
            self.page.wait_for_timeout(300)
            part.screenshot(path=str(path))
        else: self.page.screenshot(path=str(path))
        self.page.set_viewport_size(dict(width=self.jb.viewport[0], height=self.jb.viewport[1]))
        return Path(path)

    def assert_clean(self):
        self.check_cells()
        for text in self.page.locator('.jp-OutputArea-output, .output_area').all_inner_texts():
            assert not re.match(r'\s*(Loading widget|Error displaying widget|Error creating widget|\[IPKernelApp\])', text), f'{self.name}: a widget did not show: {text[:200]}'
            assert 'Traceback (most recent call last)' not in text, f'{self.name}: {text[-600:]}'
        if found := self.jb.problems(): raise AssertionError(f'{self.name}: the page had errors:\n' + '\n'.join(found[:10]))

    def close(self):
        "Close the page and end its kernel."
        self.page.close()
        for s in self.jb.server.api('/api/sessions'):
            if s['path'] == self.name: self.jb.server.api(f'/api/sessions/{s["id"]}', 'DELETE')


class JupyterBrowser(Browser):
    "A Jupyter server on a folder, and a browser"
    def __init__(self, root, python=sys.executable, app='lab', dark=False, env=None, **kwargs):
        super().__init__(dark=dark, **kwargs)
        self.server = JupyterServer(root, python, app, {'@jupyterlab/apputils-extension:themes': {'theme': 'JupyterLab Dark'}} if dark else None, env)

    def start(self):
        self.open_all.callback(self.server.stop)
        self.server.start()
        super().start()

    def open(self, name):
        page = self.new_page()
        path = f'/notebooks/{quote(name)}' if self.server.app == 'classic' else f'/doc/tree/{quote(name)}'
        page.goto(f'{self.server.url}{path}?token={self.server.token}', wait_until='domcontentloaded')
        return Notebook(self, page, name).settle()


# Running tests

def run_cases(cases, names=(), limit=None, before=''):
    """Run functions as tests, in the manner of `tools/test.py`: a line for each, `N passed, N failed` at the end; returns the exit code.

    `cases` is a list of functions without arguments, their docstring says what must hold; `names` are those to run; `limit` is how many seconds all of them may take.
    """
    start, passed, failed = time.time(), 0, 0
    for f in cases:
        if names and f.__name__ not in names: continue
        t, problem = time.time(), ''
        try: note = f()
        except Exception: problem, note = traceback.format_exc(), None
        print(f'{"FAIL" if problem else "ok  "} {time.time() - t:6.1f}s  {f.__name__}: {f.__doc__}' + (f' [{note}]' if note else ''), flush=True)
        if problem: print(problem.rstrip(), flush=True)
        passed, failed = passed + (not problem), failed + bool(problem)
    took = time.time() - start
    load = os.getloadavg()
    if limit and took > limit and load[1] < 2*os.cpu_count(): print(f'FAIL {took:6.1f}s  took longer than {limit:.0f} s'); failed += 1     # on a busier machine that says nothing
    print(f'{took:.0f} s; load {load[0]:.1f}, {load[1]:.1f} in five minutes, on {os.cpu_count()} cores')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0
