#!/usr/bin/env python
"""Write the package's signatures as .pyi files, for type checkers.

    python tools/stubs.py FOLDER    FOLDER/nano_reasoner/*.pyi and py.typed

A checker reads source without running it, so it sees neither a method that `@patch` gives to a class nor a public name that the package finds at first
use. A stub says both. The wheel contains them; in a clone the source says more. Standard library only: setup.py imports this.
"""
import ast, builtins, copy, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIB = 'nano_reasoner'
KEEP = {'staticmethod', 'classmethod', 'property', 'overload', 'contextmanager', 'contextlib.contextmanager', 'dataclass', 'dataclasses.dataclass'}   # decorators that a checker understands
TENSOR = 'torch.Tensor'
PATH = 'str | os.PathLike[str]'
HINTS = {  # what a parameter without annotation is; a name means the same everywhere in the package, or stands here with its class
    **dict.fromkeys(['mask', 'logp', 'old', 'adv', 'weights', 'clipped'], TENSOR),
    **dict.fromkeys(['ref', 'sampler', 'entropy', 'values', 'values_old', 'returns'], f'{TENSOR} | None'),
    **dict.fromkeys(['dataset', 'eval_dataset'], 'Sequence[Any] | None'), **dict.fromkeys(['progress', 'fresh', 'force', 'lenient'], 'bool'),
    'UnifiedReasoningTrainer.model': 'UnifiedPolicyModel', 'config': 'Config | Mapping[str, Any] | str | None', 'device': 'str | torch.device | None',
    'callbacks': 'Iterable[Any]', 'batch': 'Mapping[str, Any] | Sequence[Any]', 'folder': PATH, 'metrics': 'dict[str, Any]',
    'MathReasoningDataset.dataset_name': 'str | Iterable[Any]', 'MathReasoningDataset.columns': 'Mapping[str, str] | Callable[..., Any] | None', 'MathReasoningDataset.keep': 'Callable[..., Any]'}
TYPING = ['Any', 'Callable', 'ClassVar', 'Iterable', 'Mapping', 'Sequence']


def flat(text): return ast.parse(text, mode='eval').body
class Plain(ast.NodeTransformer):
    "The type that a checker sees: `Annotated[int, ...]` is int, and so is `bounded(int, ...)`"
    def visit_Subscript(self, n):
        self.generic_visit(n)
        return n.slice.elts[0] if ast.unparse(n.value) == 'Annotated' else n
    def visit_Call(self, n): return n.args[0] if n.args and getattr(n.args[0], 'id', '') in ('int', 'float', 'str', 'bool') else ast.Name('Any')


def decorator(d): return ast.unparse(d.func if isinstance(d, ast.Call) else d)


def hinted(name, owner, default):
    "The type of a parameter that has no annotation"
    value = getattr(default, 'value', None)
    if isinstance(value, bool): return flat('bool')
    if default is not None and not isinstance(default, ast.Constant) and ast.unparse(default) != '()': return flat('Any')
    return flat(HINTS.get(f'{owner}.{name}', HINTS.get(name, 'Any') if value is None or name in ('config', 'device') else 'Any'))


def allowing(kind, default):
    "`kind`, or what else it must be for its default: `x: int = None` may be None; a text that stands for something else can be anything"
    if isinstance(default, ast.Tuple) and 'list' in ast.unparse(kind): return flat('Any')
    if not isinstance(default, ast.Constant) or (txt := ast.unparse(kind)) == 'Any': return kind
    if default.value is None: return kind if 'None' in txt else flat(f'{txt} | None')
    return flat('Any') if isinstance(default.value, str) and not any(t in txt for t in ('str', 'Literal', 'PathLike', 'Text')) else kind


def signature(f, owner=''):
    "A function without its body, or a method of `owner`: annotated where it or `HINTS` say how; defaults are `...`"
    f = copy.deepcopy(f)
    a = f.args
    plain = a.posonlyargs + a.args
    default = {**dict(zip((p.arg for p in plain[len(plain) - len(a.defaults):]), a.defaults)), **{p.arg: d for p, d in zip(a.kwonlyargs, a.kw_defaults) if d}}
    for i, p in enumerate([*plain, *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]):
        if p.annotation is None and not (owner and i == 0): p.annotation = hinted(p.arg, owner, default.get(p.arg))
        if p.annotation is not None: p.annotation = allowing(p.annotation, default.get(p.arg))
    a.defaults, a.kw_defaults = [ast.Constant(...) for _ in a.defaults], [d and ast.Constant(...) for d in a.kw_defaults]
    names = [decorator(d) for d in f.decorator_list]
    context = any(n.endswith('contextmanager') for n in names)
    if f.returns is None or context: f.returns = flat('None' if f.name == '__init__' else 'contextlib.AbstractContextManager[Any]' if context else 'Any')
    f.decorator_list = [d for d, n in zip(f.decorator_list, names) if n in KEEP and not context]
    f.body = [ast.Expr(ast.Constant(...))]
    return f


