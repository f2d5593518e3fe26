"""What the course sends, what it keeps secret, and who may do what on GitHub."""
import ast, json, os, re, subprocess, sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from test_project import MODULES, name_of, read, readable, source, tracked

PAGE = (ROOT/'docs'/'pages'/'network.md').read_text(encoding='utf-8')
WORKFLOWS = sorted((ROOT/'.github'/'workflows').glob('*.yml'))

# ------------------------------------------------------------------ the network page is true

# Names that can open a connection -> what has to stand on the page for a module that uses one of them.
ASKERS = {'urlopen': 'huggingface.co', 'snapshot_download': None, 'hf_hub_download': None, 'load_state_dict_from_url': None, 'FastDownload': None,
          'DDGS': 'duckduckgo.com', 'download_images': 'the servers that they are on', 'download_url': None, 'untar_data': None, 'urlretrieve': None, 'urlsave': None, 'urlread': None,
          'requests': None, 'httpx': None, 'aiohttp': None, 'socket': 'The processes of chapter 08 talk to each other', 'ftplib': None, 'smtplib': None}
ALLOWED = {'data.py': {'urlopen', 'download_images'}, 'images.py': {'urlopen', 'DDGS'}, 'scaling.py': {'socket'}}

def used_in(code):
    "All names, attributes and imported modules of a program."
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name): found.add(node.id)
        if isinstance(node, ast.Attribute): found.add(node.attr)
        if isinstance(node, ast.Import): found |= {a.name.split('.')[0] for a in node.names}
        if isinstance(node, ast.ImportFrom): found |= {(node.module or '').split('.')[0], *(a.name for a in node.names)}
    return found

@pytest.mark.parametrize('path', MODULES, ids=lambda p: p.name)
def test_a_module_opens_connections_only_as_the_page_says(path):
    found = used_in(path.read_text(encoding='utf-8')) & set(ASKERS)
    assert found <= ALLOWED.get(path.name, set()), f'{path.name} can open a connection by {sorted(found)}: put it on docs/pages/network.md, and into this test'
    assert all(ASKERS[o] and ASKERS[o] in PAGE for o in found)

def test_pip_is_started_where_the_page_says():
    started = {p.name for p in MODULES if re.search(r"'pip', 'download'|-m pip", p.read_text(encoding='utf-8'))}
    assert started=={'data.py'} and '{py:func}`~practicaldl.data.fetch_wheel`' in PAGE
    assert 'fetch_wheel' in used_in((ROOT/'practicaldl'/'pretrain.py').read_text(encoding='utf-8')) and 'make_language_model' in PAGE

def hosts_in(text): return set(re.findall(r'https?://([a-z0-9.-]+\.[a-z]{2,})', text))

def fetched_from(monkeypatch, folder):
    "The hosts of all full editions: each is fetched, but for the last step."
    from practicaldl import data
    asked = []
    def fetch(url, path, size=None): asked.append(url); raise ConnectionError('not asked in a test')
    monkeypatch.delenv('HF_ENDPOINT', raising=False)
    monkeypatch.setattr(data, '_fetch_file', fetch)
    rows = [r.full for r in data.REGISTRY.values() if not isinstance(r.full, (data.Kaggle, data.Search))]
    for i, source in enumerate(rows):
        (folder/str(i)).mkdir()
        with pytest.raises(data.DataError): data._FETCH_FULL[type(source)](source, folder/str(i))
    assert len(asked)==len(rows) >= 8
    return hosts_in(' '.join(asked))

def searched_at(monkeypatch):
    "The hosts of all providers of pictures: ours are called, but for the last step; of the two libraries the addresses are read."
    import inspect
    import ddgs.engines, duckduckgo_search
    from practicaldl import images
    assert list(images.PROVIDERS)==['ddgs', 'duckduckgo_search', 'openverse', 'commons', 'shipped'], 'a new provider belongs on docs/pages/network.md'
    asked = []
    def ask(request, timeout): asked.append(request.full_url); raise OSError('not asked in a test')
    monkeypatch.setattr(images, 'urlopen', ask)
    for provider in (images.openverse, images.commons):
        with pytest.raises(images._Unhelpful): provider('bird', 1)
    asked += [inspect.getsource(inspect.getmodule(engine)) for engine in ddgs.engines.ENGINES['images'].values()]
    asked += [inspect.getsource(o) for o in (duckduckgo_search.DDGS.images, duckduckgo_search.DDGS._get_vqd)]
    return hosts_in(' '.join(asked))

