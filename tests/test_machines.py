"""Other people's machines, as far as they can be played on this one: Kaggle, Colab, Windows, containers.

Kaggle and Colab are played by their variables, a wheel, and a watch over the network (tests/watched)."""
import json, os, re, shutil, subprocess, sys, zipfile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from practicaldl.cache import twin_folder

def run_python(*words, **options):
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True,
                          encoding='utf-8', errors='replace', **options)

# ------------------------------------------------------------------ Kaggle and Colab: notebook and wheel

@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "The wheel of this checkout, built from a copy, so that nothing is left in the checkout."
    place = tmp_path_factory.mktemp('wheel')
    shutil.copytree(ROOT/'practicaldl', place/'src'/'practicaldl')
    for name in ('setup.py', 'settings.ini', 'pyproject.toml', 'README.md', 'LICENSE', 'MANIFEST.in'):
        shutil.copyfile(ROOT/name, place/'src'/name)
    done = run_python('-m', 'build', '--wheel', '--no-isolation', '--outdir', place, place/'src')
    assert done.returncode==0, done.stderr[-2000:]
    return next(place.glob('*.whl'))

@pytest.mark.slow
def test_the_wheel_is_whole(wheel):
    "It has the modules, the shipped files and the command, and asks for a new enough Python."
    with zipfile.ZipFile(wheel) as z:
        names = set(z.namelist())
        about = {Path(n).name: z.read(n).decode() for n in names if '.dist-info/' in n}
    package = [*(ROOT/'practicaldl').glob('*.py'), *(ROOT/'practicaldl'/'assets').iterdir()]
    assert {p.relative_to(ROOT).as_posix() for p in package} <= names
    assert not any(n.startswith(('tests', 'nbs', 'docs', 'bench')) for n in names)
    assert 'Requires-Python: >=3.10' in about['METADATA']
    assert 'practicaldl=practicaldl.cli:main' in about['entry_points.txt'].replace(' ', '')

BACKEND = 'module://matplotlib_inline.backend_inline'   # both services set it
class Machine:
    "A machine that has the libraries, the wheel and nothing else of the course, and no network."
    def __init__(self, place, wheel, **env):
        self.home, self.site, self.log = place/'home', place/'site', place/'network.log'
        self.home.mkdir()
        done = run_python('-m', 'pip', 'install', '--no-index', '--no-deps', '--target', self.site, wheel)
        assert done.returncode==0, done.stderr
        ours = '(?i)PRACTICALDL_|(https?|all|no)_proxy'
        kept = {k: v for k, v in os.environ.items() if not re.match(ours, k)}
        homes = dict.fromkeys(('HOME', 'USERPROFILE', 'LOCALAPPDATA', 'XDG_CACHE_HOME'), str(self.home))
        path = os.pathsep.join([str(self.site), str(ROOT/'tests'/'watched')])
        self.env = {**kept, **homes, 'PYTHONPATH': path, 'PRACTICALDL_NETWORK_LOG': str(self.log),
                    'PRACTICALDL_EDITION': 'sample', 'MPLBACKEND': BACKEND, **env}

    def run(self, folder):
        "`practicaldl run` in a folder; the rows of results."
        code = "import sys; from practicaldl.cli import main; sys.exit(main(['run', '--from', '.']))"
        done = run_python('-c', code, cwd=folder, env=self.env)
        assert done.returncode==0, f'{done.stdout[-2000:]}\n{done.stderr[-2000:]}'
        assert not self.log.exists(), self.log.read_text(encoding='utf-8')
        return json.loads((folder/'results'/'results.json').read_text(encoding='utf-8'))

def listing(folder):
    return {p.relative_to(folder): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob('*')}

@pytest.fixture
def kaggle(tmp_path, wheel, usual_cache):
    "Kaggle without internet: the wheel and two data sets are attached, in a folder that is read-only."
    attached = tmp_path/'input'/'practicaldl'
    for there in map(twin_folder, ('MNIST', 'MNIST_SAMPLE')):
        shelf = attached/there.parent.relative_to(usual_cache)
        shutil.copytree(there, shelf/there.name)
        shutil.copy(there.with_name(f'{there.name}.files.json'), shelf)
    machine = Machine(tmp_path, wheel, KAGGLE_KERNEL_RUN_TYPE='Interactive',
                      PRACTICALDL_CACHE=str(attached), PRACTICALDL_LOCKED=str(attached))
    machine.attached, machine.working = attached, tmp_path/'working'
    machine.working.mkdir()
    return machine

