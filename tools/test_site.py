#!/usr/bin/env python
"""The documentation site in a real browser. `make test-site` runs this; the last line is `N passed, N failed`.

    python tools/test_site.py                   builds the site from a copy of the notebooks, then all tests
    python tools/test_site.py --site _docs      tests a site that is built already
    python tools/test_site.py search dark       some tests

Pictures of a few pages, light, dark and as on a phone, are left in `.ui/site/`. Exit code 1 if a test fails.
"""
import argparse, contextlib, os, subprocess, sys, tempfile
from configparser import ConfigParser
from functools import cache
from pathlib import Path

import check
from browser import ROOT, SHOTS, SiteBrowser, missing, run_cases, wait

LIMIT = 240                                                 # seconds for all tests, without the building
PHONE = (390, 844)
SHOWN = ('index.html', 'losses.html', 'plots.html', 'algorithms/gspo.html', 'tutorials/laptop.html')      # of these a picture is taken

# What is seen of a page: pictures that did not load or say nothing to the blind, formulas that are none, text too faint to read
LOOK = '''() => {
  const all = s => [...document.querySelectorAll(s)];
  const rgb = c => c.match(/[\\d.]+/g).map(Number);
  const luminance = c => rgb(c).slice(0, 3).map(x => (x /= 255) <= .03928 ? x/12.92 : ((x + .055)/1.055)**2.4).reduce((s, x, i) => s + x*[.2126, .7152, .0722][i], 0);
  const known = new Map(), behind = e => { if (!e) return 'rgb(255, 255, 255)'; if (!known.has(e)) { const c = getComputedStyle(e).backgroundColor; known.set(e, (rgb(c)[3] ?? 1) > .5 ? c : behind(e.parentElement)); } return known.get(e); };
  const contrast = (text, ground) => { const [a, b] = [text, ground].map(luminance); return Math.round(100*(Math.max(a, b) + .05)/(Math.min(a, b) + .05))/100; };
  const own = e => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim();
  const texts = all('main p, main li, main td, main th, main h1, main h2, main h3, main a, main pre, main pre span, main code, #quarto-sidebar a').filter(e => own(e) && e.offsetParent !== null);
  return {title: document.title, heading: all('main h1').map(e => e.innerText)[0] || '', background: getComputedStyle(document.body).backgroundColor,
    pictures: all('main img').filter(e => e.complete && !e.naturalWidth).map(e => e.src.slice(-80)), untold: all('main img').filter(e => !(e.alt || '').trim()).map(e => e.src.slice(0, 80)),
    formulas: all('.math').length, rendered: all('.math :is(.katex, math)').length, broken: all('.katex-error').map(e => e.title || e.innerText),
    left: all('main p, main li, main td').filter(e => /\\\\[(\\[]|\\$\\$/.test(own(e))).map(e => own(e).slice(0, 80)),
    errors: all('main .cell-output').filter(e => /Traceback \\(most recent call last\\)/.test(e.innerText)).map(e => e.innerText.slice(0, 80)),
    links: [...new Set(all('a[href]').map(a => a.href))], ids: all('[id]').map(e => e.id),
    faint: [...new Map(texts.map(e => [getComputedStyle(e).color + behind(e), e])).values()].map(e => [contrast(getComputedStyle(e).color, behind(e)), e.tagName + ': ' + own(e).slice(0, 60)]).filter(x => x[0] < 4.45)};
}'''
# How far it reaches beyond the window, and what does
WIDTH = '''() => {
  const width = document.documentElement.clientWidth, scrolls = e => { while ((e = e.parentElement)) if (getComputedStyle(e).overflowX !== 'visible') return true; };
  const wide = document.documentElement.scrollWidth - width;
  return {wide: wide, widest: wide < 2 ? [] : [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e)).slice(0, 2).map(e => e.tagName + '.' + e.className + ': ' + (e.innerText || '').slice(0, 50))};
}'''


def build(folder):
    "Build the site from a copy of its sources, so that nothing else that is being built or edited meanwhile can get in the way."
    with check.copied() as tmp:
        for d in ('node_modules',):
            if (ROOT/d).exists(): (tmp/d).symlink_to(ROOT/d)
        r = subprocess.run([sys.executable, tmp/'tools'/'docs.py', 'site'], cwd=tmp, capture_output=True, text=True)
        if r.returncode: sys.exit(f'the site was not built:\n{r.stdout}{r.stderr}')
        (tmp/'_docs').rename(folder)