def installed_from():
    "The hosts of pip, and those in the commands of README, in the cells that install, and in the files that make a container, a dev container and Binder."
    # In a process of its own: where pip is imported, setuptools leaves the old distutils in place, and later tests build wheels.
    own = subprocess.run([sys.executable, '-c', 'from pip._internal.models.index import PyPI; print(PyPI.simple_url, PyPI.file_storage_domain)'], capture_output=True, text=True, check=True).stdout.split()
    readme = ' '.join(map(''.join, re.findall(r'(?s)```(?:sh|powershell)\n(.*?)```|`(PIP_\w+=[^`]*)`', (ROOT/'README.md').read_text(encoding='utf-8'))))
    cells = [source(c) for p in sorted((ROOT/'nbs').glob('[0-9][0-9]_*.ipynb')) for c in read(p)['cells'] if '%pip install' in source(c)]
    files = [(ROOT/name).read_text(encoding='utf-8') for name in ('Containerfile', '.binder/requirements.txt', '.devcontainer/devcontainer.json', 'Makefile')]
    images = re.findall(r'(?m)^FROM ([a-z.]+)/|"image": "([a-z.]+)/', '\n'.join(files))
    return hosts_in(' '.join([own[0], readme, *cells, *files])) | {own[1]} | {''.join(o) for o in images}

def opened_by_links():
    sys.path.insert(0, str(ROOT/'docs'))
    from prepare import launch_links
    return hosts_in(' '.join(launch_links('01_bird').values()))-{'github.com'}

def asked_by_jupyterlab():
    from jupyterlab.handlers.announcements import JUPYTERLAB_LAST_RELEASE_URL
    from jupyterlab.labapp import LabApp
    return hosts_in(f'{LabApp.news_url.default_value} {JUPYTERLAB_LAST_RELEASE_URL}')

ON_THE_PAGE = {o for o in re.findall(r'`([a-z0-9-]+(?:\.[a-z0-9-]+)+)`', PAGE)}

def test_the_page_names_the_hosts_that_are_asked_and_no_others(monkeypatch, tmp_path):
    "Taken from what runs, not from a list: a new source of data, a new index or another image is missed here at once."
    asked = fetched_from(monkeypatch, tmp_path) | searched_at(monkeypatch) | installed_from() | opened_by_links() | asked_by_jupyterlab()
    assert sorted(asked-ON_THE_PAGE)==[] and sorted(ON_THE_PAGE-asked)==[]

def test_an_address_in_the_package_is_asked_or_only_shown():
    "What is neither on the page nor the place to read about a data set has no business in the package."
    from practicaldl.data import REGISTRY
    there = set().union(*(hosts_in(p.read_text(encoding='utf-8')) for p in MODULES if p.name!='_modidx.py'))   # nbdev keeps the address of the site there
    assert there-ON_THE_PAGE <= {h for r in REGISTRY.values() for h in hosts_in(r.origin)} and len(there) > 8

def test_every_command_of_the_makefile_that_asks_somebody_is_on_the_page():
    makefile = (ROOT/'Makefile').read_text(encoding='utf-8')
    asking = {name for name, rest in re.findall(r'^([\w-]+):([^\n]*\n(?:\t[^\n]*\n)+)', makefile, re.M) if re.search(r'--links|versions\.py|\$\(TOOLS\)', rest)}
    assert asking=={'links', 'audit', 'sbom', 'test-latest', 'test-oldest'} and all(f'`make {name}`' in PAGE for name in asking)
    assert 'NeverCheckForUpdate' in makefile and 'NeverCheckForUpdate' in (ROOT/'Containerfile').read_text(encoding='utf-8')

def test_what_may_fetch_data_is_on_the_page():
    "Everything that runs chapters; the machine with a GPU, where nobody asked for the full edition; what a new machine installs; the page of chapter 03."
    row = next(line for line in PAGE.splitlines() if line.startswith('| run a chapter'))
    assert all(f'`{o}`' in row for o in ('practicaldl app', 'practicaldl data', 'make run', 'make test', 'make bench', 'make same', 'make refresh'))
    assert 'full edition, which is chosen by itself where there is a GPU' in PAGE
    assert ('apt-get' in (ROOT/'.ci'/'run').read_text(encoding='utf-8'))==('by `apt-get`' in PAGE)
    serving = (ROOT/'practicaldl'/'serving.py').read_text(encoding='utf-8')
    assert 'answers on 127.0.0.1 only' in PAGE and all(o in serving for o in ("server_name='127.0.0.1'", 'share=False', 'analytics_enabled=False'))

