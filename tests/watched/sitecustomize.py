"""Python imports this module at its start when its folder is on PYTHONPATH: every attempt to leave the machine is written to a file, and refused.

So is every attempt to write below PRACTICALDL_LOCKED: the inputs of a Kaggle notebook cannot be written to, and permissions alone do not stop root."""
import errno, os, socket, sys

_log, _locked = os.environ.get('PRACTICALDL_NETWORK_LOG'), os.environ.get('PRACTICALDL_LOCKED')
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PATHS = {'os.mkdir': 1, 'os.remove': 1, 'os.rmdir': 1, 'os.rename': 2, 'os.truncate': 1, 'os.chmod': 1, 'os.utime': 1}   # event to how many of its arguments are paths

_OWN_NAME = socket.gethostname()   # PyTorch's launcher asks the system for the rest of it

def _is_local(host):
    return host in (None, '', 'localhost', '::1', '0.0.0.0', '::', _OWN_NAME) or str(host).startswith('127.')

def _callers(frame, most=60):
    "Who asked: the nearest lines of code, the nearest first."
    found = []
    while frame and len(found)<most:
        found.append(f"{'/'.join(frame.f_code.co_filename.replace(os.sep, '/').split('/')[-2:])}:{frame.f_lineno}")
        frame = frame.f_back
    return ' < '.join(found)

def _refuse(event, what, number):
    with open(_log, 'a', encoding='utf-8') as f: f.write(f'{event} {what}  from {_callers(sys._getframe(2))}\n')
    raise OSError(number, os.strerror(number), what)

def _keep_whole(event, args):
    paths = args[:1] if event=='open' and isinstance(args[2], int) and args[2] & _CHANGES else args[:_PATHS.get(event, 0)]
    for path in paths:
        if isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(_locked): _refuse(event, os.fsdecode(path), errno.EROFS)

def _watch(event, args):
    if _locked: _keep_whole(event, args)
    if event=='socket.getaddrinfo': where = args[0]
    elif event in ('socket.connect', 'socket.sendto'): where = args[1][0] if isinstance(args[1], tuple) else None   # a path is a socket of this machine
    elif event in ('socket.gethostbyname', 'socket.gethostbyaddr'): where = args[0]
    else: return
    where = where.decode() if isinstance(where, bytes) else where
    if not _is_local(where): _refuse(event, where, errno.ENETUNREACH)

if _log: sys.addaudithook(_watch)
