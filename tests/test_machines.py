"""Other people's machines, as far as they can be played on this one: Kaggle, Colab, Windows, and the files that make a container, a dev container and Binder.

Kaggle and Colab are played by their variables and folders, a wheel, and a watch over the network (tests/watched). Windows and macOS run all tests on
GitHub (.github/workflows/test.yml); here code is read for what they lack."""
import ast, json, os, re, shutil, stat, subprocess, sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from test_project import MODULES, NOTEBOOKS, SETTINGS, WRITTEN, code, name_of, read, source, tracked

from practicaldl.data import dataset

# ------------------------------------------------------------------ Kaggle and Colab: no repository, only the notebook and the wheel

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "The wheel of this checkout, built from a copy, so that nothing is left in the checkout."
    place = tmp_path_factory.mktemp('wheel')
    shutil.copytree(ROOT/'practicaldl', place/'src'/'practicaldl', ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'settings.ini', 'pyproject.toml', 'README.md', 'LICENSE', 'MANIFEST.in'): shutil.copyfile(ROOT/name, place/'src'/name)
    done = subprocess.run([sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', str(place), str(place/'src')], capture_output=True, text=True, encoding='utf-8', errors='replace')
    assert done.returncode==0, done.stderr[-2000:]
    return next(place.glob('*.whl'))

class Machine:
    "A machine that has the libraries, the wheel and nothing else of the course, and no network."
    def __init__(self, place, wheel, **env):
        self.home, self.site, self.log = place/'home', place/'site', place/'network.log'
        self.home.mkdir()
        done = subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--no-index', '--no-deps', '--target', str(self.site), str(wheel)], capture_output=True, text=True)
        assert done.returncode==0, done.stderr
        kept = {k: v for k, v in os.environ.items() if not k.startswith('PRACTICALDL_') and k.lower() not in ('http_proxy', 'https_proxy', 'all_proxy', 'no_proxy')}
        homes = dict.fromkeys(('HOME', 'USERPROFILE', 'LOCALAPPDATA', 'XDG_CACHE_HOME'), str(self.home))
        self.env = {**kept, **homes, 'PYTHONPATH': os.pathsep.join([str(self.site), str(ROOT/'tests'/'watched')]), 'PRACTICALDL_NETWORK_LOG': str(self.log),
                    'PRACTICALDL_EDITION': 'sample', 'MPLBACKEND': 'module://matplotlib_inline.backend_inline', **env}   # both services set this backend

    def python(self, words, cwd, **env):
        return subprocess.run([sys.executable, '-c', words], cwd=cwd, env={**self.env, **env}, capture_output=True, text=True, encoding='utf-8', errors='replace')

    def run(self, folder):
        "`practicaldl run` in a folder; the rows of results."
        done = self.python(f"import sys, practicaldl; assert practicaldl.__file__.startswith({str(self.site)!r}); from practicaldl.cli import main; sys.exit(main(['run', '--from', '.']))", folder)
        assert done.returncode==0, f'{done.stdout[-2000:]}\n{done.stderr[-2000:]}'
        assert not self.log.exists(), self.log.read_text(encoding='utf-8')
        return json.loads((folder/'results'/'results.json').read_text(encoding='utf-8'))

def listing(folder): return {p.relative_to(folder).as_posix(): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob('*')}

def first_cells(name, last):
    "A chapter up to the first code cell that holds `last`."
    nb = read(ROOT/'nbs'/f'{name}.ipynb')
    end = next(i for i, c in enumerate(nb['cells']) if c['cell_type']=='code' and last in source(c))
    return {**nb, 'cells': nb['cells'][:end+1]}

@pytest.fixture
def kaggle(tmp_path, wheel, usual_cache):
    "Kaggle without internet: the wheel and one data set of the course are attached, in folders that cannot be written to."
    attached, working = tmp_path/'kaggle'/'input'/'practicaldl', tmp_path/'kaggle'/'working'
    there = dataset('MNIST_SAMPLE', 'sample')
    shutil.copytree(there, attached/'sample'/'MNIST_SAMPLE')
    shutil.copyfile(there.with_name('MNIST_SAMPLE.files.json'), attached/'sample'/'MNIST_SAMPLE.files.json')
    shutil.copy(wheel, attached)
    working.mkdir()
    before = [*attached.rglob('*'), attached]
    for path in before: path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    machine = Machine(tmp_path, attached/wheel.name, KAGGLE_KERNEL_RUN_TYPE='Interactive', KAGGLE_URL_BASE='https://www.kaggle.com', KAGGLE_DATA_PROXY_URL='https://dp.kaggle.net',
                      KAGGLE_CONTAINER_NAME='kaggle', PRACTICALDL_CACHE=str(attached), PRACTICALDL_LOCKED=str(attached.parent))
    machine.attached, machine.working = attached, working
    yield machine
    for path in reversed(before): path.chmod(path.stat().st_mode | stat.S_IWUSR)   # else pytest could not remove them

def test_kaggle_without_internet(kaggle):
    "Chapter 05 up to its first bar, from data that cannot be written to; nothing is fetched, and nothing is put elsewhere."
    (kaggle.working/'05_mnist.ipynb').write_text(json.dumps(first_cells('05_mnist', 'record(')), encoding='utf-8')
    before = listing(kaggle.attached)
    rows = kaggle.run(kaggle.working)
    assert [(r['chapter'], r['metric'], r['passed']) for r in rows if r['metric']!='peak memory (MB)']==[('05_mnist', 'nearest mean accuracy', True)]
    assert listing(kaggle.attached)==before and not list(kaggle.home.rglob('*MNIST*'))
    assert 'sample edition' in (kaggle.working/'results'/'05_mnist.ipynb').read_text(encoding='utf-8')

def test_kaggle_says_what_is_missing(kaggle):
    "A data set that was not attached: one line that names the folder and the variable."
    done = kaggle.python("from practicaldl.data import dataset; dataset('BIRDS')", kaggle.working)
    assert done.returncode==1 and 'DataError: BIRDS (6 MB) cannot be written' in done.stderr and 'read-only' in done.stderr and 'PRACTICALDL_CACHE' in done.stderr
    assert 'MNIST_SAMPLE' in kaggle.python("import sys; from practicaldl.cli import main; main(['doctor'])", kaggle.working).stdout.split('ready for use offline:')[1]

def test_colab_without_the_repository(tmp_path, wheel):
    "A whole chapter in /content, with Colab's variables and its module."
    content = tmp_path/'content'; content.mkdir()
    shutil.copy(ROOT/'nbs'/'04_how_nets_learn.ipynb', content)
    machine = Machine(tmp_path, wheel, COLAB_RELEASE_TAG='release-colab', COLAB_GPU='', COLAB_BACKEND_VERSION='next')
    (machine.site/'google'/'colab').mkdir(parents=True)   # beside google.protobuf: `google` is a namespace
    (machine.site/'google'/'colab'/'__init__.py').write_text('')
    assert machine.python('import google.colab, google.protobuf', content).returncode==0
    rows = machine.run(content)
    assert len(rows) > 3 and all(r['passed'] for r in rows) and sorted(p.name for p in content.iterdir())==['04_how_nets_learn.ipynb', 'results']

def test_the_locked_folder_is_locked(kaggle):
    "The watch refuses root as well, whom permissions do not stop."
    code = 'from pathlib import Path\nfor f in (lambda: Path("new").mkdir(), lambda: Path("a").write_text("x", encoding="utf-8"), lambda: next(Path().glob("*.whl")).unlink()):\n try: f()\n except OSError: print("refused")'
    assert kaggle.python(code.replace('Path("', f'Path({str(kaggle.attached)!r}+"/').replace('Path()', f'Path({str(kaggle.attached)!r})'), kaggle.working).stdout.split()==['refused']*3

def test_the_page_says_what_was_played_here():
    "The options of pip and the variables of the page are those of the machine above."
    text = (ROOT/'docs'/'pages'/'run.md').read_text(encoding='utf-8')
    block = re.search(r'### Kaggle without internet.*?```python\n(.*?)```', text, re.S)[1]
    assert '%pip install -q --no-index --no-deps /kaggle/input/' in block and re.findall(r'%env (\w+)=', block)==['PRACTICALDL_CACHE', 'PRACTICALDL_EDITION']

@pytest.mark.parametrize('name', WRITTEN)
def test_a_chapter_installs_the_course_only_where_it_is_missing(name):
    "The first code cell looks for the package, keeps every version that is there, and installs from our repository; no other cell installs anything."
    first, *others = (source(c) for c in code(read(ROOT/'nbs'/f'{name}.ipynb')))
    assert "if importlib.util.find_spec('practicaldl') is None:" in first and '-c installed.txt' in first and f"git+{SETTINGS['git_url'] if '%' not in SETTINGS['git_url'] else ''}" in first
    assert not any(re.search(r'pip\w* install|%conda|%pip', o) for o in others)


# ------------------------------------------------------------------ Windows and macOS: what they lack

MISSING = {'os.fork', 'os.forkpty', 'os.symlink', 'os.link', 'os.getuid', 'os.geteuid', 'os.getgid', 'os.getgroups', 'os.mkfifo', 'os.mknod', 'os.killpg', 'os.setsid', 'os.setuid', 'os.uname', 'os.getpgid',
           'os.chown', 'os.lchown', 'os.chroot', 'os.nice', 'os.wait', 'os.statvfs', 'os.sysconf', 'os.getloadavg', 'os.posix_fadvise', 'os.sendfile', 'os.openpty', 'os.register_at_fork',
           'os.sched_getaffinity', 'os.sched_setaffinity', 'os.memfd_create', 'os.O_DIRECT', 'os.O_NOFOLLOW', 'os.WNOHANG', 'signal.SIGKILL', 'signal.SIGALRM', 'signal.SIGHUP', 'signal.SIGUSR1', 'signal.SIGUSR2',
           'signal.alarm', 'signal.setitimer', 'signal.pause', 'socket.AF_UNIX', 'socket.socketpair', 'time.tzset', 'time.clock_gettime', 'asyncio.get_child_watcher', 'Path.symlink_to', 'Path.hardlink_to',
           'select.poll', 'select.epoll', 'mmap.MAP_SHARED'}
MODULES_MISSING = {'fcntl', 'resource', 'pwd', 'grp', 'termios', 'pty', 'tty', 'syslog', 'crypt', 'spwd', 'readline', 'curses', 'posix', 'posixpath'}
SHELL = {'os.system': 'a command line of one shell', 'os.popen': 'a command line of one shell', 'subprocess.getoutput': 'a command line of one shell', 'commands.getoutput': 'a command line of one shell',
         'os.rename': 'fails on Windows where the target exists: os.replace does not'}
PLACES = re.compile(r'^(/tmp|/var|/home|/root|/usr|/etc|/opt|/mnt|/dev|/proc|/sys|/bin)(/|$)|^[A-Za-z]:\\')

def _dotted(node): return ast.unparse(node) if isinstance(node, (ast.Attribute, ast.Name)) else ''

def _written(node):
    "The text that a string, an f-string or a docstring begins with."
    if isinstance(node, ast.JoinedStr): node = node.values[0] if node.values else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ''

def without_magics(text):
    "Code of a cell with IPython's own lines taken out, and those lines."
    magics = [line.strip() for line in text.splitlines() if re.match(r'\s*[%!]', line)]
    return re.sub(r'(?m)^(\s*)[%!].*$', r'\1pass', text), magics

def _plain_letters(call):
    "Whether a call of `write_text` writes only letters that every encoding has in the same place."
    inside = [o for a in call.args for o in ast.walk(a)]
    return bool(inside) and getattr(call.func, 'attr', '')=='write_text' and all(_written(o).isascii() for o in inside) and not any(isinstance(o, ast.Name) for o in inside)

def odd_on_windows(text, notebook=False):
    "What a piece of code asks for that Windows or macOS lack, or do in another way; one line for each."
    found, (plain, magics) = [], without_magics(text) if notebook else (text, [])
    found += [f'{m}: a command of a shell' for m in magics if not re.match(r'%(pip|matplotlib|time|timeit|load_ext|autoreload)\b', m)]
    tree = ast.parse(plain)
    inner = {id(o) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for o in n.values}   # they are looked at as a whole
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = _dotted(node)
            if name in MISSING or node.attr in ('symlink_to', 'hardlink_to', 'geteuid', 'getuid'): found.append(f'{name or node.attr}: not on Windows')
            if name in SHELL: found.append(f'{name}: {SHELL[name]}')
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or '']+[f'{node.module}.{a.name}' for a in node.names]
            found += [f'{n}: not on Windows' for n in names if n in MISSING or n.split('.')[0] in MODULES_MISSING]
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and id(node) not in inner and PLACES.match(_written(node)): found.append(f'{_written(node)!r}: a folder of one system')
        if not isinstance(node, ast.Call): continue
        called, options = _dotted(node.func).split('.')[-1] or getattr(node.func, 'attr', ''), {k.arg: k.value for k in node.keywords}
        if isinstance(options.get('shell'), ast.Constant) and options['shell'].value: found.append(f'{called}(shell=True): a command line of one shell')
        if _dotted(node.func)!='psutil.Process' and called in ('ProcessPoolExecutor', 'Process', 'Pool', 'set_start_method', 'get_context'): found.append(f'{called}: Windows and macOS start processes afresh, and a cell has no main module to start from')
        for option in ('num_workers', 'n_workers'):
            if isinstance(options.get(option), ast.Constant) and options[option].value: found.append(f'{option}={options[option].value}: workers cannot find what a cell defines on Windows and macOS')
        if called in ('split', 'rsplit', 'startswith', 'endswith', 'partition', 'rpartition') and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call) \
           and _dotted(node.func.value.func)=='str' and node.args and '/' in _written(node.args[0]): found.append(f'{ast.unparse(node)}: paths have \\ on Windows')
        if called=='strftime' and any('%-' in _written(a) for a in node.args): found.append('strftime with %-: not on Windows')
        writes_text = called in ('read_text', 'write_text') or isinstance(node.func, ast.Name) and called=='open' and not any('b' in _written(a) for a in node.args[1:2])
        if writes_text and 'encoding' not in options and not _plain_letters(node) and 'status.read_text()' not in ast.unparse(node): found.append(f'{ast.unparse(node)[:60]}: without an encoding')
    return found

