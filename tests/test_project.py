"""The project itself: the curriculum has a home, addresses and versions agree, notebooks are fit to be read, code is portable."""
import ast, json, os, re, shutil, stat, subprocess, sys, zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from conftest import ROOT

import practicaldl
from practicaldl import data

config = ConfigParser(delimiters=['='])
config.read(ROOT/'settings.ini', encoding='utf-8')
SETTINGS = config['DEFAULT']
CURRICULUM = json.loads((ROOT/'tests'/'curriculum.json').read_text(encoding='utf-8'))
CHAPTERS, PLANNED = CURRICULUM['chapters'], CURRICULUM['planned']
WRITTEN = [name for name in CHAPTERS if name not in PLANNED]
MEMORY_MB = CURRICULUM['memory_mb']   # what a chapter may ask of a laptop
NOTEBOOKS = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if not {'.ipynb_checkpoints', 'work'} & set(p.relative_to(ROOT/'nbs').parts))
MODULES = sorted((ROOT/'practicaldl').glob('*.py'))

def read(path): return json.loads(path.read_text(encoding='utf-8'))
def source(cell): return ''.join(cell['source'])
def chapter(name): return read(ROOT/'nbs'/f'{name}.ipynb')
def code(nb): return [c for c in nb['cells'] if c['cell_type']=='code' and source(c).strip()]
def prose(nb): return '\n\n'.join(source(c) for c in nb['cells'] if c['cell_type']=='markdown')
def covered(nb): return nb['metadata'].get('practicaldl', {}).get('ids', [])
def name_of(path): return path.relative_to(ROOT).as_posix()


# ------------------------------------------------------------------ the curriculum

def test_the_list_of_ids_is_whole():
    "Every letter counts from one without a gap, and no id comes twice."
    for ids in CHAPTERS.values(): assert ids==[f'{ids[0][0]}{i}' for i in range(1, len(ids)+1)]
    assert len({i for ids in CHAPTERS.values() for i in ids})==sum(map(len, CHAPTERS.values()))==67 and set(PLANNED) <= set(CHAPTERS)

@pytest.mark.parametrize('name', WRITTEN)
def test_a_chapter_names_the_points_that_it_covers(name):
    assert covered(chapter(name))==CHAPTERS[name]

@pytest.mark.parametrize('name', PLANNED)
def test_a_planned_chapter_is_not_there_yet(name):
    "When it comes, it is taken off the list of planned ones in tests/curriculum.json."
    assert not (ROOT/'nbs'/f'{name}.ipynb').exists()

def test_no_notebook_names_a_point_that_does_not_exist():
    known = {i for ids in CHAPTERS.values() for i in ids}
    assert {name_of(p): sorted(set(covered(read(p)))-known) for p in NOTEBOOKS if set(covered(read(p)))-known}=={}

def test_every_numbered_notebook_is_in_the_list():
    assert {p.stem for p in (ROOT/'nbs').glob('[0-9][0-9]_*.ipynb')}==set(WRITTEN)


# ------------------------------------------------------------------ chapters as they are committed

@pytest.mark.parametrize('name', WRITTEN)
def test_outputs_are_there_and_none_is_an_error(name):
    nb = chapter(name)
    kinds = [o['output_type'] for c in code(nb) for o in c['outputs']]
    pictures = [o for c in code(nb) for o in c['outputs'] if 'image/png' in o.get('data', {})]
    assert 'error' not in kinds and len(pictures) >= 3
    assert sum(bool(c['outputs']) for c in code(nb)) >= len(code(nb))/2

@pytest.mark.parametrize('name', WRITTEN)
def test_a_chapter_is_clean_and_small(name):
    nb = chapter(name)
    assert all(c.get('execution_count') is None for c in nb['cells']) and not any(c.get('attachments') for c in nb['cells'])
    assert not any('execution' in c['metadata'] for c in nb['cells'])
    assert (ROOT/'nbs'/f'{name}.ipynb').stat().st_size < 1.5e6
    assert not any('stderr'==o.get('name') for c in code(nb) for o in c['outputs']), 'warnings or logs are part of the outputs'

