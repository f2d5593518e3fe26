"""Run every notebook as a test, on the sample edition, and see that none of them tries to leave the machine. Run by `make test`.

The data is fetched before, since that may need a network. What notices attempts is tests/watched, which also refuses them.
"""
import os, shutil, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'bench'))
from offline import watched

def script(name): return shutil.which(name, path=str(Path(sys.executable).parent)) or sys.exit(f'{name} is not installed beside {sys.executable}.')

def main(arguments) -> int:
    fetched = subprocess.run([script('practicaldl'), 'data'], env={**os.environ, 'PRACTICALDL_EDITION': 'sample'}, stdout=subprocess.DEVNULL)
    if fetched.returncode: return fetched.returncode
    log = ROOT/'build'/'network.log'
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    done = subprocess.run([script('nbdev_test'), '--n_workers', '1', '--timing', *arguments], cwd=ROOT, env=watched(log))
    attempts = log.read_text(encoding='utf-8').splitlines() if log.exists() else []
    if attempts: print(f'FAILED {len(attempts)} attempts to leave the machine, the first: {attempts[0].partition("  from ")[0]}. All of them, and which lines of code asked: {log}', file=sys.stderr)
    return done.returncode or bool(attempts)

if __name__=='__main__': sys.exit(main(sys.argv[1:]))
