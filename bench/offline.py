"""Run chapters without a network: `python -m bench offline`. Linux only.

`unshare` gives the run a network of its own, in which there is nothing but the loopback device, over which
kernels talk. So the kernel of the system lets nothing out, compiled libraries included. On top of that,
tests/watched writes down each attempt of Python to leave the machine; the run fails where one was made, even
if the chapter did without an answer. Data has to be in the cache: `make data`.
"""
import argparse, os, shutil, subprocess, sys
from pathlib import Path

from bench import PRACTICALDL, ROOT
from bench.results import take_check
from practicaldl.cli import find_chapters

LOOPBACK = 'ip link set lo up && exec "$@"'
# Fails unless there is no way out. The address belongs to nobody (RFC 5737).
LEAVE = '''import errno, socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
except OSError as e:
    assert e.errno==errno.ENETUNREACH, e
else:
    raise SystemExit(1)
'''

class NoNamespace(Exception):
    "A network of its own cannot be had here; the message says why."

def alone() -> list:
    "The words before a command that runs it without a network. Raises `NoNamespace`."
    if sys.platform!='linux':
        raise NoNamespace('This needs Linux, whose kernel can give a process a network of its own.')
    lacking = [o for o in ('unshare', 'ip') if not shutil.which(o)]
    if lacking:
        raise NoNamespace(f"{' and '.join(lacking)} cannot be found: apt-get install util-linux iproute2.")
    for option in ('-n', '-rn'):   # as root; as anybody who may become root in a namespace
        words = ['unshare', option, 'sh', '-c', LOOPBACK, 'sh']
        done = subprocess.run([*words, 'true'], capture_output=True, text=True)
        if done.returncode==0:
            return words
    raise NoNamespace(f"This system gives a process no network of its own: {' '.join(done.stderr.split())}")

def watched(log:Path) -> dict:
    "The environment of a run whose attempts to leave the machine are written to a file."
    proxies = ('http_proxy', 'https_proxy', 'all_proxy')   # one on this machine would look like no attempt
    kept = {k: v for k, v in os.environ.items() if k.lower() not in proxies}
    paths = [str(ROOT/'tests'/'watched'), str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    return {**kept, 'PYTHONPATH': os.pathsep.join(paths), 'PRACTICALDL_NETWORK_LOG': str(log),
            'PRACTICALDL_EDITION': 'sample'}

def attempts_in(log:Path) -> str:
    "What a run tried, in one line; empty where it stayed on the machine."
    lines = log.read_text(encoding='utf-8').splitlines() if log.exists() else []
    if not lines:
        return ''
    first = lines[0].partition('  from ')[0]
    return (f'FAILED {len(lines)} attempts to leave the machine, the first: {first}. '
            f'All of them, and which lines of code asked: {log}')

def blind_spot(words:list, env:dict, log:Path) -> str:
    "What is not in place of the kernel that refuses and the watch that writes; empty where both are."
    def stays(env):
        command = [*words, sys.executable, '-c', LEAVE]
        return subprocess.run(command, env=env, capture_output=True).returncode==0
    if not stays({k: v for k, v in env.items() if k!='PRACTICALDL_NETWORK_LOG'}):
        return 'the machine can be left'
    stays(env)
    seen = log.exists()
    log.unlink(missing_ok=True)
    return '' if seen else 'an attempt to leave is not written down'

def main(words) -> int:
    p = argparse.ArgumentParser('bench offline', description='Run chapters without a network.')
    p.add_argument('chapters', nargs='*', help='all of them where none is named')
    p.add_argument('--from', dest='folder', default=str(ROOT/'nbs'), help='where the notebooks are')
    p.add_argument('--out', type=Path, default=ROOT/'build'/'offline', help='for the results and network.log')
    args = p.parse_args(words)
    log = args.out.resolve()/'network.log'
    env = watched(log)
    try:
        apart = alone()
    except NoNamespace as e:
        sys.exit(str(e))
    args.out.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    why = blind_spot(apart, env, log)
    if why:
        sys.exit(f'Nothing was run: {why}.')
    run = [*PRACTICALDL, 'run', '--from', args.folder, '--out', str(args.out), *args.chapters]
    done = subprocess.run([*apart, *run], env=env)
    tried = attempts_in(log)
    if tried:
        print(tried, file=sys.stderr)
    elif not done.returncode:
        print('No network, and no attempt to leave the machine.')
        if Path(args.folder).resolve()==ROOT/'nbs':
            take_check('offline', [p.stem for p in find_chapters(ROOT/'nbs', args.chapters)])
    return 1 if tried or done.returncode else 0
