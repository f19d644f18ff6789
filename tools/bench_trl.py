#!/usr/bin/env python
"""TRL's side of the speed comparison: the steps of its GRPOTrainer on the same terms as `nano-reasoner bench`.

    python bench_trl.py --model DIR --data train.jsonl [--prompts 2 --group 8 --new-tokens 64 --steps 2 --warmup 1
                        --dtype bfloat16 --lora 16 --natural --checkpointing --threads 2]

Runs in an environment that has trl, peft, datasets and torch; nano-reasoner is not needed there. `--data` has one JSON object a line with
`question` and `answer`, as GSM8K does. Completions have exactly --new-tokens tokens, so that both sides do the same work; with --natural
they may end before. The last line of the output is the result as JSON: seconds and bytes.
"""
import argparse, json, math, os, re, tempfile, time
from pathlib import Path


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--model', required=True)
    ap.add_argument('--data', required=True)
    for name, default in dict(prompts=2, group=8, new_tokens=64, steps=2, warmup=1, lora=16, threads=0).items():
        ap.add_argument('--' + name.replace('_', '-'), type=int, default=default)
    ap.add_argument('--dtype', default='bfloat16')
    ap.add_argument('--natural', action='store_true')
    ap.add_argument('--checkpointing', action='store_true')
    return ap.parse_args()


def memory():
    "Bytes of resident memory: now, and the most so far; None where the system does not tell"
    status = Path('/proc/self/status')
    found = dict(re.findall(r'^(VmRSS|VmHWM):\s+(\d+) kB', status.read_text(), re.M)) if status.exists() else {}
    return [int(found[k])*1024 if found else None for k in ('VmRSS', 'VmHWM')]


def reward(completions, gold, **_):
    "Right or wrong, and a little for the length, so that hardly any is the mean of its group"
    texts = [c if isinstance(c, str) else c[0]['content'] for c in completions]
    return [float(g in t) + math.sqrt(len(t) % 97)/100 for t, g in zip(texts, gold)]


def load(a):
    "The model, its tokenizer, and the prompts as TRL wants them"
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    model, tok = AutoModelForCausalLM.from_pretrained(a.model, dtype=getattr(torch, a.dtype)), AutoTokenizer.from_pretrained(a.model)
    with open(a.data, encoding='utf-8') as f: rows = [json.loads(line) for _, line in zip(range(a.prompts*(a.steps + a.warmup)), f)]
    prompt = (lambda q: [dict(role='user', content=q)]) if tok.chat_template else (lambda q: q)
    return model, tok, Dataset.from_list([dict(prompt=prompt(r['question']), gold=r['answer'].rpartition('####')[2].strip()) for r in rows])


def build(a, folder):
    "The trainer, with prompts in the order of the file"
    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer
    model, tok, data = load(a)
    args = GRPOConfig(output_dir=folder, per_device_train_batch_size=a.prompts*a.group, num_generations=a.group, max_completion_length=a.new_tokens, max_steps=a.steps + a.warmup,
                      learning_rate=1e-5, lr_scheduler_type='constant', logging_steps=1, report_to=[], use_cpu=True, bf16=False, save_strategy='no', beta=0., num_iterations=1, temperature=1.,
                      gradient_checkpointing=a.checkpointing, disable_tqdm=True, shuffle_dataset=False, generation_kwargs={} if a.natural else dict(min_new_tokens=a.new_tokens))
    adapter = LoraConfig(r=a.lora, lora_alpha=2*a.lora, target_modules='all-linear', task_type='CAUSAL_LM') if a.lora else None
    return GRPOTrainer(model=model, reward_funcs=reward, args=args, train_dataset=data, processing_class=tok, peft_config=adapter)


def timed(trainer):
    "Seconds of each step, and those of them spent in `generate`"
    from transformers import TrainerCallback
    steps, sampling, generate = [], [], trainer.model.generate

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__): self.start = time.perf_counter(); sampling.append(0.)
        def on_step_end(self, *_, **__): steps.append(time.perf_counter() - self.start)

    def timed_generate(*args, **kw):
        start = time.perf_counter()
        try: return generate(*args, **kw)
        finally: sampling[-1] += time.perf_counter() - start

    trainer.model.generate = timed_generate
    trainer.add_callback(Clock())
    trainer.train()
    return steps, sampling


def main():
    a = arguments()
    os.environ.update(WANDB_MODE='disabled', HF_HUB_DISABLE_TELEMETRY='1', TRL_DISABLE_TELEMETRY='1')
    import peft, torch, transformers, trl
    if a.threads: torch.set_num_threads(a.threads)
    with tempfile.TemporaryDirectory() as folder:
        trainer = build(a, folder)
        params = list(trainer.model.parameters())
        for p in params: p.detach().max()                            # weights are mapped from the file and enter memory when they are read
        loaded, _ = memory()
        steps, sampling = timed(trainer)
    logs = [h for h in trainer.state.log_history if 'num_tokens' in h]
    tokens = [float(h['completions/mean_length'])*a.prompts*a.group for h in logs]
    every = [float(h['num_tokens']) - float(g['num_tokens']) for h, g in zip(logs, [dict(num_tokens=0), *logs])]
    mean, trained = lambda xs: sum(xs[a.warmup:])/a.steps, [p for p in params if p.requires_grad]
    print(json.dumps(dict(side='TRL', versions=dict(trl=trl.__version__, torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__),
                          threads=torch.get_num_threads(), parameters=sum(p.numel() for p in params if not (a.lora and p.requires_grad)), trained=sum(p.numel() for p in trained),
                          trained_dtype=str(trained[0].dtype).removeprefix('torch.'), prompt_tokens=[round(n - c) for n, c in zip(every, tokens)], completion_tokens=[round(c) for c in tokens],
                          seconds=steps, step_s=mean(steps), phases=dict(generate=mean(sampling), update=mean(steps) - mean(sampling)), loaded=loaded, peak=memory()[1],
                          terms={**vars(a), 'model': Path(a.model).name, 'data': Path(a.data).name})))


if __name__ == '__main__': main()