def test_what_is_said_about_full_editions_is_so():
    "SECURITY.md names what cannot be checked: the archives that are not in fastai's list, how far its hash goes, the branch of the hub."
    import inspect
    import fastai.data
    from fastai.data.external import URLs
    from fastdownload.core import checks_module, path_stats, read_checks
    from practicaldl.data import REGISTRY, Fastai
    text = (ROOT/'SECURITY.md').read_text(encoding='utf-8')
    listed = read_checks(checks_module(fastai.data))
    bare = [r.full.url for r in REGISTRY.values() if isinstance(r.full, Fastai) and getattr(URLs, r.full.url) not in listed]
    assert bare==['WT103_FWD'] and '`WT103_FWD`, the language model, is not in that list' in text
    assert '2**20' in inspect.getsource(path_stats) and 'the md5 of the first megabyte' in text
    assert '/revision/main?' in (ROOT/'practicaldl'/'data.py').read_text(encoding='utf-8') and 'we take `main` as it is on that day' in text

QUIET = """
import practicaldl
from practicaldl.course import start
from practicaldl.data import REGISTRY, dataset
from practicaldl.models import transformer_name
start('watched', needs=tuple(REGISTRY))
from fastai.vision.all import *
from fastai.text.all import *
from fastai.tabular.all import *
from fastai.collab import *
from transformers import AutoModel, AutoTokenizer, Trainer, TrainingArguments
from datasets import Dataset, load_dataset
tokenizer, model = AutoTokenizer.from_pretrained(transformer_name()), AutoModel.from_pretrained(transformer_name())
args = TrainingArguments('watched', report_to='none', use_cpu=True)
Trainer(model, args, train_dataset=Dataset.from_dict({'a': [1]}))
from practicaldl.images import search_images
assert len(search_images('bird photo', max_images=3))==3
Path('rows.jsonl').write_text('{"a": 1}')
assert load_dataset('json', data_files='rows.jsonl', split='train')[0]=={'a': 1}
from huggingface_hub.utils import build_hf_headers
assert 'agent' not in build_hf_headers(library_name='gradio_client')['user-agent']   # what Gradio's client does, even on one machine
print('done')
"""

def watched(code, folder, log, **env):
    return subprocess.run([sys.executable, '-c', code], cwd=folder, capture_output=True, text=True, encoding='utf-8',
                          env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT/'tests'/'watched'), str(ROOT)]), 'PRACTICALDL_NETWORK_LOG': str(log), **env})

def test_with_the_data_there_nothing_leaves_the_machine(usual_cache, tmp_path):
    "Everything that chapters import and load, on the sample edition, with every connection watched."
    from practicaldl.data import REGISTRY, dataset
    for name in REGISTRY: dataset(name, 'sample')
    log = tmp_path/'log'
    done = watched(QUIET, tmp_path, log, PRACTICALDL_EDITION='sample', HF_HOME=str(tmp_path/'hub'))   # nothing is known there from an earlier day
    assert done.stdout.endswith('done\n'), done.stderr[-2000:]
    assert not log.exists(), log.read_text()

def test_the_watch_notices_an_attempt(tmp_path):
    log = tmp_path/'log'
    watched("import urllib.request, contextlib\nwith contextlib.suppress(OSError): urllib.request.urlopen('http://practicaldl.invalid/', timeout=2)", tmp_path, log, http_proxy='', HTTP_PROXY='', no_proxy='*')
    assert 'practicaldl.invalid' in log.read_text()

# ------------------------------------------------------------------ secrets

def findings(path):
    "What detect-secrets finds in a text file by the form of a key; plugins that judge by entropy alone take every hash for one."
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import transient_settings
    names = ['AWSKeyDetector', 'ArtifactoryDetector', 'AzureStorageKeyDetector', 'BasicAuthDetector', 'DiscordBotTokenDetector', 'GitHubTokenDetector', 'GitLabTokenDetector', 'JwtTokenDetector',
             'MailchimpDetector', 'NpmDetector', 'OpenAIDetector', 'PrivateKeyDetector', 'PypiTokenDetector', 'SendGridDetector', 'SlackDetector', 'StripeDetector', 'TelegramBotTokenDetector', 'TwilioKeyDetector']
    secrets = SecretsCollection()
    with transient_settings({'plugins_used': [{'name': n} for n in names]}): secrets.scan_file(str(path))
    return [(path.name, o.type, o.line_number) for _, o in secrets]