@pytest.mark.parametrize('name', WRITTEN)
def test_cells_fit_on_a_screen(name):
    long = {i: n for i, c in enumerate(chapter(name)['cells']) if c['cell_type']=='code' and (n := sum(bool(o.strip()) for o in source(c).splitlines())) > 18}
    assert long=={}

@pytest.mark.parametrize('name', WRITTEN)
def test_questions_and_exercises_fold(name):
    text = prose(chapter(name))
    summaries = re.findall(r'<details>\s*<summary>(.*?)</summary>', text, re.S)
    assert set(summaries) <= {'Answer', 'Solution'} and summaries.count('Answer') >= 8 and summaries.count('Solution') >= 3
    assert text.count('<details>')==text.count('</details>')==len(summaries)
    assert all(len(o.strip()) > 20 for o in re.findall(r'</summary>(.*?)</details>', text, re.S))

@pytest.mark.parametrize('name', WRITTEN)
def test_a_chapter_has_its_shape(name):
    "A title, a promise, and a bar that is checked; the result stands within the first five code cells."
    nb = chapter(name)
    assert re.match(r'# \S.*\n+> \S', source(nb['cells'][0]))
    sources = [source(c) for c in code(nb)]
    assert any(f"start('{name}'" in o for o in sources) and any('record(' in o and ('at_least' in o or 'at_most' in o) for o in sources)
    assert any({'image/png', 'text/html'} & set(o.get('data', {})) for c in code(nb)[:5] for o in c['outputs'])
    assert 0 < nb['metadata']['practicaldl']['memory_mb'] <= MEMORY_MB[name]

@pytest.mark.parametrize('name', WRITTEN)
def test_pictures_are_drawn_by_code(name):
    "Prose shows no picture file: it would be missing on Kaggle and Colab."
    assert re.findall(r'!\[[^\]]*\]\((?!https?://)[^)]*\)|<img[^>]*src="(?!https?://)[^"]*"', prose(chapter(name)))==[]


# ------------------------------------------------------------------ addresses and versions

def texts():
    "README, CONTRIBUTING and the notebooks, by name; of notebooks prose and code."
    found = {name: (ROOT/name).read_text(encoding='utf-8') for name in ('README.md', 'CONTRIBUTING.md')}
    return {**found, **{name_of(p): '\n'.join(source(c) for c in read(p)['cells']) for p in NOTEBOOKS}}

OURS = (SETTINGS['user'], SETTINGS['repo'])

def test_links_to_the_repository_agree_with_the_settings():
    "A link that has our user or our repository has both; what is cloned, installed or launched is always ours."
    wrong = []
    for name, text in texts().items():
        for user, repo in re.findall(r'github\.com/([\w.-]+)/([\w.-]+)', text):
            repo = repo.removesuffix('.git').rstrip('.')
            if (user==OURS[0] or repo==OURS[1]) and (user, repo)!=OURS: wrong.append((name, user, repo))
        for user, repo in re.findall(r'(?:git clone|git\+|src=|colab\.research\.google\.com/github/)\s*(?:https://(?:www\.)?github\.com/)?([\w.-]+)/([\w.-]+)', text):
            if (user, repo.removesuffix('.git'))!=OURS: wrong.append((name, user, repo))
        for user, repo in re.findall(r'https://([\w-]+)\.github\.io/([\w.-]*)', text):
            if (user==OURS[0] or repo==OURS[1]) and (user, repo)!=OURS: wrong.append((name, user, repo))
    assert wrong==[]

def test_launch_links_open_what_is_there():
    seen = set()
    for name, text in texts().items():
        for branch, path in re.findall(rf'{OURS[0]}/{OURS[1]}/blob/([\w.-]+)/([\w./-]+\.ipynb)', text):
            assert branch==SETTINGS['branch'] and (ROOT/path).exists(), (name, path)
            of_itself = path if path.startswith('nbs/lib/') else name   # a chapter may point to how a helper is made; its launch links open the chapter
            if name.endswith('.ipynb') and Path(name).stem in WRITTEN: assert path==of_itself, (name, path)
            seen.add((name, path))
    for chapter_ in WRITTEN:
        for place in ('README.md', f'nbs/{chapter_}.ipynb'): assert (place, f'nbs/{chapter_}.ipynb') in seen

