#!/usr/bin/env python
"""Kill whole training runs, go on with them, and compare with a run that was left in peace.

    python tools/kill_runs.py                          ten runs for each of SIGKILL, SIGTERM and SIGINT
    python tools/kill_runs.py 1 --steps 12 --signals KILL

Each run is killed a few times at random moments after its first step, then it is let finish. Exit code 1 if weights, optimiser, counters, metrics or completions differ from those of the run in peace in a single bit, or, after a signal that
asks, if the exit code is not 143 or 130 or a step that was reported is not saved.
"""
import argparse, os, random, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path

from nano_reasoner.resume import traces


def worker(out, steps):
    "One process that trains: GRPO with two updates on each rollout, evaluations and a checkpoint every four steps"
    from nano_reasoner.config import load_config
    from nano_reasoner.filters import training_data
    from nano_reasoner.policy import UnifiedPolicyModel, seed_everything
    from nano_reasoner.tracking import Callback
    from nano_reasoner.trainer import UnifiedReasoningTrainer
    class Tell(Callback):
        def after_step(self, trainer, metrics): print(trainer.step, flush=True)
    cfg = load_config(dict(preflight='off', model=dict(name='tiny-arith'), data=dict(dataset_name='arithmetic', eval_size=4), paths=dict(output_dir=out), eval=dict(max_new_tokens=4),
                           training=dict(algo='GRPO', steps=steps, batch_size=4, group_size=4, accumulate=1, max_samples=50, max_new_tokens=16, ppo_epochs=2, learning_rate=1e-3, warmup=3, schedule='cosine', eval_steps=5, save_steps=4)))
    seed_everything(cfg.seed)
    policy = UnifiedPolicyModel('tiny-arith', 'GRPO', cfg.model, device='cpu')
    data, held = training_data(cfg, policy.tokenizer, 'rl', 50)
    UnifiedReasoningTrainer(policy, cfg, dataset=data, eval_dataset=held, callbacks=[Tell()], progress=False, reward=lambda prompt, completion, row: float(completion[:1] in '13579')).fit()


def start(out, steps):
    return subprocess.Popen([sys.executable, '-W', 'ignore', __file__, '--worker', str(out), '--steps', str(steps)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})


def saved_step(run): return int((run/'latest').read_text().strip().removeprefix('step_')) if (run/'latest').exists() else 0


def one(steps, sig, most, peace, rng):
    "A run with kills: (number of kills, what was wrong)"
    out, wrong, kills = Path(tempfile.mkdtemp()), [], 0
    try:
        for attempt in range(most + 1):
            p = start(out, steps)
            if attempt < most:
                for _ in range(rng.randrange(1, max(steps//3, 2))):
                    if not p.stdout.readline(): break
                time.sleep(rng.random()*.2)
                p.send_signal(sig)
            rest, err = p.communicate(timeout=600)
            if p.returncode == 0: break
            kills += 1
            if sig == signal.SIGKILL: continue
            if p.returncode not in ({signal.SIGTERM: (143,), signal.SIGINT: (130, -2)}[sig]): wrong.append(f'exit code {p.returncode}: {err[-300:]}')
            done = len((out/'grpo'/'metrics.jsonl').read_text().splitlines()) and max(int(l.split('"step": ')[1].split(',')[0]) for l in (out/'grpo'/'metrics.jsonl').read_text().splitlines())
            if saved_step(out/'grpo') < done: wrong.append(f'step {done} was made, {saved_step(out/"grpo")} is saved')
        got = traces(out/'grpo')
        return kills, wrong + [f'{k} differs' for k in peace if got.get(k) != peace[k]]
    finally: shutil.rmtree(out)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('n', nargs='?', type=int, default=10)
    ap.add_argument('--steps', type=int, default=30)
    ap.add_argument('--signals', nargs='+', choices=['KILL', 'TERM', 'INT'], default=['KILL', 'TERM', 'INT'])
    ap.add_argument('--kills', type=int, default=3, help='kills in a run at most')
    ap.add_argument('--seed', type=int, default=0)
    ap.add_argument('--worker', help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.worker: return worker(a.worker, a.steps)
    out, rng, bad = Path(tempfile.mkdtemp()), random.Random(a.seed), 0
    p = start(out, a.steps)
    if p.wait(): sys.exit(p.stderr.read())
    peace = traces(out/'grpo')
    shutil.rmtree(out)
    for name in a.signals:
        found = [one(a.steps, getattr(signal, f'SIG{name}'), a.kills, peace, rng) for _ in range(a.n)]
        equal = sum(not wrong for _, wrong in found)
        print(f'SIG{name}: {sum(k for k, _ in found)} kills in {a.n} runs, {equal} of {a.n} equal to the run in peace', *[w for _, ws in found for w in ws], sep='\n  ')
        bad += a.n - equal
    sys.exit(bool(bad))


if __name__ == '__main__': main()