# Linux tells there what it keeps nowhere else, and the code asks first whether the file exists; /etc/hosts is a path that an archive must not hold; launch asks `can_fork` before it forks.
FORKS = ['get_context: Windows and macOS start processes afresh, and a cell has no main module to start from']
EXCUSED = {'scaling': FORKS, '08_scaling': FORKS, 'cli': ["'/proc/': a folder of one system"], 'pretrain': ["'/proc/cpuinfo': a folder of one system"], 'bench': ["'/proc/cpuinfo': a folder of one system"], 'data.ipynb': ["'/etc/hosts': a folder of one system"],
           'compat.ipynb': ["(Path(d) / 'torchvision' / '__init__.py').write_text(textwra: without an encoding"]}   # a program of plain letters, written two lines below
def excused(path): return EXCUSED.get(path.stem, [])+EXCUSED.get(path.name, [])

@pytest.mark.parametrize('path', [*MODULES, *sorted((ROOT/'docs').glob('*.py')), *sorted((ROOT/'bench').glob('*.py'))], ids=name_of)
def test_code_runs_on_windows_and_macos_too(path):
    assert sorted(odd_on_windows(path.read_text(encoding='utf-8')))==sorted(excused(path))

@pytest.mark.parametrize('path', NOTEBOOKS, ids=name_of)
def test_cells_run_on_windows_and_macos_too(path):
    assert sorted(o for c in code(read(path)) for o in odd_on_windows(source(c), notebook=True))==sorted(excused(path))