def tests(site):
    "The tests, as functions without arguments"
    def ok(bad, most=12): assert not bad, f'{len(bad)} problems\n' + '\n'.join(bad[:most])
    def shot(page, name, kind):
        to = SHOTS/'site'/f'{Path(name).stem}-{kind}.png'
        to.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(to))

    @cache
    def looks():
        "`{page: what it looks like}`: each is loaded once, and seen in a wide and in a narrow window"
        page, res = site.new_page(), {}
        for name in site.pages():
            site.open(name, page)
            res[name] = page.evaluate(LOOK)
            if name in SHOWN: shot(page, name, 'light')
            page.set_viewport_size(dict(width=PHONE[0], height=PHONE[1]))
            res[name]['narrow'] = page.evaluate(WIDTH)
            if name in SHOWN: shot(page, name, 'narrow')
            page.set_viewport_size(dict(width=site.viewport[0], height=site.viewport[1]))
            res[name]['problems'] = site.problems()
        page.close()
        return res

    def every_page():
        "Every page loads without an error and asks no other host for anything; pictures are there and described; formulas are set; no output is a traceback"
        bad, formulas, ini = [], 0, ConfigParser(delimiters=['='])
        ini.read(ROOT/'settings.ini', encoding='utf-8')
        colab = f'https://colab.research.google.com/github/{ini["DEFAULT"]["user"]}/{ini["DEFAULT"]["repo"]}/blob/{ini["DEFAULT"]["branch"]}/nbs/'
        for name, look in looks().items():
            formulas += look['rendered']
            found = look['problems'] + [f'{k}: {v}' for k in ('pictures', 'untold', 'broken', 'left', 'errors') for v in look[k]]
            if look['rendered'] != look['formulas']: found.append(f'{look["formulas"] - look["rendered"]} of {look["formulas"]} formulas are not set')
            if not look['heading'] or look['heading'] not in look['title']: found.append(f'title {look["title"]!r}, heading {look["heading"]!r}')
            if name != 'index.html' and not any(l.startswith(colab) for l in look['links']): found.append('no button that opens it in Colab')
            bad += [f'{name}: {f}' for f in found]
        ok(bad)
        assert formulas > 100, f'{formulas} formulas'
        return f'{len(looks())} pages, {formulas} formulas'

    def search():
        "Typing `gspo` into the search finds the page of the algorithm, and leads there; nonsense finds nothing"
        page = site.open()
        box = page.locator('.smalldocs-search input, #quarto-search input').first
        box.fill('gspo')
        hits = page.locator('.search-result')
        hits.first.wait_for()
        links = [h.get_attribute('href') for h in hits.all()]
        assert any('algorithms/gspo.html' in l for l in links), links
        page.locator('.search-result[href*="algorithms/gspo.html"]').first.click()
        page.wait_for_url('**/algorithms/gspo.html*')
        assert 'GSPO' in page.locator('main h1').first.inner_text()
        box.fill('xqzwv kjhgf')
        page.locator('.search-none').wait_for()
        page.close()
        ok(site.problems())
        return f'{len(links)} hits'

    def links():
        "What the pages link within the site is there, down to the heading"
        def broken(to):
            path, _, part = to.partition('#')
            path = (path + 'index.html' if not path or path.endswith('/') else path).partition('?')[0]
            return not (site.folder/path).is_file() or bool(part) and path in looks() and part not in looks()[path]['ids']
        targets = {to: name for name, look in looks().items() for to in look['links'] if to.startswith('http://127.0.0.1')}
        ok([f'{name}: {to}' for to, name in targets.items() if not to.startswith(site.url) or broken(to.removeprefix(site.url))])
        return f'{len(targets)} links'

    def dark():
        "With a system in dark mode the pages are dark and their text can be read (contrast at least 4.5); the button changes that, and the next page remembers it"
        page, bad = site.new_page(site.new_context(dark=True)), []
        for name in SHOWN:
            site.open(name, page)
            wait(lambda: page.evaluate(LOOK)['background'] != 'rgb(255, 255, 255)', 10, f'{name} is dark')
            bad += [f'{name}: contrast {c} of {text!r}' for c, text in page.evaluate(LOOK)['faint'][:3]]
            shot(page, name, 'dark')
        page.locator('.quarto-color-scheme-toggle').first.click()
        wait(lambda: page.evaluate(LOOK)['background'] == 'rgb(255, 255, 255)', 10, 'the page is light after a click')
        site.open('config.html', page)
        assert page.evaluate(LOOK)['background'] == 'rgb(255, 255, 255)', 'the next page forgot'
        ok(bad + site.problems())

    def light():
        "In light mode the text of every page can be read, too (contrast at least 4.5)"
        ok([f'{name}: contrast {c} of {text!r}' for name, look in looks().items() for c, text in look['faint'][:2]])

    def phone():
        "On a phone no page is wider than the screen, and the menu opens and leads on"
        page = site.open('index.html', site.new_page(site.new_context(viewport=PHONE, is_mobile=True, has_touch=True)))
        shot(page, 'index.html', 'phone')
        page.locator('.quarto-btn-toggle').first.click()
        link = page.locator('#quarto-sidebar a[href*="losses.html"]').first
        if not link.is_visible(): page.locator('#quarto-sidebar .sidebar-item-section:has(a[href*="losses.html"]) [data-bs-toggle]').first.click()      # its section is folded
        link.wait_for(state='visible')
        shot(page, 'menu', 'phone')
        link.click()
        page.wait_for_url('**/losses.html')
        shot(page, 'losses', 'phone')
        ok([f'{name}: {look["narrow"]["wide"]} px too wide: {"; ".join(look["narrow"]["widest"])}' for name, look in looks().items() if look['narrow']['wide'] > 1] + site.problems())

    return [every_page, search, links, dark, light, phone]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('tests', nargs='*')
    ap.add_argument('--site', type=Path, help='a built site; otherwise it is built from a copy of the notebooks')
    ap.add_argument('--limit', type=int, default=LIMIT, help=f'seconds that all tests may take, without the building; 0: any (default: {LIMIT})')
    a = ap.parse_args()
    if what := missing(): sys.exit(f'{what}: not there')
    with contextlib.ExitStack() as stack:
        folder = a.site or Path(stack.enter_context(tempfile.TemporaryDirectory()))/'site'
        if not a.site: build(folder)
        site = stack.enter_context(SiteBrowser(folder))
        return run_cases(tests(site), a.tests, a.limit)


if __name__ == '__main__': sys.exit(main())
