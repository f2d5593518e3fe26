"""Python imports this at its start when its folder is on PYTHONPATH: every attempt to leave the machine is
written to a file, and refused. So is every attempt to write below PRACTICALDL_LOCKED: the inputs of a Kaggle
notebook cannot be written to, and permissions alone do not stop root."""
import errno, os, socket, sys

_LOG, _LOCKED = os.environ.get('PRACTICALDL_NETWORK_LOG'), os.environ.get('PRACTICALDL_LOCKED')
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_OWN_NAME = socket.gethostname()   # PyTorch's launcher asks the system for the rest of it
_HERE = (None, '', 'localhost', '::1', '0.0.0.0', '::', _OWN_NAME)


def _callers(frame, most=60):
    "Who asked: the nearest lines of code, the nearest first."
    found = []
    while frame and len(found)<most:
        path = frame.f_code.co_filename.replace(os.sep, '/').split('/')
        found.append(f"{'/'.join(path[-2:])}:{frame.f_lineno}")
        frame = frame.f_back
    return ' < '.join(found)


def _keep_whole(event, args):
    changes = event in ('os.mkdir', 'os.remove', 'os.rename', 'os.rmdir')
    if changes or event=='open' and isinstance(args[2], int) and args[2] & _WRITING:
        if isinstance(args[0], (str, bytes, os.PathLike)) and os.fsdecode(args[0]).startswith(_LOCKED):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), args[0])


def _watch(event, args):
    if event in ('socket.getaddrinfo', 'socket.gethostbyname', 'socket.gethostbyaddr'):
        where = args[0]
    elif event in ('socket.connect', 'socket.sendto'):
        where = args[1][0] if isinstance(args[1], tuple) else None   # a path is a socket of this machine
    else:
        return
    where = where.decode() if isinstance(where, bytes) else where
    if where not in _HERE and not str(where).startswith('127.'):
        with open(_LOG, 'a', encoding='utf-8') as f:
            f.write(f'{event} {where}  from {_callers(sys._getframe(1))}\n')
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH), where)


if _LOG:
    sys.addaudithook(_watch)
if _LOCKED:
    sys.addaudithook(_keep_whole)
