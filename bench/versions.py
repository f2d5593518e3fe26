"""Run every chapter with other versions than the lock, and keep the day for the site's page of results.

The wheel of this checkout is installed into a new environment in build/, beside the newest versions that its
requirements allow, or the oldest; the chapters are run from it in an empty folder. Nothing of nbdev is there,
and nothing of this checkout but the wheel and the notebooks.

The oldest versions have wheels for Python 3.10, so `oldest` wants that one; --python names it where this
program itself runs on another.

`latest` keeps torch and torchvision as they are in the lock, because a newer torch comes as gigabytes of CUDA
packages on Linux; name others with --with.
"""
import argparse, os, re, shutil, subprocess, sys
from configparser import ConfigParser
from pathlib import Path

from bench import PRACTICALDL, ROOT
from bench.results import PACKAGES, take_other
from practicaldl.cli import find_chapters

def run(*words, **options):
    "Run a command; stop where it fails."
    words = [str(o) for o in words]
    done = subprocess.run(words, **options)
    if done.returncode:
        sys.exit(f"Stopped: {Path(words[0]).name} {' '.join(words[1:4])} … ended with {done.returncode}.")

def install(which:str, wheel:Path, python:Path, pinned:list):
    "Put the wheel and what it requires into the environment of `python`."
    pip = (python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check')
    if which=='latest':
        run(*pip, wheel, *pinned)
        return
    config = ConfigParser(delimiters=['='])
    config.read(ROOT/'settings.ini', encoding='utf-8')
    run(*pip, 'uv')   # pip itself cannot choose the oldest versions
    # The requirements are named one by one: uv may take those of a wheel for indirect, and then the newest.
    run(python, '-m', 'uv', 'pip', 'install', '-q', '--python', python, '--resolution', 'lowest-direct',
        '--only-binary', ':all:', *config['DEFAULT']['requirements'].split(), *pinned)
    run(*pip, '--no-deps', wheel)

def torch_of_the_lock() -> list:
    lock = (ROOT/'constraints.txt').read_text(encoding='utf-8')
    return re.findall(r'(?m)^(torch(?:vision)?==[^\s;]+)', lock)

def main(words) -> int:
    p = argparse.ArgumentParser('bench versions', description='Run every chapter with other versions.')
    p.add_argument('which', choices=('latest', 'oldest'))
    p.add_argument('--with', dest='pinned', nargs='*', metavar='NAME==VERSION', help='versions to fix')
    p.add_argument('--python', default=sys.executable, help='of the new environment (default: this one)')
    p.add_argument('--chapters', nargs='*', default=[], help='all of them where none is named')
    args = p.parse_args(words)
    pinned = args.pinned
    if pinned is None:
        pinned = torch_of_the_lock() if args.which=='latest' else []
    os.environ.pop('PYTHONPATH', None)   # else pip takes this checkout for an installed package
    os.environ['PRACTICALDL_EDITION'] = 'sample'
    place = ROOT/'build'/args.which
    shutil.rmtree(place, ignore_errors=True)
    (place/'chapters').mkdir(parents=True)
    run(sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', place, ROOT,
        stdout=subprocess.DEVNULL)
    run(args.python, '-m', 'venv', place/'env')
    python = place/'env'/('Scripts/python.exe' if os.name=='nt' else 'bin/python')
    said = subprocess.check_output([python, '--version'], text=True).split()[1]   # Python 3.10.13
    if args.which=='oldest' and not said.startswith('3.10.'):
        print(f'Note: the oldest versions are for Python 3.10; some may have no wheel for {said}.')
    install(args.which, next(place.glob('*.whl')), python, pinned)
    listed = subprocess.check_output([python, '-m', 'pip', 'list', '--format=freeze'], text=True)
    print(listed)
    # An older package may call itself Pillow.
    there = dict(line.lower().split('==') for line in listed.splitlines() if '==' in line)
    for path in find_chapters(ROOT/'nbs'):
        shutil.copy(path, place/'chapters')
    run(python, *PRACTICALDL[1:], 'run', '--from', '.', '--out', place/'results', *args.chapters,
        cwd=place/'chapters')
    found = {'Python': said, **{name: there[name] for name in PACKAGES}}
    take_other('newest' if args.which=='latest' else 'oldest', found,
               [path.stem for path in find_chapters(place/'chapters', args.chapters)])
    return 0
