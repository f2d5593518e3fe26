"""What the course sends, what it keeps secret, and who may do what on GitHub."""
import ast, inspect, os, re, subprocess, sys

import pytest
import yaml
from conftest import ROOT
from practicaldl import search
from practicaldl.registry import TWINS

PAGE = (ROOT/'docs'/'pages'/'network.md').read_text(encoding='utf-8')
MODULES = sorted((ROOT/'practicaldl').glob('*.py'))
WORKFLOWS = sorted((ROOT/'.github'/'workflows').glob('*.yml'))

# ------------------------------------------------------------------ the network page is true

def hosts_in(text):
    return set(re.findall(r'https?://([a-z0-9.-]+\.[a-z]{2,})', text))

def searched_at(monkeypatch):
    "The hosts of all services for pictures: ours are called, but for the last step; those of ddgs are read."
    import ddgs.engines, requests
    asked = []
    def get(self, method, url, **kwargs):
        asked.append(url)
        raise requests.ConnectionError('not asked in a test')
    monkeypatch.setattr(requests.Session, 'request', get)
    for name in set(search.PROVIDERS)-{'shipped', 'ddgs'}:
        with pytest.raises(Exception):
            search.PROVIDERS[name]('bird', 1)
    engines = ddgs.engines.ENGINES['images'].values()
    return hosts_in(' '.join([*asked, *(inspect.getsource(inspect.getmodule(o)) for o in engines)]))

def test_the_page_names_the_hosts_that_are_asked(monkeypatch):
    "Taken from what runs, not from a list: a new service or another host is missed here at once."
    from fastai.data.external import URLs
    from huggingface_hub.constants import ENDPOINT
    data = {getattr(URLs, o.name) for o in TWINS.values() if o.folder.startswith('fastai/')}
    asked = hosts_in(' '.join([*data, ENDPOINT])) | searched_at(monkeypatch) | {'pypi.org',
                                                                                'files.pythonhosted.org'}
    on_the_page = set(re.findall(r'`([a-z0-9-]+(?:\.[a-z0-9-]+)+)`', PAGE))
    assert len(asked) >= 7 and asked-on_the_page==set()

def test_an_address_in_the_package_is_asked_or_only_shown():
    "What is neither on the page nor the place to read about a data set has no business in the package."
    on_the_page = set(re.findall(r'`([a-z0-9-]+(?:\.[a-z0-9-]+)+)`', PAGE))
    shown = {host for twin in TWINS.values() for host in hosts_in(twin.origin)} | {'fonts.google.com'}
    for path in MODULES:
        if path.name!='_modidx.py':   # nbdev keeps the address of the site there
            assert hosts_in(path.read_text(encoding='utf-8'))-on_the_page-shown==set(), path.name

QUIET = """
from practicaldl.course import start
from practicaldl.registry import TWINS
start('watched', needs=tuple(TWINS))
from fastai.vision.all import *
from fastai.text.all import *
from fastai.tabular.all import *
from fastai.collab import *
from transformers import AutoModel, AutoTokenizer, Trainer, TrainingArguments
from datasets import Dataset, load_dataset
name = 'sentence-transformers/all-MiniLM-L6-v2'
tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name)
args = TrainingArguments('watched', report_to='none', use_cpu=True)
Trainer(model, args, train_dataset=Dataset.from_dict({'a': [1]}))
from practicaldl.search import search_images
assert len(search_images('bird photo', max_images=3))==3
Path('rows.jsonl').write_text('{"a": 1}')
assert load_dataset('json', data_files='rows.jsonl', split='train')[0]=={'a': 1}
from huggingface_hub.utils import build_hf_headers
assert 'agent' not in build_hf_headers(library_name='gradio_client')['user-agent']   # as Gradio's does
print('done')
"""

def watched(code, folder, **env):
    "Run a program whose attempts to leave the machine are written down; returns what it says, and those."
    log, paths = folder/'log', os.pathsep.join([str(ROOT/'tests'/'watched'), str(ROOT)])
    done = subprocess.run([sys.executable, '-c', code], cwd=folder, capture_output=True, text=True,
                          encoding='utf-8',
                          env={**os.environ, 'PYTHONPATH': paths, 'PRACTICALDL_NETWORK_LOG': str(log), **env})
    return done, log.read_text() if log.exists() else ''