@pytest.mark.parametrize('line', ['os.fork()', 'from os import geteuid', 'import fcntl', 'import os, resource', 'os.kill(1, signal.SIGKILL)', 'Path("a").symlink_to("b")', 'open("/tmp/a", "rb")', 'Path(f"/dev/{x}")',
                                  'os.rename(a, b)', 'subprocess.run("ls", shell=True)', 'os.system("ls")', '!ls', '%%bash\nls', 'DataLoader(d, num_workers=2)', 'Pool(4)', 'str(path).split("/")[-1]',
                                  'path.read_text()', 'open(path)', 'path.write_text(x)', 'path.write_text("é")', 'open(path, "w")', 'now.strftime("%-d")', r'Path("C:\\data")', 'multiprocessing.Process(target=f).start()'])
def test_what_windows_lacks_is_noticed(line):
    assert odd_on_windows(line, notebook=True)

@pytest.mark.parametrize('line', ['os.replace(a, b)', 'url.rsplit("/", 1)', 'path.read_text(encoding="utf-8")', 'open(path, "rb")', 'DataLoader(d, num_workers=0)', '%pip install x', 'Path("work")/"a"', 'path.write_text("plain")', 'psutil.Process(pid)', 'f"{a}/tmp"', 'path.open()'])
def test_what_windows_has_is_not(line):
    assert odd_on_windows(line, notebook=True)==[]

