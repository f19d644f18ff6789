#!/usr/bin/env python
"""Kill a process in the middle of saving, many times, and look at what is left.

    python tools/kill_saves.py            300 kills
    python tools/kill_saves.py 20         fewer
    python tools/kill_saves.py --json     the counts as JSON

A child process saves one checkpoint of 1 MB after the other and reports each one that is done. It gets SIGKILL at a random moment of its third save. The same is done to the usual way of saving, straight into the
final folder, which has to fail: otherwise the test could not tell a good save from a bad one. Exit code 1 if a newest checkpoint of ours is unusable, a reported one is lost, more than one temporary folder is left or
the next save does not clean it up, or if fewer than a fifth of the kills hurt the other way of saving.
"""
import argparse, json, os, random, shutil, signal, sys, tempfile, time
from pathlib import Path

from nano_reasoner import atomic
from nano_reasoner.checkpoints import save_checkpoint, steps, verify, write_manifest

BLOB = os.urandom(1 << 20)


def save_model(folder):
    with open(folder/'model.bin', 'wb') as f:
        for i in range(0, len(BLOB), 1 << 16): f.write(BLOB[i:i + (1 << 16)])


def in_place(run, step, save_model, state, tensors):
    "How it is usually done: into the final folder, without waiting for the disk"
    atomic.fsync = lambda path: None
    folder = run/f'step_{step:06d}'
    folder.mkdir(exist_ok=True)
    save_model(folder)
    write_manifest(folder, step=step)


def save_for_ever(save, run, report):
    step = steps(run)[0][0] if steps(run) else 0
    while True:
        step += 1
        save(run, step, save_model, {}, {})
        os.write(report, b'%d\n' % step)


def leftovers(run): return len([*run.glob('.tmp-*'), *run.glob('.old-*')])


def trial(save, run, rng):
    "One kill: (is the newest checkpoint unusable, is a reported one lost, number of temporary folders)"
    r, w = os.pipe()
    pid = os.fork()
    if not pid: save_for_ever(save, run, w)
    os.close(w)
    with os.fdopen(r) as told:
        told.readline()
        start, last = time.monotonic(), told.readline()
        time.sleep(rng.uniform(0, time.monotonic() - start))                # the third save takes about as long as the second
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        committed = int((told.read().split() or [last])[-1])
    found = steps(run)
    good = next((s for s, p in found if not verify(p)), 0)                  # the newest that can be used
    for _, folder in found[4:]: shutil.rmtree(folder)                       # saving in place keeps everything
    return bool(found) and found[0][0] > good, committed > good, leftovers(run)


def kills(save, n, seed):
    "`n` kills on one run folder, and a last save that is not disturbed"
    rng, run = random.Random(seed), Path(tempfile.mkdtemp())
    try:
        t = [trial(save, run, rng) for _ in range(n)]
        save(run, steps(run)[0][0] + 1, save_model, {}, {})
        return dict(kills=n, newest_unusable=sum(x[0] for x in t), committed_lost=sum(x[1] for x in t), most_leftovers=max(x[2] for x in t), leftovers_after_next_save=leftovers(run))
    finally: shutil.rmtree(run)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('n', nargs='?', type=int, default=300)
    ap.add_argument('--seed', type=int, default=0)
    ap.add_argument('--json', action='store_true')
    a = ap.parse_args()
    start = time.time()
    ours, mutant = kills(save_checkpoint, a.n, a.seed), kills(in_place, a.n, a.seed)        # the second way switches fsync off
    if a.json: print(json.dumps(dict(ours=ours, in_place=mutant)))
    else: print(f'save_checkpoint  {ours}', f'in place         {mutant}', f'{time.time() - start:.0f} s', sep='\n')
    good = ours['newest_unusable'] == ours['committed_lost'] == ours['leftovers_after_next_save'] == 0 and ours['most_leftovers'] <= 1
    sys.exit(not (good and mutant['newest_unusable'] >= a.n/5))


if __name__ == '__main__': main()