def test_links_in_the_readme_lead_somewhere():
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    gone = [o for o in re.findall(r'\]\((?!https?://|#|mailto:)([^)\s]+)\)', text) if not (ROOT/o.split('#')[0]).exists()]
    headings = {re.sub(r'[^\w\- ]', '', h.lower()).strip().replace(' ', '-') for h in re.findall(r'^#+ (.*)$', text, re.M)}
    assert gone==[] and [o for o in re.findall(r'\]\(#([^)]+)\)', text) if o not in headings]==[]

def test_nothing_waits_to_be_filled_in():
    left = [(name, o) for name, text in texts().items() for o in re.findall(r'\bMEASURED_\w+|^RESULTS$|\(MACHINE\)|\bXXX+\b', text, re.M)]
    assert left==[]

def test_the_readme_lists_every_data_set_and_licence():
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    assert [r.name for r in data.REGISTRY.values() if not (r.name in text and r.about in text and r.licence in text and r.full_about in text)]==[]

def test_one_version():
    assert SETTINGS['version']==practicaldl.__version__ and SETTINGS['version'] in (ROOT/'CHANGELOG.md').read_text(encoding='utf-8')

def test_the_lock_pins_every_requirement():
    "On this Python and system too, and at a version that the requirement allows."
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    pins = {}
    for line in (ROOT/'constraints.txt').read_text(encoding='utf-8').splitlines():
        if not line.split('#')[0].strip(): continue
        pin = Requirement(line.split(' #')[0])
        assert [s.operator for s in pin.specifier]==['=='], line
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    missing = []
    for word in SETTINGS['requirements'].split()+SETTINGS['dev_requirements'].split():
        need = Requirement(word)
        here = [p for p in pins.get(canonicalize_name(need.name), []) if p.marker is None or p.marker.evaluate()]
        if not any(need.specifier.contains(next(iter(p.specifier)).version, prereleases=True) for p in here): missing.append(word)
    assert missing==[]

def test_every_import_is_a_requirement():
    "What the package imports is in settings.ini, or in Python itself."
    from importlib.metadata import packages_distributions
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    known = {canonicalize_name(Requirement(o).name) for o in SETTINGS['requirements'].split()+SETTINGS['dev_requirements'].split()}
    owners, strangers = packages_distributions(), set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {n.split('.')[0] for n in names}-set(sys.stdlib_module_names)-{'practicaldl'}:
                if not known & {canonicalize_name(o) for o in owners.get(top, [top])}: strangers.add((path.name, top))
    assert strangers=={('compat.py', 'plum')}   # comes with newer versions of fastai, and is imported only for an object of its own


# ------------------------------------------------------------------ code

def tracked():
    "Files of the checkout that git knows, or would if they were added."
    if not shutil.which('git') or not (ROOT/'.git').exists(): pytest.skip('this is no git checkout')
    done = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT, capture_output=True, text=True, encoding='utf-8')
    return [ROOT/o for o in sorted(set(done.stdout.split('\0'))) if o and (ROOT/o).is_file()]

def readable(path):
    "The text of a file; of a notebook without its pictures."
    if path.suffix!='.ipynb': return path.read_text(encoding='utf-8')
    def plain(o):
        if isinstance(o, dict): return {k: plain(v) for k, v in o.items() if not k.startswith('image/')}
        return [plain(v) for v in o] if isinstance(o, list) else o
    return json.dumps(plain(read(path)), ensure_ascii=False)

UNWANTED = [r'\bTO'+r'DO\b', r'\bFIX'+r'ME\b', r'except\s*:\s*'+'pass', r'(?<![\w.*])/wo'+'rk/', '/tm'+r'p/w\b']

