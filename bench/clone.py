"""How long a newcomer waits: `python -m bench clone` clones this checkout into a temporary folder, makes the
environment there and runs every chapter, with no cache of packages and none of data. The minutes go to
docs/results.json, where they are of the machine that the other numbers are of.

What is not committed is not in the clone. How fast packages and data come is a matter of the network, and
of the index that pip is set to.
"""
import argparse, os, subprocess, sys, tempfile, time
from pathlib import Path

from bench import ROOT, machine
from bench.results import take_clone

def steps() -> dict:
    "What README says a newcomer types, in two parts: name to commands."
    if os.name!='nt':
        install = ['make', '.venv/.ready', f'PYTHON={sys.executable}']
        return {'installation': [install], 'run': [['make', 'run']]}
    scripts = Path('.venv')/'Scripts'
    install = [str(scripts/'python'), '-m', 'pip', 'install', '-q', '-c', 'constraints.txt', '-e', '.[dev]']
    return {'installation': [[sys.executable, '-m', 'venv', '.venv'], install],
            'run': [[str(scripts/'practicaldl'), 'run']]}

def clean_environment(folder:Path) -> dict:
    "The environment of somebody who has nothing of ours: no settings, no caches."
    ours = ('PRACTICALDL_', 'MAKE', 'MFLAGS', 'PYTHONPATH', 'VIRTUAL_ENV', 'CHAPTERS')
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**env, 'PIP_NO_CACHE_DIR': '1', 'PRACTICALDL_EDITION': 'sample',
            'PRACTICALDL_CACHE': str(folder/'cache')}

def minutes_of(
    repo:Path  # a git repository
) -> dict:     # minutes for the installation, with the clone, and for the run
    "Clone a repository and do there what a newcomer does. Ends the program where a step fails."
    with tempfile.TemporaryDirectory(prefix='clone-', ignore_cleanup_errors=True) as d:
        env, found, began = clean_environment(Path(d)), {}, time.monotonic()
        subprocess.run(['git', 'clone', '--quiet', str(repo), 'course'], cwd=d, env=env, check=True)
        for part, commands in steps().items():
            for words in commands:
                done = subprocess.run(words, cwd=Path(d)/'course', env=env)
                if done.returncode:
                    sys.exit(f"Nothing was written: {' '.join(words)} ended with {done.returncode}.")
            found[part], began = round((time.monotonic()-began)/60, 1), time.monotonic()
        return found

def main(words) -> int:
    p = argparse.ArgumentParser('bench clone', description='Measure the time from a clone to the table.')
    p.parse_args(words)
    found = minutes_of(ROOT)
    print(', '.join(f'{part} {minutes} minutes' for part, minutes in found.items()), flush=True)
    print(take_clone(found, machine()))
    return 0
