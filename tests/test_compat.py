"""The cures: of torchvision, both where its compiled part does not load and where it does; of fastai; and of what is counted."""
import shutil, subprocess, sys, textwrap
import importlib.machinery

import pytest

from practicaldl import compat

STAND_IN = '''
import torch
@torch.library.register_fake("torchvision::nms")
def fake(dets, scores, iou_threshold): return dets
@torch.library.register_fake("torchvision::qnms")
def fake_q(dets, scores, iou_threshold): return dets
imported = True
'''

@pytest.fixture
def torchvision(tmp_path):
    "A package named torchvision that does on import what the real one does: it expects its operators to exist."
    folder = tmp_path/'site'/'torchvision'; folder.mkdir(parents=True)
    (folder/'__init__.py').write_text(STAND_IN)
    return folder

def python(code, folder):
    "Run code in a fresh Python that finds the stand-in first; returns exit status, output and errors."
    code = f'import sys; sys.path.insert(0, {str(folder.parent)!r})\n' + textwrap.dedent(code)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=folder.parent)
    return done.returncode, done.stdout, done.stderr

def printed(code):
    "What code prints in a fresh Python; where it prints nothing, the end of its errors."
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    return done.stdout or done.stderr[-2000:]

def in_both_orders(theirs):
    "For `parametrize`: the lines that import practicaldl and what it cures, in both orders."
    return pytest.mark.parametrize('imports', [f'import practicaldl\n{theirs}', f'{theirs}\nimport practicaldl'], ids=['ours first', 'theirs first'])

def loadable(folder):
    "A compiled library that any process can load, under the name of torchvision's."
    import _ctypes, _bisect
    found = next((m.__file__ for m in (_bisect, _ctypes) if getattr(m, '__file__', None)), None)
    if found is None: pytest.skip('this Python has no compiled module in a file of its own')
    shutil.copyfile(found, folder/f'_C{importlib.machinery.EXTENSION_SUFFIXES[0]}')


def test_without_us_it_dies(torchvision):
    rc, out, err = python('import torchvision', torchvision)
    assert rc!=0 and 'torchvision::nms does not exist' in err

def test_with_us_it_imports_and_a_question_alone_triggers_nothing(torchvision):
    "transformers asks whether torchvision is there; torch is loaded and the operators are declared only when it is imported."
    rc, out, err = python('''
        import practicaldl, importlib.util
        from practicaldl import compat
        assert importlib.util.find_spec('torchvision').origin.endswith('__init__.py')
        assert 'torch' not in sys.modules and compat._declared==[]
        import torchvision
        assert torchvision.imported and len(compat._declared)==1
        import torch, gc; gc.collect()
        assert torch.ops.torchvision.nms and torch.ops.torchvision.qnms
        assert compat.cure_torchvision(compat.Path(torchvision.__file__).parent)==[]
        print('fine')''', torchvision)
    assert rc==0 and out=='fine\n', err

def test_a_compiled_part_that_does_not_load_is_cured(torchvision):
    "The file is there, made for another torch."
    for suffix in importlib.machinery.EXTENSION_SUFFIXES: (torchvision/f'_C{suffix}').write_bytes(b'not a library')
    rc, out, err = python("import practicaldl, torchvision; print(len(practicaldl.compat._declared))", torchvision)
    assert rc==0 and out=='1\n', err

def test_where_the_compiled_part_loads_nothing_is_done(torchvision):
    (torchvision/'__init__.py').write_text('imported = True\n')
    loadable(torchvision)
    rc, out, err = python('''
        import practicaldl, torchvision
        from practicaldl import compat
        folder = compat.Path(torchvision.__file__).parent
        assert torchvision.imported and compat.real_operators_load(folder)
        assert compat.cure_torchvision(folder)==[] and compat._declared==[]
        import torch
        assert not hasattr(torch.ops.torchvision, 'nms')
        print('fine')''', torchvision)
    assert rc==0 and out=='fine\n', err