def patched(f):
    "`(class names, method)` of a function that `@patch` makes a method"
    d = next((d for d in f.decorator_list if decorator(d) == 'patch'), None)
    if d is None: return None
    how = {k.arg for k in d.keywords if getattr(k.value, 'value', False)} if isinstance(d, ast.Call) else set()
    first = (f.args.posonlyargs + f.args.args)[0]
    owners = [n.id for n in ast.walk(first.annotation) if isinstance(n, ast.Name)]
    m = copy.deepcopy(f)
    (m.args.posonlyargs + m.args.args)[0].annotation = None
    m = signature(m, owners[0])
    if 'as_prop' in how: m.decorator_list.append(ast.Name('property'))
    if 'cls_method' in how: m.decorator_list.append(ast.Name('classmethod'))
    return owners, m


def attributes(cls):
    "What a class's methods assign to `self`, which no line of its body declares"
    res = {}
    for f in (n for n in cls.body if isinstance(n, ast.FunctionDef)):
        of = {p.arg: p.annotation for p in f.args.args + f.args.kwonlyargs}
        for n in ast.walk(f):
            if isinstance(n, ast.Call) and decorator(n) == 'store_attr': res.update({k: v for k, v in of.items() if k != 'self'})
            for t in n.targets if isinstance(n, ast.Assign) else [n.target] if isinstance(n, ast.AnnAssign) else []:
                pairs = zip(t.elts, n.value.elts if isinstance(n.value, ast.Tuple) else [None]*len(t.elts)) if isinstance(t, ast.Tuple) else [(t, n.value)]
                for t, v in pairs:
                    if isinstance(t, ast.Attribute) and getattr(t.value, 'id', '') == 'self': res.setdefault(t.attr, of.get(v.id) if isinstance(v, ast.Name) else None)
    return res


def variable(n, types):
    "An assignment without its value; what annotations name, a type of its own, stays as it is"
    if isinstance(n, ast.AnnAssign): return [ast.AnnAssign(n.target, allowing(n.annotation, n.value), ast.Constant(...) if n.value is not None else None, n.simple)]
    names = [t.id for target in n.targets for t in getattr(target, 'elts', [target]) if isinstance(t, ast.Name)]
    if names[:1] == ['__all__']: return [n]
    if set(names) & types: return [ast.Assign(targets=n.targets, lineno=0, value=Plain().visit(copy.deepcopy(n.value)))]
    kind = type(n.value.value).__name__ if isinstance(n.value, ast.Constant) and n.value.value is not None else 'Any'
    return [ast.AnnAssign(ast.Name(x), flat(kind), None, 1) for x in names]


def class_stub(cls, methods):
    "A class with its own methods and those patched onto it, and the attributes it sets"
    cls, body = copy.deepcopy(cls), {}
    data = any(decorator(d).endswith('dataclass') for d in cls.decorator_list)   # there an annotated name is a parameter, so others are marked
    def attribute(name, kind): return [ast.AnnAssign(ast.Name(name), flat(f'ClassVar[{ast.unparse(kind)}]') if data else kind, None, 1)]
    for n in cls.body:
        if isinstance(n, ast.FunctionDef): body[n.name] = [*body.get(n.name, []), signature(n, '' if 'staticmethod' in map(decorator, n.decorator_list) else cls.name)]
        elif isinstance(n, ast.ClassDef): body[n.name] = [class_stub(n, [])]
        elif isinstance(n, (ast.Assign, ast.AnnAssign)) and not ast.unparse(n).startswith('model_config'):   # pydantic's own, declared in its base
            for v in variable(n, set()): body[v.target.id] = attribute(v.target.id, v.annotation) if isinstance(n, ast.Assign) else [v]
    for name, kind in attributes(cls).items():
        if name not in body and name not in {m.name for m in methods}: body[name] = attribute(name, kind or flat('Any'))
    for m in methods: body[m.name] = [m]
    cls.decorator_list = [d for d in cls.decorator_list if decorator(d) in KEEP]
    cls.body = [n for v in body.values() for n in v] or [ast.Expr(ast.Constant(...))]
    return cls


