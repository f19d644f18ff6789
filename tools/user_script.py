"What a user's program says to the package, for the type checker (`tools/typecheck.py`); a line marked `type: ignore` is a mistake that it must find."
from pathlib import Path
from typing import Any, assert_type

import nano_reasoner
from torch.utils.data import DataLoader
from nano_reasoner import (Algorithm, Callback, Config, EvalResult, MathReasoningDataset, UnifiedPolicyModel, UnifiedReasoningTrainer, UserError, compare,
                           extract, find_latest_checkpoint, judge, load_config, seed_everything)


class Print(Callback):
    def after_step(self, trainer: Any, metrics: dict[str, Any]) -> None: print(metrics['reward'])


def brief(prompt: str, completion: str, row: dict[str, str]) -> float: return 0.1 if len(completion) < 400 else 0.0


def train() -> UnifiedReasoningTrainer:
    seed_everything(42)
    cfg = assert_type(load_config('configs/base.yaml', ['training.group_size=4'], preset='t4'), Config)
    load_config({'algo': 'DR.GRPO', 'group_size': 8})
    assert_type(cfg.training.group_size, int)
    assert_type(cfg.model.name, str)
    model = UnifiedPolicyModel('Qwen/Qwen2.5-Math-1.5B-Instruct', algo='DR.GRPO', device='cpu')
    data = MathReasoningDataset(tokenizer=model.tokenizer, split='train', max_samples=10000, mode='rl', dataset_name='openai/gsm8k', columns={'question': 'problem'})
    assert_type(len(data), int)
    trainer = UnifiedReasoningTrainer(model, {'algo': 'DR.GRPO', 'group_size': 8, 'learning_rate': 5e-6}, device='cuda', dataset=data, callbacks=[Print()], reward=[brief])
    for batch in DataLoader(data, batch_size=2):                      # type: ignore[arg-type]
        print(trainer.train_step(batch)['loss'])
    trainer.fit(fresh=True)
    assert_type(trainer.extract_answer(r'\boxed{42}'), str | None)
    assert_type(find_latest_checkpoint(trainer.run), tuple[Path | None, int])
    model.save('my-model')
    return trainer


def judged(a: EvalResult, b: EvalResult) -> None:
    print(compare(a, b, lenient=True))
    assert_type(extract('so it is 42'), str | None)
    print(judge(r'\boxed{42}', '42').correct, nano_reasoner.__version__)


def mistakes(trainer: UnifiedReasoningTrainer, model: UnifiedPolicyModel) -> None:
    trainer.fitt()                                                    # type: ignore[attr-defined]
    trainer.fit(fresh='yes')                                          # type: ignore[arg-type]
    trainer.extract_answer(42)                                        # type: ignore[arg-type]
    UnifiedReasoningTrainer('a model', {})                            # type: ignore[arg-type]
    UnifiedPolicyModel()                                              # type: ignore[call-arg]
    MathReasoningDataset(max_sample=3)                                # type: ignore[call-arg]
    load_config(overrides=3)                                          # type: ignore[arg-type]
    seed_everything('42')                                             # type: ignore[arg-type]
    judge('42')                                                       # type: ignore[call-arg]
    model.logprob([])                                                 # type: ignore[operator]
    raise UserError()                                                 # type: ignore[call-arg]


def composed(algo: Algorithm) -> Algorithm: return algo.but(surrogate='clip')