def bad_names(names):
    "Paths that Windows or macOS cannot hold, alone or beside each other."
    reserved = re.compile(r'(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)')
    odd = [n for n in names if any(re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part) or reserved.match(part) for part in n.split('/')) or len(n) > 150]
    folded = {}
    for n in names: folded.setdefault(n.lower(), []).append(n)
    return odd+[n for same in folded.values() if len(same) > 1 for n in same]

def test_file_names_can_be_checked_out_everywhere():
    names = [name_of(p) for p in tracked()]
    assert len(names) > 60 and bad_names(names)==[] and not any(p.is_symlink() for p in tracked())

@pytest.mark.parametrize('names', [['a:b.txt'], ['nbs/aux.ipynb'], ['docs/Con'], ['a.'], ['what?.md'], ['README.md', 'Readme.md'], ['a/'*80+'b']])
def test_a_bad_file_name_is_noticed(names): assert bad_names(names)

def test_windows_and_macos_run_all_tests_on_github():
    "With the oldest and the newest Python of the lock."
    job = yaml.safe_load((ROOT/'.github'/'workflows'/'test.yml').read_text(encoding='utf-8'))['jobs']['test']
    assert {o.split('-')[0] for o in job['strategy']['matrix']['os']}=={'ubuntu', 'macos', 'windows'} and job['strategy']['fail-fast'] is False and 'continue-on-error' not in str(job)
    assert job['strategy']['matrix']['python']==list(lock_pythons())
    oldest, newest = map(minor, lock_pythons())
    assert job['strategy']['matrix']['include']==[dict(os='ubuntu-latest', python=f'3.{n}') for n in range(oldest+1, newest)] and PYTHON in str(job['strategy']['matrix'])
    for condition in ("runner.os != 'Windows'", "runner.os == 'Windows'"): assert any(s.get('if')==condition and 'test' in s['run'] for s in job['steps'])


