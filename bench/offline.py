"""Run chapters without a network: `make offline`. Linux only.

`unshare` gives the run a network of its own, in which there is nothing but the loopback device, over which kernels talk. So the kernel of the system lets
nothing out, compiled libraries included. On top of that, tests/watched writes down each attempt of Python to leave the machine; the run fails where one
was made, even if the chapter did without an answer. Data has to be in the cache: `make data`.
"""
import argparse, os, shutil, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = 'ip link set lo up && exec "$@"'
# Tries to leave the machine, towards an address that belongs to nobody (RFC 5737); fails unless there is no way out.
LEAVE = 'import errno, socket\ntry: socket.create_connection(("192.0.2.1", 80), timeout=2)\nexcept OSError as e: assert e.errno==errno.ENETUNREACH, e\nelse: raise SystemExit(1)'

class NoNamespace(Exception):
    "A network of its own cannot be had here; the message says why."

def alone() -> list:
    "The words before a command that runs it without a network. Raises `NoNamespace` where that cannot be had."
    if sys.platform!='linux': raise NoNamespace('This needs Linux, whose kernel can give a process a network of its own.')
    if lacking := [o for o in ('unshare', 'ip') if not shutil.which(o)]:
        raise NoNamespace(f"{' and '.join(lacking)} cannot be found; on Debian and Ubuntu: apt-get install util-linux iproute2.")
    for option in ('-n', '-rn'):   # as root; as anybody who may become root in a namespace
        words = ['unshare', option, 'sh', '-c', LOOPBACK, 'sh']
        done = subprocess.run([*words, 'true'], capture_output=True, text=True)
        if done.returncode==0: return words
    raise NoNamespace(f"This system gives a process no network of its own: {' '.join(done.stderr.split())}")

def watched(log) -> dict:
    "The environment of a run whose attempts to leave the machine are written to a file."
    kept = {k: v for k, v in os.environ.items() if k.lower() not in ('http_proxy', 'https_proxy', 'all_proxy')}   # a proxy on this machine would look like no attempt
    paths = [str(ROOT/'tests'/'watched'), str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    return {**kept, 'PYTHONPATH': os.pathsep.join(paths), 'PRACTICALDL_NETWORK_LOG': str(log), 'PRACTICALDL_EDITION': 'sample'}

def blind_spot(words, env, log) -> str:
    "What of the two is not in place: the kernel that refuses, the watch that writes; empty where both are."
    def stays(env): return subprocess.run([*words, sys.executable, '-c', LEAVE], env=env, capture_output=True).returncode==0
    if not stays({k: v for k, v in env.items() if k!='PRACTICALDL_NETWORK_LOG'}): return 'the machine can be left'
    stays(env)
    seen = log.exists()
    log.unlink(missing_ok=True)
    return '' if seen else 'an attempt to leave is not written down'

def main() -> int:
    p = argparse.ArgumentParser(description='Run chapters without a network, and write down each attempt to leave the machine.')
    p.add_argument('chapters', nargs='*', help='all of them where none is named')
    p.add_argument('--from', dest='folder', default=str(ROOT/'nbs'), help='where the notebooks are')
    p.add_argument('--out', type=Path, default=ROOT/'build'/'offline', help='folder for the results and network.log')
    args = p.parse_args()
    try: words = alone()
    except NoNamespace as e: sys.exit(str(e))
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out.resolve()/'network.log'
    log.unlink(missing_ok=True)
    env = watched(log)
    if why := blind_spot(words, env, log): sys.exit(f'Nothing was run: {why}.')
    command = [sys.executable, '-c', 'import sys; from practicaldl.cli import main; sys.exit(main())', 'run', '--from', args.folder, '--out', str(args.out), *args.chapters]
    done = subprocess.run([*words, *command], env=env)
    attempts = log.read_text(encoding='utf-8').splitlines() if log.exists() else []
    if attempts: print(f"FAILED {len(attempts)} attempts to leave the machine, the first: {attempts[0].partition('  from ')[0]}. All of them, and which lines of code asked: {log}", file=sys.stderr)
    elif not done.returncode: print('No network, and no attempt to leave the machine.')
    return 1 if attempts or done.returncode else 0

if __name__=='__main__': sys.exit(main())
