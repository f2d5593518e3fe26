"""How long a newcomer waits: `make clone` clones this checkout into a temporary folder, makes the environment there and runs every chapter, with no cache of
packages and none of data. The minutes go to docs/results.json, where they are of the machine that the other numbers are of.

What is not committed is not in the clone. How fast packages and data come is a matter of the network, and of the index that pip is set to.
"""
import os, subprocess, sys, tempfile, time
from pathlib import Path

from bench import ROOT, machine
from measured import take_clone

def steps() -> dict:
    "What README says a newcomer types, in two parts: name to commands."
    if os.name!='nt': return {'installation': [['make', '.venv/.ready', f'PYTHON={sys.executable}']], 'run': [['make', 'run']]}
    scripts = Path('.venv')/'Scripts'
    return {'installation': [[sys.executable, '-m', 'venv', '.venv'], [str(scripts/'python'), '-m', 'pip', 'install', '-q', '-c', 'constraints.txt', '-e', '.[dev]']],
            'run': [[str(scripts/'practicaldl'), 'run']]}

def minutes_of(
    repo:Path  # a git repository
) -> dict:     # minutes for the installation, with the clone, and for the run
    "Clone a repository and do there what a newcomer does. Ends the program where a step fails."
    with tempfile.TemporaryDirectory(prefix='clone-', ignore_cleanup_errors=True) as d:
        env = {k: v for k, v in os.environ.items() if not k.startswith(('PRACTICALDL_', 'MAKE', 'MFLAGS')) and k not in ('PYTHONPATH', 'VIRTUAL_ENV', 'CHAPTERS')}
        env |= {'PRACTICALDL_CACHE': str(Path(d)/'cache'), 'PRACTICALDL_EDITION': 'sample', 'PIP_NO_CACHE_DIR': '1'}
        found, began = {}, time.monotonic()
        def do(words, cwd):
            done = subprocess.run(words, cwd=cwd, env=env)
            if done.returncode: sys.exit(f"Nothing was written: {' '.join(words)} ended with {done.returncode}.")
        do(['git', 'clone', '--quiet', str(repo), 'course'], d)
        for part, commands in steps().items():
            for words in commands: do(words, Path(d)/'course')
            found[part], began = round((time.monotonic()-began)/60, 1), time.monotonic()
        return found

if __name__=='__main__':
    found = minutes_of(ROOT)
    print(', '.join(f'{part} {minutes} minutes' for part, minutes in found.items()), flush=True)
    print(take_clone(found, machine()))