# ------------------------------------------------------------------ a container, a dev container, Binder: the same lock

PYTHON = '3.11'   # of all three, and of the numbers in README

def lock_pythons():
    "The oldest and the newest Python that the lock names for itself."
    return re.search(r'for Python (\d\.\d+) to (\d\.\d+)', (ROOT/'constraints.txt').read_text(encoding='utf-8')).groups()

def minor(version): return int(version.split('.')[1])

def test_all_of_them_have_a_python_of_the_lock():
    oldest, newest = lock_pythons()
    assert minor(oldest) <= minor(PYTHON) <= minor(newest) and oldest==SETTINGS['min_python']
    assert json.loads((ROOT/'docs'/'results.json').read_text(encoding='utf-8'))['versions']['Python'].startswith(PYTHON+'.')

def instructions():
    "The instructions of the container recipe: (word, rest), comments and continued lines resolved."
    text = re.sub(r'\\\n\s*', '', re.sub(r'(?m)^\s*#.*\n', '', (ROOT/'Containerfile').read_text(encoding='utf-8')))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]

def test_the_container_has_the_lock_and_the_data():
    "The packages come from the lock, torch without CUDA, and the sample data is fetched while it is built, as the learner."
    steps = instructions()
    assert [rest for word, rest in steps if word=='FROM']==[f'docker.io/library/python:{PYTHON}-slim-bookworm']
    runs = [rest for word, rest in steps if word=='RUN']
    installs = [o for o in runs if 'pip install' in o]
    assert len(installs)==1 and '-c constraints.txt' in installs[0] and 'https://download.pytorch.org/whl/cpu' in installs[0]
    order = [next(i for i, o in enumerate(steps) if o[0]==word and part in o[1]) for word, part in (('COPY', 'constraints.txt'), ('RUN', 'pip install'), ('USER', 'learner'), ('ENV', 'PRACTICALDL_CACHE='), ('RUN', 'practicaldl data'))]
    assert order==sorted(order)
    for rest in (rest for word, rest in steps if word=='COPY'):
        assert all((ROOT/o).exists() for o in rest.split()[:-1] if not o.startswith('--')), rest
    assert 'PRACTICALDL_EDITION=sample' in str(steps)

