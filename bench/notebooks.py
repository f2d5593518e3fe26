"""Run the notebooks in nbs/lib as tests, and see that none of them tries to leave the machine. So does
tests/test_exercises.py with the chapters, each together with its exercises: once is enough.

Run by `make test`. The data is fetched before, since that may need a network.
"""
import os, subprocess, sys
from pathlib import Path

from bench import PRACTICALDL, ROOT
from bench.offline import attempts_in, watched

def main(arguments) -> int:
    sample = {**os.environ, 'PRACTICALDL_EDITION': 'sample'}
    fetched = subprocess.run([*PRACTICALDL, 'data'], env=sample, cwd=ROOT, stdout=subprocess.DEVNULL)
    if fetched.returncode:
        return fetched.returncode
    log = ROOT/'build'/'network.log'
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    nbdev_test = Path(sys.executable).with_name('nbdev_test')
    # Two at a time with one thread each take less time than one after the other with two.
    chapters = ['--skip_file_re', r'^(\d\d_|[_.])']
    command = [str(nbdev_test), '--n_workers', '2', '--timing', *chapters, *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**watched(log), 'OMP_NUM_THREADS': '1'})
    tried = attempts_in(log)
    if tried:
        print(tried, file=sys.stderr)
    return done.returncode or bool(tried)
