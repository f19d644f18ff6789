"""Teach a small language model to reason about maths.

The public names below are found in their modules at first use, so that `import nano_reasoner` itself imports nothing heavy.
"""
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:   # what an editor reads; `tools/check.py` compares it with `_home`
    from .config import Config, UserError, load_config
    from .answers import extract, judge
    from .data import MathReasoningDataset
    from .policy import UnifiedPolicyModel, seed_everything
    from .algorithm import Algorithm
    from .checkpoints import find_latest_checkpoint
    from .tracking import Callback
    from .results import EvalResult
    from .evaluate import compare
    from .trainer import UnifiedReasoningTrainer
    from .form import ConfigForm
    from .curves import LivePlot
    from .dashboard import Dashboard, Run
    from .browse import RolloutBrowser
    from .chat import ChatBox

_home = {  # name -> the module that defines it
    'Config': 'config', 'UserError': 'config', 'load_config': 'config',
    'extract': 'answers', 'judge': 'answers',
    'MathReasoningDataset': 'data',
    'UnifiedPolicyModel': 'policy', 'seed_everything': 'policy',
    'Algorithm': 'algorithm',
    'find_latest_checkpoint': 'checkpoints',
    'Callback': 'tracking',
    'EvalResult': 'results', 'compare': 'evaluate',
    'UnifiedReasoningTrainer': 'trainer',
    'ConfigForm': 'form',
    'LivePlot': 'curves',
    'Dashboard': 'dashboard', 'Run': 'dashboard',
    'RolloutBrowser': 'browse',
    'ChatBox': 'chat',
}
__all__ = ['__version__', *_home]


def __getattr__(name):
    if name not in _home: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module
    value = globals()[name] = getattr(import_module(f'.{_home[name]}', __name__), name)
    return value


def __dir__(): return sorted({*globals(), *_home})