def test_no_loose_ends_in_the_files():
    found = []
    for path in tracked():
        if path.suffix in ('.webp', '.png', '.jpg', '.ico', '.safetensors'): continue
        found += [(name_of(path), o) for pattern in UNWANTED for o in re.findall(pattern, readable(path))]
    assert found==[]

@pytest.mark.parametrize('path', [*MODULES, *sorted((ROOT/'tests').glob('*.py'))], ids=name_of)
def test_code_is_written_for_the_oldest_python(path):
    assert SETTINGS['min_python']=='3.10'
    ast.parse(path.read_text(encoding='utf-8'), feature_version=(3, 10))

POSIX = {'os.fork', 'os.symlink', 'os.link', 'os.getuid', 'os.geteuid', 'os.mkfifo', 'os.killpg', 'os.setsid', 'os.uname', 'os.getpgid', 'os.chown', 'os.statvfs', 'os.sched_getaffinity',
         'signal.SIGKILL', 'signal.SIGALRM', 'signal.alarm', 'time.tzset'}

@pytest.mark.parametrize('path', MODULES, ids=lambda p: p.name)
def test_the_package_calls_nothing_that_windows_lacks(path):
    used = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name): used.add(f'{node.value.id}.{node.attr}')
        if isinstance(node, ast.Import): used |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom): used |= {node.module or '', *(f'{node.module}.{a.name}' for a in node.names)}
    assert used & (POSIX | {'fcntl', 'resource', 'pwd', 'grp', 'termios'})==set()

@pytest.mark.parametrize('path', MODULES, ids=lambda p: p.name)
def test_files_are_opened_with_an_encoding(path):
    "Without one, Windows reads and writes in the code page of the country."
    bare = []
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if not isinstance(node, ast.Call): continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
        if isinstance(node.func, ast.Attribute) and called=='open': continue   # of pictures and archives
        binary = any(isinstance(a, ast.Constant) and isinstance(a.value, str) and 'b' in a.value for a in node.args[1:2])
        if called in ('open', 'read_text', 'write_text') and not binary and not any(k.arg=='encoding' for k in node.keywords): bare.append(node.lineno)
    if path.name=='cli.py': bare = [n for n in bare if 'status.read_text()' not in path.read_text(encoding='utf-8').splitlines()[n-1]]   # /proc is Linux and plain letters
    assert bare==[]

def test_what_is_shipped_says_where_it_is_from():
    folder = ROOT/'practicaldl'/'assets'
    about = (folder/'README.md').read_text(encoding='utf-8')
    assert [p.name for p in folder.iterdir() if p.name!='README.md' and p.name not in about]==[]
    assert 'licence' in about.lower() and sum(p.stat().st_size for p in folder.rglob('*')) < 20e6


# ------------------------------------------------------------------ make, and the wheel

@pytest.fixture
def make(tmp_path):
    "A folder with the Makefile and the files that it looks at, and a function that calls make there."
    if not shutil.which('make') or os.name=='nt': pytest.skip('the Makefile is for Linux and macOS; Windows uses the commands without make')
    shutil.copyfile(ROOT/'Makefile', tmp_path/'Makefile')
    for name in ('constraints.txt', 'settings.ini', 'setup.py', 'pyproject.toml'): (tmp_path/name).write_text('')
    return lambda *words: subprocess.run(['make', *words], cwd=tmp_path, capture_output=True, text=True, env={k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))})

def test_a_bare_make_lists_the_commands(make):
    done = make()
    assert done.returncode==0 and re.findall(r'^make (\w+)', done.stdout, re.M)[:5]==['run', 'test', 'lab', 'app', 'data']
    targets = set(re.findall(r'^(\w+):', (ROOT/'Makefile').read_text(), re.M))
    assert set(re.findall(r'^make (\w+)', done.stdout, re.M)) <= targets

def test_a_python_that_is_too_old(make, tmp_path):
    "One line that says so and what to do; no half-made environment."
    old = tmp_path/'python3.9'
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[2])" "$@"\n')
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    done = make('run', f'PYTHON={old}')
    assert done.returncode!=0 and 'needs Python 3.10 or newer' in done.stderr and 'is 3.9' in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path/'.venv').exists()

