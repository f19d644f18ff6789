#!/usr/bin/env python
"""Judge mutated and concatenated answers. Whatever the text, there must be a verdict, and soon.

    python tools/fuzz.py            5,000 texts
    python tools/fuzz.py 500        fewer
    python tools/fuzz.py --seed 7   others

Exit code 1 if a text raised an exception, got an impossible verdict or took more than 2 s, or if all of them took more than 120 s.
"""
import argparse, gzip, json, random, sys, time
from collections import Counter
from pathlib import Path

SLOWEST, ALL = 2., 120.     # seconds
CORPUS = Path(__file__).resolve().parent.parent/'nbs'/'answers.jsonl.gz'
PIECES = ['\\boxed{', '\\fbox{', '}', '{', '\\{', '\\}', '#### ', '\n#### ', '<think>', '</think>', '\\frac', '\\frac{1}{2}', '\\sqrt{', '^', '^{', '_', '!', ',', ';', '=', '<', '\\le ', '\\pm ', '\\cup ', '\\text{', '\\text{ or }', '\\left(', '\\right)',
          '\\int ', '\\sum_{n=1}^{\\infty} ', '\\begin{pmatrix}', '\\end{pmatrix}', '&', '\\\\', '\\%', '$', '42', '0', '1e9', '999999999', '-', '+', '*', '/', '(', ')', '[', ']', '|', 'x', 'i', 'e', '\\pi', '\\infty', '\\sin ', '\\log_', '\\binom{',
          '__import__("os")', 'lambda:', '\0', '\u202e', '\ud800', '\u00b2', '\uff14', '\u221a', ' ', '\n', 'Question:', '<|im_end|>']


def cut(rng, text, most):
    "A span of a text, at most `most` characters long"
    start = rng.randrange(max(len(text) - most, 0) + 1)
    return text[start:start + most]


def mutate(rng, text):
    "One change somewhere in a text"
    i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    j = min(j, i + 40)
    match rng.randrange(7):
        case 0: return text[:i] + text[j:]                                              # lost
        case 1: return text[:j] + text[i:j]*rng.randrange(1, 9) + text[j:]              # repeated
        case 2: return text[:i] + rng.choice(PIECES) + text[i:]                         # something put in
        case 3: return text[:i] + rng.choice(PIECES) + text[j:]                         # something in its place
        case 4: return text[:i] + text[i:j][::-1] + text[j:]                            # turned round
        case 5: return ''.join(str(rng.randrange(10)) if c.isdigit() and rng.random() < .3 else c for c in text)     # other digits
        case _: return f'\\boxed{{{cut(rng, text, 120)}}}'


def texts(rows, n, seed):
    "Yield `(completion, gold, judge's options)`: half of them whole completions, one in fifty long; half of them what is in a box"
    from nano_reasoner.answers import anchored
    rng = random.Random(seed)
    maths = [r for r in rows if r['task'] == 'math']
    inner = [a for a in (anchored(r['completion']) for r in rows + 4*maths) if a and len(a) < 120]
    for k in range(n):
        size, boxed = 20_000 if k % 50 == 0 else 400, k % 2
        text = ''.join(rng.choice(inner) if boxed else cut(rng, rng.choice(rows)['completion'], size) for _ in range(rng.choice([1, 1, 2, 3])))
        for _ in range(rng.randrange(5)): text = mutate(rng, text)
        if boxed: text = f'\\boxed{{{text}}}'
        gold = rng.choice(maths if k % 4 else rows)['gold']
        if rng.random() < .1: gold = mutate(rng, gold)
        yield text, gold, dict(prompt_tail=rng.choice(['', '', '<think>\n']), truncated=rng.random() < .2, maths=rng.random() < .5)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('n', nargs='?', type=int, default=5000)
    ap.add_argument('--seed', type=int, default=0)
    a = ap.parse_args()
    from nano_reasoner.answers import LONGEST, REASONS, judge
    from nano_reasoner.algebra import CHECKER
    with gzip.open(CORPUS, 'rt', encoding='utf-8') as f: rows = [json.loads(line) for line in f]
    CHECKER.check('x', 'x')                                     # the child is ready
    reasons, bad, slowest, start = Counter(), [], 0., time.perf_counter()
    for text, gold, options in texts(rows, a.n, a.seed):
        began = time.perf_counter()
        try:
            v = judge(text, gold, **options)
            if v.reason not in REASONS or v.correct != (v.reason == 'correct') or v.correct > v.lenient or len(v.value or '') > LONGEST: bad.append((v, text, gold, options))
            reasons[v.reason] += 1
        except Exception as e: bad.append((repr(e), text, gold, options))
        took = time.perf_counter() - began
        slowest = max(slowest, took)
        if took > SLOWEST: bad.append((f'{took:.1f} s', text, gold, options))
    total = time.perf_counter() - start
    for what, text, gold, options in bad: print(f'{what}: {text[:300]!a}, gold {gold[:100]!a}, {options}')
    print(f'{a.n:,} texts: {len(bad)} failures; {total:.1f} s, the slowest {slowest:.2f} s; {CHECKER.started} processes for algebra; ' + ', '.join(f'{k} {n:,}' for k, n in reasons.most_common()))
    return 1 if bad or total > ALL else 0


if __name__ == '__main__': sys.exit(main())