class Known(ast.NodeTransformer):
    "Annotations in names that the module has; `Any` for what is made while it runs"
    def __init__(self, names): self.names = {*names, *dir(builtins), *TYPING, 'contextlib', 'os', 'torch'}
    def fix(self, kind):
        if kind is None: return None
        if isinstance(kind, ast.Constant) and isinstance(kind.value, str): kind = flat(kind.value)
        kind = Plain().visit(kind)
        return flat('Any') if any(isinstance(n, ast.Name) and n.id not in self.names for n in ast.walk(kind)) else kind
    def visit_arg(self, n): n.annotation = self.fix(n.annotation); return n
    def visit_AnnAssign(self, n): n.annotation = self.fix(n.annotation); return n
    def visit_FunctionDef(self, n): self.generic_visit(n); n.returns = self.fix(n.returns); return n


def used(body): return {n.id for b in body for n in ast.walk(b) if isinstance(n, ast.Name)}


def module_stub(tree, patches):
    "The stub of a module; `patches` are the methods that any module gives to its classes"
    types = {n.id for f in ast.walk(tree) if isinstance(f, (ast.arg, ast.AnnAssign)) and f.annotation for n in ast.walk(f.annotation) if isinstance(n, ast.Name)}
    imports, body = [], {}
    for n in tree.body:
        if isinstance(n, (ast.Import, ast.ImportFrom)): imports.append(n)
        elif isinstance(n, ast.If) and getattr(n.test, 'id', '') == 'TYPE_CHECKING': imports += n.body
        elif isinstance(n, (ast.Assign, ast.AnnAssign)): body.update({ast.unparse(v.target if isinstance(v, ast.AnnAssign) else v.targets[0]): v for v in variable(n, types)})
        elif isinstance(n, ast.ClassDef): body[n.name] = class_stub(n, patches.get(n.name, []))
        elif isinstance(n, ast.FunctionDef) and not patched(n): body.pop(n.name, None); body[n.name] = signature(n)   # of two with one name the second counts
    for n in imports:                                            # what other modules of the package take from here is offered by `as`
        if isinstance(n, ast.ImportFrom) and n.level: n.names = [ast.alias(a.name, a.asname or a.name) for a in n.names]
    names = {a.asname or a.name.split('.')[0] for n in imports for a in n.names} | body.keys()
    stubs = [Known(names).visit(n) for n in body.values()]
    need = used(stubs)
    imports = [n for n in imports if isinstance(n, ast.ImportFrom) and n.level or {a.asname or a.name.split('.')[0] for a in n.names} & need]
    own = [f'import {m}' for m in ('contextlib', 'os', 'torch') if m in need] + [f'from typing import {", ".join(TYPING)}']
    return '\n'.join([*own, *(ast.unparse(ast.fix_missing_locations(n)) for n in [*imports, *stubs])]) + '\n'


def imported_from(tree, name, classes):
    "The modules in which the class `name` may be defined that a module imports: the one it names, or any if that one only passes it on"
    named = {n.module.split('.')[-1] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module and any(a.name == name for a in n.names)}
    have = [p for p, names in classes.items() if name in names]
    return [p for p in have if p.stem in named] or have


def public(tree):
    "The stub of the package itself: the names that it finds at first use"
    block = next(n for n in tree.body if isinstance(n, ast.If))
    lines = [f'from .{n.module} import {a.name} as {a.name}' for n in block.body for a in n.names]
    names = ['__version__', *(a.name for n in block.body for a in n.names)]
    return '\n'.join([*lines, '__version__: str', f'__all__ = {names!r}']) + '\n'


def write(dest, lib=ROOT/LIB):
    "Write the stubs of the package `lib` beside a copy of it in `dest`; the files written"
    dest, trees, patches = Path(dest), {p: ast.parse(p.read_text(encoding='utf-8')) for p in sorted(Path(lib).rglob('*.py'))}, {}
    classes = {p: {n.name for n in t.body if isinstance(n, ast.ClassDef)} for p, t in trees.items()}
    for p, t in trees.items():
        for owners, method in filter(None, (patched(f) for f in t.body if isinstance(f, ast.FunctionDef))):
            for c in owners:      # a class of this module, or of the only other one that has such a name
                for home in [p] if c in classes[p] else imported_from(t, c, classes): patches.setdefault((home, c), []).append(method)
    files = {p.relative_to(lib).with_suffix('.pyi'): module_stub(t, {c: m for (home, c), m in patches.items() if home == p}) for p, t in trees.items() if p != Path(lib)/'__init__.py' and p.name != '_modidx.py'}
    files |= {Path('__init__.pyi'): public(trees[Path(lib)/'__init__.py']), Path('py.typed'): ''}
    for name, txt in files.items():
        (dest/name).parent.mkdir(parents=True, exist_ok=True)
        (dest/name).write_text(txt, encoding='utf-8')
    return [dest/n for n in files]


if __name__ == '__main__':
    if len(sys.argv) != 2: sys.exit(__doc__)
    print(f'{len(write(Path(sys.argv[1])/LIB))} files')