def test_importing_the_package_is_light(tmp_path):
    "Neither torch nor fastai, nor anything else that takes time, and the hook is set once."
    rc, out, err = python('''
        import practicaldl, importlib
        importlib.reload(practicaldl)
        heavy = [o for o in ('torch', 'torchvision', 'fastai', 'fastcore', 'numpy', 'pandas', 'transformers', 'PIL', 'matplotlib') if o in sys.modules]
        hooks = [o for o in sys.meta_path if type(o).__name__=='_CureFinder']
        print(heavy, len(hooks), practicaldl.compat.install_hook())
        import practicaldl.data, practicaldl.course, practicaldl.images, practicaldl.models, practicaldl.cli
        print([o for o in ('torch', 'fastai', 'numpy') if o in sys.modules])''', tmp_path/'x')
    assert rc==0 and out=='[] 1 False\n[]\n', err

def test_no_torchvision_at_all_is_an_ordinary_import_error(tmp_path):
    rc, out, err = python('''
        import practicaldl
        sys.path[:] = [p for p in sys.path if 'site-packages' not in p and 'dist-packages' not in p]
        try: import torchvision
        except ModuleNotFoundError as e: print(e)''', tmp_path/'x')
    assert rc==0 and out=="No module named 'torchvision'\n", err

def test_the_real_torchvision_and_fastai(tmp_path):
    "What a chapter does: import us, then everything."
    rc, out, err = python('''
        import practicaldl, torchvision
        from fastai.vision.all import vision_learner, resnet18, ImageDataLoaders
        from torchvision.ops import nms
        print(callable(vision_learner))''', tmp_path/'x')
    assert rc==0 and out=='True\n', err


def test_the_compiled_part_is_found_under_both_of_its_names(tmp_path, monkeypatch):
    "Since torchvision 0.29 it is `_C_stable`. Where it loads, nothing may be declared: a second declaration ends the process."
    import torch
    asked = []
    monkeypatch.setattr(torch.ops, 'load_library', asked.append)
    suffix = importlib.machinery.EXTENSION_SUFFIXES[-1]
    for name in ('_C', '_C_stable'):
        folder = tmp_path/name; folder.mkdir()
        assert not compat.real_operators_load(folder)
        (folder/f'{name}{suffix}').touch()
        assert compat.real_operators_load(folder) and asked.pop()==str(folder/f'{name}{suffix}')
        assert compat.cure_torchvision(folder)==[]


# ------------------------------------------------------------------ FillMissing and pandas 3

FILL = """
import warnings; warnings.simplefilter('error', category=FutureWarning)
{imports}
import numpy as np, pandas as pd
frame = pd.DataFrame({{'age': [20., np.nan, 40., 60.], 'sex': list('abab'), 'y': [0., 1, 0, 1]}})
table = TabularPandas(frame, procs=[Categorify, FillMissing, Normalize], cat_names=['sex'], cont_names=['age'], y_names='y')
assert not table.items.isna().any().any(), table.items
assert table.classes['age_na'].items==['#na#', False, True] and len(table.cat_names)==2
new = table.new(frame.drop(columns='y')); new.process()
assert np.isclose(new.items.age[1], new.items.age[2]) and frame.age.isna().sum()==1   # the median, and the learner's own table is untouched
print('filled')
"""

@in_both_orders('from fastai.tabular.all import *')
def test_gaps_in_a_table_are_filled(imports):
    "In either order of the imports, with no warning that a learner would see."
    done = subprocess.run([sys.executable, '-c', FILL.format(imports=imports)], capture_output=True, text=True)
    assert done.stdout=='filled\n' and 'ChainedAssignment' not in done.stderr, done.stderr


# ------------------------------------------------------------------ export and plum

EXPORT = """
{imports}
import copyreg, pickle, sys
from practicaldl.compat import cure_export
from fastai.data.transforms import parent_label
transform = Transform(parent_label)
for used in False, True:
    again = pickle.loads(pickle.dumps(transform))
    assert again('reviews/pos/1.txt')==transform('reviews/pos/1.txt')=='pos'
    pickle.dumps(again)
transform_module = sys.modules[Transform.__module__]
copyreg.dispatch_table.pop(getattr(transform_module, 'Function', None), None)   # without us …
try: pickle.dumps(Transform(noop))
except TypeError: needed = True
else: needed = False
if hasattr(transform_module, 'Function'):
    assert cure_export(transform_module) is needed, 'it does something where something is wrong, and only there'
    assert cure_export(transform_module) is False, 'once is enough'
print('written and read')
"""