@pytest.mark.slow
def test_with_the_data_there_nothing_leaves_the_machine(usual_cache, tmp_path):
    "Everything that chapters import and load, on the sample edition, with every connection watched."
    from practicaldl.cache import twin_folder
    for name in TWINS:
        twin_folder(name)
    done, log = watched(QUIET, tmp_path, PRACTICALDL_EDITION='sample')
    assert done.stdout.endswith('done\n'), done.stderr[-2000:]
    assert log==''

def test_the_watch_notices_an_attempt(tmp_path):
    asks = "import urllib.request\nurllib.request.urlopen('http://practicaldl.invalid/', timeout=2)"
    assert 'practicaldl.invalid' in watched(asks, tmp_path, http_proxy='', HTTP_PROXY='', no_proxy='*')[1]

# ------------------------------------------------------------------ secrets, and what is loaded

KEYS = ['AWSKeyDetector', 'ArtifactoryDetector', 'AzureStorageKeyDetector', 'BasicAuthDetector',
        'DiscordBotTokenDetector',
        'GitHubTokenDetector', 'GitLabTokenDetector', 'JwtTokenDetector', 'NpmDetector', 'OpenAIDetector',
        'PrivateKeyDetector', 'PypiTokenDetector', 'SlackDetector', 'StripeDetector',
        'TelegramBotTokenDetector']

def findings(text, path):
    "What detect-secrets finds by the form of a key, and keys of Hugging Face, which it does not know."
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import transient_settings
    path.write_text(text.replace('\\n', '\n').replace('\\"', '"'), encoding='utf-8')
    secrets = SecretsCollection()
    with transient_settings({'plugins_used': [{'name': n} for n in KEYS]}):
        secrets.scan_file(str(path))
    return [o.type for _, o in secrets] + re.findall(r'\bhf_[A-Za-z]{30,}\b', text)

@pytest.mark.slow
def test_no_key_stands_in_a_notebook_or_a_file(tmp_path):
    done = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip('this is no git checkout')
    pictures, seen = r'"image/png": "[^"]*"', 0   # any letters may come by chance in them
    for name in done.stdout.splitlines():
        if (ROOT/name).suffix not in ('.webp', '.png', '.jpg', '.ico',
                                      '.safetensors') and (ROOT/name).is_file():
            text = re.sub(pictures, '', (ROOT/name).read_text(encoding='utf-8'))
            assert findings(text, tmp_path/'x.txt')==[], name
            seen += 1
    assert seen > 60
    assert findings('token = "ghp_'+'a1B2'*9+'"', tmp_path/'x.txt')
    assert findings('hf_'+'abcdefghij'*4, tmp_path/'x.txt')

def test_nothing_is_loaded_unchecked():
    "Weights with weights_only, no pickles, no shell."
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call):
                called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
                if path.name=='ranks.py' and called in ('eval', 'exec'):
                    continue   # it runs the cells that the learner runs, in other processes
                assert called not in ('pickle.load', 'pickle.loads', 'os.system', 'eval', 'exec',
                                      'load_learner',
                                      'shutil.unpack_archive') and options.get('shell')!='True', (path.name,
                                                                                                  called)
                assert called!='torch.load' or options.get('weights_only')=='True', path.name
                assert not called.endswith('extractall'), path.name

# ------------------------------------------------------------------ GitHub

def test_a_workflow_may_only_read_is_pinned_and_ends():
    targets = re.findall(r'^([\w-]+):', (ROOT/'Makefile').read_text(encoding='utf-8'), re.M)
    for path in WORKFLOWS:
        text = path.read_text(encoding='utf-8')
        flow = yaml.safe_load(text)
        more = {name: job['permissions'] for name, job in flow['jobs'].items() if job.get('permissions')}
        assert flow['permissions']=={'contents': 'read'}, path.name
        assert more=={} or path.name=='site.yml' and more=={'publish': {'pages': 'write',
                                                                        'id-token': 'write'}}
        assert all('timeout-minutes' in job for job in flow['jobs'].values()), path.name
        pinned = r'[\w./-]+@[0-9a-f]{40} # v[\d.]+|\./[\w./-]+'
        assert all(re.fullmatch(pinned, o.strip()) for o in re.findall(r'uses: (.*)', text)), path.name
        assert 'secrets.' not in text and 'pull_request_target' not in text, path.name
        assert all(o in targets for o in re.findall(r'run: make ([\w-]+)', text)), path.name