@pytest.mark.slow
def test_kaggle_without_internet(kaggle):
    "Chapter 05 up to its first bar, from data that cannot be written to; nothing is put elsewhere."
    nb = json.loads((ROOT/'nbs'/'05_mnist.ipynb').read_text(encoding='utf-8'))
    sources = [''.join(c['source']) if c['cell_type']=='code' else '' for c in nb['cells']]
    last = next(i for i, source in enumerate(sources) if 'record(' in source)
    nb['cells'] = nb['cells'][:last+1]
    (kaggle.working/'05_mnist.ipynb').write_text(json.dumps(nb), encoding='utf-8')
    before = listing(kaggle.attached)
    rows = kaggle.run(kaggle.working)
    assert rows[0]['metric']=='nearest mean accuracy' and all(r['passed'] for r in rows)
    assert listing(kaggle.attached)==before and not list(kaggle.home.rglob('*mnist*'))

@pytest.mark.slow
def test_kaggle_says_what_is_missing(kaggle):
    "A data set that was not attached: one line that names the folder and the variable."
    code = "from practicaldl.course import dataset; dataset('BIRDS')"
    done = run_python('-c', code, cwd=kaggle.working, env=kaggle.env)
    assert done.returncode==1 and 'read-only' in done.stderr.splitlines()[-1]
    assert str(kaggle.attached) in done.stderr and 'PRACTICALDL_CACHE' in done.stderr

@pytest.mark.slow
def test_colab_without_the_repository(tmp_path, wheel, usual_cache):
    "A whole chapter, in an empty folder, with Colab's variables; its data was fetched before."
    twin_folder('ADULT_SAMPLE')
    content = tmp_path/'content'
    content.mkdir()
    shutil.copy(ROOT/'nbs'/'04_how_nets_learn.ipynb', content)
    rows = Machine(tmp_path, wheel, COLAB_RELEASE_TAG='release-colab',
                   PRACTICALDL_CACHE=str(usual_cache)).run(content)
    assert len(rows) > 3 and all(r['passed'] for r in rows)
    assert sorted(p.name for p in content.iterdir())==['04_how_nets_learn.ipynb', 'results']

# ------------------------------------------------------------------ Windows and macOS: what they lack

LACKING = re.compile(r'''(?x) \bos\.(fork|symlink|link|get[e]?uid|killpg|setsid|uname|chown|system|rename)\b
    | \bsignal\.(SIGKILL|SIGALRM|alarm)\b | \bimport\s(fcntl|resource|pwd|grp|termios|pty)\b
    | ^\s*!(?!echo\b) | ^%%(?!writefile\b|ranks\b)\w   # these are everywhere
    | shell=True | link_to | num_workers=[1-9]   # workers cannot find what a cell defines
    | (?<![\w.])open\((?!.*(encoding|'[rwax]b')) | (read|write)_text\((?!['"])(?!.*encoding)''')

def test_code_runs_on_windows_and_macos_too():
    "In the package, docs, bench and what learners run. What Linux keeps in /proc is asked for there alone."
    files = [p for name in ('practicaldl', 'docs', 'bench') for p in (ROOT/name).glob('*.py')]
    texts = {path.name: path.read_text(encoding='utf-8') for path in files}
    for path in (ROOT/'nbs').glob('*.ipynb'):
        cells = json.loads(path.read_text(encoding='utf-8'))['cells']
        texts[path.name] = '\n'.join(''.join(c['source']) for c in cells if c['cell_type']=='code')
    lines = [(name, o) for name, text in texts.items() for o in text.splitlines() if '/proc/' not in o]
    assert [o for o in lines if LACKING.search(o[1])]==[]

def test_file_names_can_be_checked_out_everywhere():
    git = ['git', 'ls-files', '-co', '--exclude-standard']
    names = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    odd = re.compile(r'(?i)[<>:"|?*\\\x00-\x1f]|[. ](/|$)|(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)')
    assert [n for n in names if odd.search(n) or len(n) > 150 or (ROOT/n).is_symlink()]==[]
    assert len({n.lower() for n in names})==len(names) > 60

# ------------------------------------------------------------------ containers, Binder, GitHub

def test_containers_have_the_lock_and_the_python_of_the_numbers():
    "A container, a dev container, Binder and GitHub; in the container nobody is root, and the token stays."
    def text(name): return (ROOT/name).read_text(encoding='utf-8')
    python = '.'.join(json.loads(text('docs/results.json'))['versions']['Python'].split('.')[:2])
    container = text('Containerfile')
    assert '-c constraints.txt' in container and '-c ../constraints.txt' in text('.binder/requirements.txt')
    assert f'library/python:{python}-slim' in container and re.findall(r'USER (\S+)', container)==['learner']
    assert not re.search(r'(?i)token=|password|allow-root|allow_origin|disable_check_xsrf', container)
    assert f'-{python}-bookworm' in text('.devcontainer/devcontainer.json')
    assert text('.binder/runtime.txt').strip()==f'python-{python}'
    ends = re.search(r'for Python (3\.\d+) to (3\.\d+)', text('constraints.txt')).groups()
    matrix = yaml.safe_load(text('.github/workflows/test.yml'))['jobs']['test']['strategy']['matrix']
    assert list(ends)==matrix['python'] and python in {o['python'] for o in matrix['include']}