HUGGING_FACE = re.compile(r'\bhf_[A-Za-z]{30,}\b')   # detect-secrets does not know this one

def test_no_key_stands_in_a_notebook_or_a_file(tmp_path):
    "Cells and their outputs are looked through as text, a line for a line; pictures are left out, in which any letters may come by chance."
    found, seen = [], 0
    for path in tracked():
        if path.suffix in ('.webp', '.png', '.jpg', '.ico', '.safetensors') or path.name=='test_trust.py': continue
        plain = tmp_path/f'{seen}.txt'; seen += 1
        plain.write_text(readable(path).replace('\\n', '\n').replace('\\"', '"'), encoding='utf-8')
        found += [(name_of(path), *o[1:]) for o in findings(plain)] + [(name_of(path), 'Hugging Face', o) for o in HUGGING_FACE.findall(plain.read_text(encoding='utf-8'))]
    assert found==[] and seen > 60

@pytest.mark.parametrize('key', ['ghp_'+'a1B2'*9, '-----BEGIN RSA '+'PRIVATE KEY-----', 'AKIA'+'ABCDEFGHIJKLMNOP', 'hf_'+'abcdefghij'*4])
def test_a_key_in_a_notebook_is_found(tmp_path, key):
    path = tmp_path/'a.ipynb'
    path.write_text(json.dumps({'cells': [{'source': [f'token = "{key}"\n']}]}, indent=1), encoding='utf-8')
    assert findings(path) or HUGGING_FACE.findall(path.read_text(encoding='utf-8'))

# ------------------------------------------------------------------ the lock, looked up

sys.path.insert(0, str(ROOT/'tests'))
import audit

def test_every_line_of_the_lock_is_looked_up():
    "Those for another Python or system too; each list can be judged alone."
    lock = (ROOT/'constraints.txt').read_text(encoding='utf-8')
    wanted = {tuple(line.split(';')[0].strip().split('==')) for line in lock.splitlines() if line.strip() and not line.startswith('#')}
    lists = audit.lists_of(lock)
    assert {o for pins in lists for o in pins.items()}==wanted and 2 <= len(lists) <= 5
    with pytest.raises(ValueError, match='no pin'): audit.lists_of('torch>=2')

ANSWERS = """
import json, sys
wanted = [line.strip().split('==') for line in open(sys.argv[sys.argv.index('--requirement')+1], encoding='utf-8')]
about = {known}
print(json.dumps(dict(dependencies=[dict(name=n, version=v, **about.get(n, dict(vulns=[]))) for n, v in wanted])))
"""

@pytest.mark.parametrize('known, status, words', [
    ("{}", 0, '3 of 3 versions in the lock were looked up; 0 of them'),
    ("{'b': dict(vulns=[dict(id='PYSEC-1', fix_versions=['3'], aliases=['CVE-1'])])}", 1, 'b 2: PYSEC-1 = CVE-1; mended in 3'),
    ("{'b': dict(skip_reason='not found')}", 2, 'this is no clean bill. Not looked up: b 2. The first reason: not found'),
    ("{'b': dict(skip_reason='not found'), 'a': dict(vulns=[dict(id='PYSEC-2', fix_versions=[])])}", 1, 'a 1: PYSEC-2; mended in no version yet'),
    ("sys.exit('no route to the index')", 2, '0 of 3 versions in the lock were looked up')])
def test_the_audit_is_only_clean_when_everything_was_looked_up(tmp_path, monkeypatch, capsys, known, status, words):
    "With a stand-in for pip-audit that answers as the real one does."
    (tmp_path/'pip_audit').mkdir()
    (tmp_path/'pip_audit'/'__main__.py').write_text(ANSWERS.replace('{known}', known), encoding='utf-8')
    (tmp_path/'lock.txt').write_text("# a lock\na==1 ; python_full_version < '3.11'\na==2 ; python_full_version >= '3.11'\nb==2\n", encoding='utf-8')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setattr(audit, 'LOCK', tmp_path/'lock.txt')
    assert audit.main()==status
    assert words in ''.join(capsys.readouterr())