def test_the_container_is_not_open_to_everybody():
    "Nobody is root, and JupyterLab asks for the token that it prints."
    steps = instructions()
    users, command = [rest for word, rest in steps if word=='USER'], json.loads(next(rest for word, rest in steps if word=='CMD'))
    assert users and users[-1] not in ('root', '0') and any(f'useradd --create-home {users[-1]}' in rest for word, rest in steps if word=='RUN')
    assert command[:2]==['jupyter', 'lab'] and '--port=8888' in command and '--ip=0.0.0.0' in command and ('EXPOSE', '8888') in steps
    assert 'NeverCheckForUpdate' in str(command) and '--LabApp.news_url=None' in command
    assert not any(re.search(r'token|password|allow-root|allow_origin|disable_check_xsrf', o, re.I) for o in command) and not any(re.search('token|password', rest, re.I) for word, rest in steps if word=='ENV')

def test_the_container_takes_nothing_along_by_mistake():
    left_out = set((ROOT/'.dockerignore').read_text(encoding='utf-8').split())
    assert {'.git', '.venv', 'build', 'results', 'nbs/work'} <= left_out
    assert 'COPY . ' not in (ROOT/'Containerfile').read_text(encoding='utf-8')

def test_the_container_tries_an_offline_run_on_github():
    text = (ROOT/'.github'/'workflows'/'container.yml').read_text(encoding='utf-8')
    assert re.search(r'docker build .*-f Containerfile', text) and re.search(r'docker run .*--network none .*practicaldl run', text)

def test_the_container_is_built_anew_when_what_it_copies_changes():
    "README and LICENSE aside: they change often, or never, and nothing runs them."
    copied = {o for word, rest in instructions() if word=='COPY' for o in rest.split()[:-1] if not o.startswith('--')}-{'README.md', 'LICENSE'}
    when = yaml.safe_load((ROOT/'.github'/'workflows'/'container.yml').read_text(encoding='utf-8'))[True]   # YAML reads the key `on` as True
    wanted = {f'{o}/**' if (ROOT/o).is_dir() else o for o in copied}
    assert {'practicaldl/**', 'nbs/**', 'constraints.txt'} <= wanted
    for event in ('push', 'pull_request'): assert wanted | {'Containerfile', '.dockerignore'} == set(when[event]['paths'])

def with_comments(text):
    "JSON with comments, as dev containers may have it."
    return json.loads(re.sub(r'(?m)^\s*//.*$', '', text))

def test_the_dev_container_has_the_lock_and_the_data():
    "It makes what `make` makes; so there is no second list of packages."
    about = with_comments((ROOT/'.devcontainer'/'devcontainer.json').read_text(encoding='utf-8'))
    assert re.fullmatch(rf'mcr\.microsoft\.com/devcontainers/python:\d+-{re.escape(PYTHON)}-bookworm', about['image'])
    words = about['postCreateCommand']
    makefile = (ROOT/'Makefile').read_text(encoding='utf-8')
    assert words[0]=='make' and '.venv/.ready' in words and 'data' in words
    assert re.search(r'(?m)^READY := \.venv/\.ready$', makefile) and re.search(r'(?m)^\$\(READY\):.*\n(\t.*\n)*\t.*pip install .*-c constraints\.txt', makefile)
    assert about['customizations']['vscode']['settings']['python.defaultInterpreterPath'].endswith('/.venv/bin/python')
    assert about['containerEnv']['PIP_EXTRA_INDEX_URL']=='https://download.pytorch.org/whl/cpu' and 'remoteUser' not in about   # the image's own user is not root
    assert all((ROOT/o).is_file() for o in about['customizations']['codespaces']['openFiles'])

def test_binder_has_the_lock_and_the_data():
    place = ROOT/'.binder'
    assert (place/'runtime.txt').read_text(encoding='utf-8').strip()==f'python-{PYTHON}'
    lines = [o for o in (place/'requirements.txt').read_text(encoding='utf-8').splitlines() if not o.startswith('#')]
    assert lines==['--extra-index-url https://download.pytorch.org/whl/cpu', '-c ../constraints.txt', '.', 'jupyterlab'] and (place/'../constraints.txt').resolve()==ROOT/'constraints.txt'
    after = (place/'postBuild').read_text(encoding='utf-8')
    assert after.startswith('#!') and 'set -e' in after and 'practicaldl data --edition sample' in after
    if os.name!='nt': assert os.access(place/'postBuild', os.X_OK)
