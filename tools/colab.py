#!/usr/bin/env python
"""Run nbs/tutorials/colab.ipynb in its short form with the packages that Colab preinstalls, in an environment of their own.

    python tools/colab.py          make .bench/colab if it is not there, run the notebook in its kernel, close with `N passed, N failed`
    python tools/colab.py --env    only make the environment, and print its Python

The versions are those of Colab's GPU runtime of 2026-08-19. Two things differ: Python is the one that runs this file, where Colab has 3.13, and PyTorch is
the one this project is tested with (TORCH=torch==2.11.0 for another one), since Colab's build needs a GPU.
"""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENV = ROOT/'.bench'/'colab'
PYTHON = ENV/'bin'/'python'
PINS = '''transformers==5.15.0 peft==0.20.0 accelerate==1.14.0 datasets==4.0.0 tokenizers==0.22.2 safetensors==0.8.0 huggingface_hub==1.27.0 ipywidgets==7.7.1 widgetsnbextension==3.6.10
ipykernel==6.17.1 ipython==7.34.0 traitlets==5.7.1 notebook==6.5.7 jupyter_client==7.4.9 tornado==6.5.7 pyzmq==26.2.1 matplotlib==3.10.0 numpy==2.1.3 pandas==2.2.3 fastcore==2.2.12 wandb==0.28.1 sympy==1.14.0 setuptools<80'''.split()


def environment():
    "Make the environment; a second call changes nothing."
    done = ENV/'made'
    wanted = '\n'.join([os.environ.get('TORCH', 'torch==2.13.0'), *PINS, (ROOT/'settings.ini').read_text(encoding='utf-8')])
    if done.exists() and done.read_text(encoding='utf-8') == wanted: return
    pip = lambda *a: subprocess.run([PYTHON, '-m', 'pip', 'install', '-q', *a], check=True)
    if not PYTHON.exists(): subprocess.run([sys.executable, '-m', 'venv', ENV], check=True)
    pip(wanted.split('\n')[0], *PINS)
    pip('-e', str(ROOT), *PINS)              # what the project needs besides, as pip does it in Colab: nothing that is there may be changed
    done.write_text(wanted, encoding='utf-8')


def run(notebook, timeout=900):
    "Execute a notebook in the environment's kernel; an error in a cell is an exception."
    import nbformat
    from nbclient import NotebookClient
    with tempfile.TemporaryDirectory() as tmp:
        spec = Path(tmp)/'kernels'/'colab'
        spec.mkdir(parents=True)
        argv = [str(PYTHON), '-m', 'ipykernel_launcher', '-f', '{connection_file}']
        env = dict(NANO_REASONER_QUICK='1', OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1', WANDB_MODE='offline', MPLBACKEND='agg', PYTHONPATH='')
        (spec/'kernel.json').write_text(json.dumps(dict(argv=argv, env=env, display_name='colab', language='python')))
        os.environ['JUPYTER_PATH'] = tmp
        nb = nbformat.read(notebook, 4)
        NotebookClient(nb, timeout=timeout, kernel_name='colab', resources=dict(metadata=dict(path=tmp))).execute()
    return nb


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--env', action='store_true', help='only make the environment, and print its Python')
    a = ap.parse_args()
    environment()
    if a.env: return print(PYTHON)
    start, failed = time.time(), 0
    try: run(ROOT/'nbs'/'tutorials'/'colab.ipynb')
    except Exception as e: print(e); failed = 1
    print(f'nbs/tutorials/colab.ipynb with the packages of Colab: {time.time() - start:.0f} s\n{1 - failed} passed, {failed} failed')
    return failed


if __name__ == '__main__': sys.exit(main())
