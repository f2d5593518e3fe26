"""Run every chapter with other versions than the lock: `python bench/versions.py latest` or `oldest`.

The wheel of this checkout is installed into a new environment in build/, beside the newest versions that its requirements allow, or the oldest; the chapters
are run from it in an empty folder. Nothing of nbdev is there, and nothing of this checkout but the wheel and the notebooks.

`latest` keeps torch and torchvision as they are in the lock, because a newer torch comes as gigabytes of CUDA packages on Linux; name others with --with.
"""
import argparse, os, re, shutil, subprocess, sys, venv
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ('torch', 'torchvision', 'fastai', 'fastcore', 'transformers', 'datasets', 'timm', 'accelerate', 'numpy', 'pandas', 'plum-dispatch')

def run(*words, **options):
    "Run a command; stop with its exit status where it fails."
    done = subprocess.run([str(o) for o in words], **options)
    if done.returncode: sys.exit(f'Stopped: {Path(words[0]).name} {" ".join(map(str, words[1:4]))} … ended with {done.returncode}.')

def install(which, wheel, python, pinned):
    "Put the wheel and what it requires into the environment of `python`."
    if which=='latest':
        run(python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', wheel, *pinned)
        return
    run(python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', 'uv')   # pip itself cannot choose the oldest versions
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    # The requirements are named one by one: those of a wheel are not direct ones for every version of uv, which then takes the newest.
    run(python, '-m', 'uv', 'pip', 'install', '-q', '--python', python, '--resolution', 'lowest-direct', '--only-binary', ':all:', *config['DEFAULT']['requirements'].split(), *pinned)
    run(python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--no-deps', wheel)

def main():
    p = argparse.ArgumentParser(description='Run every chapter with the newest or the oldest versions that the requirements allow.')
    p.add_argument('which', choices=('latest', 'oldest'))
    p.add_argument('--with', dest='pinned', nargs='*', metavar='NAME==VERSION', help='versions to fix; for latest the default is torch and torchvision of the lock')
    p.add_argument('--chapters', nargs='*', default=[], help='all of them where none is named')
    args = p.parse_args()
    if args.which=='oldest' and sys.version_info[:2]!=(3, 10): print(f'Note: the oldest versions were made for Python 3.10; this is {sys.version_info.major}.{sys.version_info.minor}, and some may have no wheel for it.')
    pinned = args.pinned
    if pinned is None:
        lock = (ROOT/'constraints.txt').read_text(encoding='utf-8')
        pinned = re.findall(r'^(torch(?:vision)?==[^\s;]+)', lock, re.M) if args.which=='latest' else []
    place = ROOT/'build'/args.which
    shutil.rmtree(place, ignore_errors=True)
    (place/'chapters').mkdir(parents=True)
    run(sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', place, ROOT, stdout=subprocess.DEVNULL)
    wheel = next(place.glob('*.whl'))
    venv.create(place/'env', with_pip=True)
    python = place/'env'/('Scripts/python.exe' if os.name=='nt' else 'bin/python')
    install(args.which, wheel, python, pinned)
    code = f'import importlib.metadata as m; print("  ".join(f"{{n}} {{m.version(n)}}" for n in {SHOWN} if any(m.distributions(name=n))))'
    run(python, '-c', code)
    for path in sorted((ROOT/'nbs').glob('[0-9][0-9]_*.ipynb')): shutil.copy(path, place/'chapters')
    env = {k: v for k, v in os.environ.items() if k!='PYTHONPATH'} | {'PRACTICALDL_EDITION': 'sample'}
    run(python, '-c', 'import sys; from practicaldl.cli import main; sys.exit(main())', 'run', '--from', '.', '--out', place/'results', *args.chapters, cwd=place/'chapters', env=env)

if __name__=='__main__': main()
