"""Python imports this module at its start when its folder is on PYTHONPATH: every attempt to leave the machine is written to a file."""
import os, sys

_log = os.environ.get('PRACTICALDL_NETWORK_LOG')

def _is_local(host):
    return host in (None, '', 'localhost', '::1', '0.0.0.0', '::') or str(host).startswith('127.')

def _watch(event, args):
    if event=='socket.getaddrinfo': where = args[0]
    elif event in ('socket.connect', 'socket.sendto'): where = args[1][0] if isinstance(args[1], tuple) else None   # a path is a socket of this machine
    elif event in ('socket.gethostbyname', 'socket.gethostbyaddr'): where = args[0]
    else: return
    where = where.decode() if isinstance(where, bytes) else where
    if _is_local(where): return
    with open(_log, 'a', encoding='utf-8') as f: f.write(f'{event} {where}\n')

if _log: sys.addaudithook(_watch)