def test_a_second_make_installs_nothing(make, tmp_path):
    "Unless one of the files that say what to install has changed."
    (tmp_path/'.venv').mkdir(); (tmp_path/'.venv'/'.ready').write_text('')
    for name in ('constraints.txt', 'settings.ini', 'setup.py', 'pyproject.toml'): os.utime(tmp_path/name, (1, 1))
    assert 'pip install' not in make('-n', 'run').stdout and 'practicaldl run' in make('-n', 'run').stdout
    os.utime(tmp_path/'.venv'/'.ready', (2, 2)); os.utime(tmp_path/'constraints.txt', (3, 3))
    assert 'pip install' in make('-n', 'run').stdout

def test_what_is_compiled_is_kept(make, tmp_path, monkeypatch):
    "Libraries are compiled when they are imported, not by pip; so each program that make starts may keep what it compiled, also where the system says otherwise."
    monkeypatch.setenv('PYTHONDONTWRITEBYTECODE', '1')
    (tmp_path/'show.mk').write_text(f'show: ; @"{sys.executable}" -c "import sys; print(sys.dont_write_bytecode)"\n', encoding='utf-8')
    assert make('-f', 'Makefile', '-f', 'show.mk', 'show').stdout=='False\n' and '--no-compile' in make('-n', 'run').stdout

def test_chapters_can_be_named(make, tmp_path):
    (tmp_path/'.venv').mkdir(); (tmp_path/'.venv'/'.ready').write_text('')
    assert 'practicaldl run 01_bird 05_mnist' in make('-n', 'run', 'CHAPTERS=01_bird 05_mnist').stdout

def test_ci_runs_what_a_contributor_runs():
    assert re.search(r'^(exec )?make test$', (ROOT/'.ci'/'run').read_text(encoding='utf-8'), re.M)
    if os.name!='nt': assert os.access(ROOT/'.ci'/'run', os.X_OK)

def test_the_wheel_is_whole(tmp_path):
    "Built from the sources, it has the modules, the shipped pictures and the command, and asks for a new enough Python; it works where it is unpacked."
    pytest.importorskip('setuptools', reason='this environment has no setuptools to build a wheel with')
    place = tmp_path/'src'; place.mkdir()
    shutil.copytree(ROOT/'practicaldl', place/'practicaldl', ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'settings.ini', 'pyproject.toml', 'README.md', 'LICENSE', 'MANIFEST.in'): shutil.copyfile(ROOT/name, place/name)
    build = 'import os, sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))'
    (tmp_path/'out').mkdir()
    done = subprocess.run([sys.executable, '-c', build, str(tmp_path/'out')], cwd=place, capture_output=True, text=True)
    assert done.returncode==0, done.stderr[-2000:]
    wheel = next((tmp_path/'out').glob('*.whl'))
    assert wheel.name==f'practicaldl-{practicaldl.__version__}-py3-none-any.whl'
    with zipfile.ZipFile(wheel) as z:
        names = set(z.namelist())
        metadata = next(z.read(n).decode() for n in names if n.endswith('.dist-info/METADATA'))
        commands = next(z.read(n).decode() for n in names if n.endswith('entry_points.txt'))
        z.extractall(tmp_path/'site')
    assert {f'practicaldl/{p.name}' for p in MODULES} <= names and {f'practicaldl/assets/{p.name}' for p in (ROOT/'practicaldl'/'assets').iterdir()} <= names
    assert not any(n.startswith(('tests', 'nbs')) for n in names)
    assert f"Requires-Python: >={SETTINGS['min_python']}" in metadata and 'practicaldl = practicaldl.cli:main' in commands.replace('=', ' = ').replace('  ', ' ')
    code = 'from practicaldl import twins; import practicaldl; print(practicaldl.__file__); print(len(twins.cut_sheet("bird")))'
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path/'out', capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': str(tmp_path/'site')})
    assert done.returncode==0 and done.stdout.splitlines()==[str(tmp_path/'site'/'practicaldl'/'__init__.py'), '1000'], done.stderr