@in_both_orders('from fastai.basics import Transform, noop')
def test_what_fastai_exports_can_be_written_and_read(imports):
    "In a process of its own, since the cure changes how Python pickles."
    assert printed(EXPORT.format(imports=imports))=='written and read\n'


# ------------------------------------------------------------------ fastai on several processes without a GPU

DISTRIBUTED = """
{imports}
import tempfile, torch
from pathlib import Path
folder = tempfile.mkdtemp()
torch.distributed.init_process_group('gloo', store=torch.distributed.FileStore(str(Path(folder)/'store'), 1), rank=0, world_size=1)
assert DistributedDL._broadcast(None, [2, 0, 1], 0)==[2, 0, 1]
torch.distributed.get_backend = lambda: 'nccl'
from types import SimpleNamespace
import fastai.distributed
asked = []
fastai.distributed.LongTensor = lambda t: SimpleNamespace(cuda=lambda: asked.append(t) or torch.tensor(t))
assert DistributedDL._broadcast(None, [2, 0, 1], 0)==[2, 0, 1]
assert asked==[[2, 0, 1]], 'with NCCL it is fastai that sends, from a GPU'
torch.distributed.destroy_process_group()
print('sent')
"""

@in_both_orders('from fastai.distributed import DistributedDL')
def test_the_order_of_rows_is_sent_without_a_gpu(imports):
    "Where gloo carries it; where NCCL does, fastai's own way is taken."
    assert printed(DISTRIBUTED.format(imports=imports))=='sent\n'


# ------------------------------------------------------------------ spaCy remembers words

TOKENS = """
{imports}
import pickle, spacy
from fastai.text.core import defaults
from spacy.symbols import ORTH
from practicaldl.data import dataset
from fastai.data.transforms import get_text_files

def watched(tokenizer):
    "What spaCy takes apart from now on."
    looked_at, search = [], tokenizer.suffix_search
    def look(text): looked_at.append(text); return search(text)
    tokenizer.suffix_search = look
    return looked_at

plain = spacy.blank('en')
for w in defaults.text_spec_tok: plain.tokenizer.add_special_case(w, [{{ORTH: w}}])
texts = [f'xxbos {{f.read_text(encoding="utf-8")}}' for f in get_text_files(dataset('IMDB', 'sample')/'train').sorted()[:50]]
texts += ["xxbos xxmaj it's (can't) http://a.b/c xxrep 3 ! don't!!  two\\nlines  ", 'xxbos', '', ' ', "can't xxbos can't"]
ours = SpacyTokenizer()
expected = [[o.text for o in doc] for doc in plain.pipe(texts)]
assert [list(o) for o in ours(texts)]==expected and [list(next(ours([o]))) for o in texts]==expected, 'all at once, and one by one'
again = pickle.loads(pickle.dumps(ours))
assert [list(o) for o in again(texts)]==expected

first, second = SpacyTokenizer(), 'xxbos a skirt. and another skirt.'
looked_at, theirs = watched(first.pipe.__self__.tokenizer), watched(plain.tokenizer)
for i in range(2): list(first([second])), list(plain.pipe([second]))
assert looked_at.count('skirt.')==1, looked_at
small = SpacyTokenizer()
small.pipe.__self__.tokenizer.max_cache_size = 3
list(small([second]))
looked_at = watched(small.pipe.__self__.tokenizer)
assert list(next(small(['xxbos a coat.'])))==['xxbos', 'a', 'coat', '.'] and looked_at.count('coat.')==1, 'once its memory is full, nothing is met in advance'
print('remembered', theirs.count('skirt.'))
"""

@in_both_orders('from fastai.text.core import SpacyTokenizer')
def test_a_word_is_taken_apart_once_and_the_tokens_are_the_same(imports):
    "What comes after the word is the number of times that plain spaCy takes one apart: where it is 1, the cure can go."
    said = printed(TOKENS.format(imports=imports))
    assert said in ('remembered 4\n', 'remembered 1\n'), said


# ------------------------------------------------------------------ nobody counts

@in_both_orders('import datasets, huggingface_hub')
def test_libraries_are_told_not_to_count(imports):
    "That nobody is asked then is in tests/test_trust.py."
    assert printed(f'{imports}\nprint(datasets.config.HF_UPDATE_DOWNLOAD_COUNTS, huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY)')=='False True\n'