# ------------------------------------------------------------------ the bill of materials

def test_the_bill_of_materials_has_the_data_and_no_folder_of_this_machine():
    "What is added to the list of packages; `make sbom` compares the whole with the schema of CycloneDX."
    import sbom
    from practicaldl.data import REGISTRY
    own = {'bom-ref': 'practicaldl==1', 'name': 'practicaldl', 'type': 'library', 'externalReferences': [{'type': 'distribution', 'url': ROOT.as_uri()}, {'type': 'website', 'url': 'https://example.org'}]}
    bom = sbom.whole({'metadata': {}, 'components': [own, {'bom-ref': 'torch==1', 'name': 'torch', 'type': 'library'}], 'dependencies': [{'ref': 'practicaldl==1', 'dependsOn': ['torch==1']}, {'ref': 'torch==1'}]})
    refs = [c['bom-ref'] for c in bom['components']]
    assert bom['metadata']['component']['name']=='practicaldl' and 'practicaldl==1' not in refs and len(set(refs))==len(refs)
    assert {o for d in bom['dependencies'] for o in (d['ref'], *d.get('dependsOn', []))} <= {*refs, 'practicaldl==1'}
    assert {f'data:{n}' for n in REGISTRY} <= set(refs) and all(r.licence in str(bom) and (not r.wheel or r.wheel.sha256 in str(bom)) for r in REGISTRY.values())
    assert {f'file:{p.name}' for p in (ROOT/'practicaldl'/'assets').iterdir() if p.name!='README.md'} <= set(refs)
    assert 'https://example.org' in str(bom) and ROOT.as_uri() not in str(bom)

# ------------------------------------------------------------------ GitHub

@pytest.mark.parametrize('path', WORKFLOWS, ids=name_of)
def test_a_workflow_may_only_read_is_pinned_and_ends(path):
    flow, text = yaml.safe_load(path.read_text(encoding='utf-8')), path.read_text(encoding='utf-8')
    assert flow['permissions']=={'contents': 'read'}
    more = {name: job.get('permissions') for name, job in flow['jobs'].items() if job.get('permissions')}
    assert more=={} or path.name=='site.yml' and more=={'publish': {'pages': 'write', 'id-token': 'write'}}
    assert all('timeout-minutes' in job for job in flow['jobs'].values())
    uses = re.findall(r'uses: (\S+)(.*)', text)
    assert uses and all(re.fullmatch(r'[\w./-]+@[0-9a-f]{40}', action) and re.fullmatch(r' # v[\d.]+', version) for action, version in uses)
    assert 'persist-credentials: false' in text and 'secrets.' not in text and 'pull_request_target' not in text
    assert all(re.search(rf'^{t}:', (ROOT/'Makefile').read_text(encoding='utf-8'), re.M) for t in re.findall(r'run: make ([\w-]+)', text) if not t.endswith('-'))

def test_the_pins_of_actions_are_moved_by_somebody():
    import yaml
    about = yaml.safe_load((ROOT/'.github'/'dependabot.yml').read_text(encoding='utf-8'))
    assert about['version']==2 and 'github-actions' in {o['package-ecosystem'] for o in about['updates']}
    assert 'pip' not in {o['package-ecosystem'] for o in about['updates']}   # the lock serves several Pythons; one line of it cannot be moved alone

def test_a_weakness_can_be_reported():
    text = (ROOT/'SECURITY.md').read_text(encoding='utf-8')
    assert 'https://github.com/practicaldl/practicaldl/security' in text and 'SECURITY.md' in (ROOT/'README.md').read_text(encoding='utf-8')

def test_nothing_is_fetched_or_loaded_unchecked():
    "Weights with weights_only, downloads with hashes, no shell."
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding='utf-8'))
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
            called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert called not in ('pickle.load', 'pickle.loads', 'os.system', 'eval', 'exec', 'load_learner', 'shutil.unpack_archive') and options.get('shell')!='True', (path.name, called)
            if called=='torch.load' or called.endswith('load_state_dict_from_url'): assert options.get('weights_only')=='True', (path.name, ast.unparse(node))
            if called.endswith(('extractall',)): raise AssertionError((path.name, called))
    assert "'--require-hashes'" in (ROOT/'practicaldl'/'data.py').read_text(encoding='utf-8')
