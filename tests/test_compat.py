"""The cures of other libraries, each where it is needed and where it is not."""
import os, pickle, platform, subprocess, sys, textwrap, warnings

import numpy as np
import pandas as pd
import pytest
import torch

from practicaldl.errors import CourseError, DataError

def printed(code, *folders):
    "What code prints in a fresh Python that finds the folders first; if it prints nothing, its errors."
    code = f'import sys; sys.path[:0] = {[str(o) for o in folders]}\n' + textwrap.dedent(code)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    return done.stdout or done.stderr[-2000:]

# ------------------------------------------------------------------ torchvision

STAND_IN = '''
import torch
from . import extension
for name in ('nms', 'qnms'):
    torch.library.register_fake(f'torchvision::{name}')(lambda dets, scores, iou_threshold: dets)
imported = True
'''
LOADED = '''
import torch
library = torch.library.Library('torchvision', 'DEF')
for name in ('nms', 'qnms'):
    library.define(name + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
'''

@pytest.fixture
def torchvision(tmp_path):
    "A package that does on import what the real one does: load its operators, here in vain, and expect them."
    folder = tmp_path/'site'/'torchvision'
    folder.mkdir(parents=True)
    (folder/'__init__.py').write_text(STAND_IN, encoding='utf-8')
    (folder/'extension.py').write_text('', encoding='utf-8')
    return folder

def test_without_us_it_dies(torchvision):
    assert 'torchvision::nms does not exist' in printed('import torchvision', torchvision.parent)

def test_with_us_it_imports_and_a_question_alone_triggers_nothing(torchvision):
    "transformers asks whether torchvision is there; the operators are declared only when it is imported."
    assert printed('''
        import gc, practicaldl, importlib.util
        from practicaldl import compat
        assert importlib.util.find_spec('torchvision').origin.endswith('__init__.py')
        assert 'torch' not in sys.modules and compat._declared==[]
        import torchvision, torch
        assert torchvision.imported and len(compat._declared)==1
        gc.collect()
        compat.cure_torchvision()
        print(torch.ops.torchvision.nms, len(compat._declared))''', torchvision.parent)=='torchvision.nms 1\n'

def test_where_the_compiled_part_loads_nothing_is_done(torchvision):
    "A second declaration would end the process."
    (torchvision/'extension.py').write_text(LOADED, encoding='utf-8')
    code = 'import practicaldl, torchvision; print(torchvision.imported, practicaldl.compat._declared)'
    assert printed(code, torchvision.parent)=='True []\n'

@pytest.mark.slow
def test_the_real_libraries():
    "What a chapter does: import us, then everything."
    assert printed('''
        import practicaldl, torchvision, datasets, huggingface_hub
        from fastai.vision.all import vision_learner
        hub = huggingface_hub.constants   # that nobody is asked then is in tests/test_trust.py
        print(datasets.config.HF_UPDATE_DOWNLOAD_COUNTS, hub.HF_HUB_DISABLE_TELEMETRY)''')=='False True\n'

# ------------------------------------------------------------------ the hook

def test_importing_the_package_is_light():
    assert printed('''
        import practicaldl
        print({'torch', 'fastai', 'fastcore', 'numpy', 'pandas', 'PIL'} & set(sys.modules))
        import practicaldl.course, practicaldl.images, practicaldl.cli
        print({'torch', 'fastai', 'numpy', 'pandas', 'transformers'} & set(sys.modules))''')=='set()\nset()\n'

@pytest.mark.slow
def test_what_is_imported_already_is_cured_at_once():
    "And not once more, when the hook is set once more."
    assert printed('''
        import datasets, huggingface_hub, fastai.tabular.core, fastai.text.all
        from practicaldl import compat
        cured = fastai.tabular.core.FillMissing.__call__, fastai.text.core.SpacyTokenizer.__call__
        assert {o.__module__ for o in cured}=={'practicaldl.compat'}, cured
        compat.install_hook()
        assert cured==(fastai.tabular.core.FillMissing.__call__, fastai.text.core.SpacyTokenizer.__call__)
        hub = huggingface_hub.constants
        print(datasets.config.HF_UPDATE_DOWNLOAD_COUNTS, hub.HF_HUB_DISABLE_TELEMETRY)''')=='False True\n'

# ------------------------------------------------------------------ pictures

def test_fastai_opens_pictures_as_we_do():
    "How each kind of picture is opened is in tests/test_images.py."
    assert printed('''
        import practicaldl
        from fastai.vision import utils
        from fastai.vision.all import image_extensions
        from practicaldl import images
        assert image_extensions=={o for group in images.picture_types().values() for o in group}
        print(utils.verify_image is images.verify_image, utils.resize_image is images.resize_image)''')==(
        'True True\n')

def test_training_on_nothing_is_an_error():
    import torch
    from fastai.basics import DataLoaders, Learner
    items = [(torch.zeros(2), torch.zeros(1))]*19
    for n, told in ((19, 'smaller batches: bs=4'), (0, 'smaller batches: bs=2')):
        dls = DataLoaders.from_dsets(items[:n], items, bs=32)
        learn = Learner(dls, torch.nn.Linear(2, 1), loss_func=torch.nn.MSELoss())
        for fit in (learn.fit, learn.fit_one_cycle):
            with pytest.raises(CourseError, match=f'{n} training items do not fill a batch of 32.*{told}'):
                fit(1)

# ------------------------------------------------------------------ fastai: tables, export, processes

def test_gaps_in_a_table_are_filled():
    "With the median, in training rows and new ones, without a warning, and not in the learner's own table."
    from fastai.tabular.all import FillMissing, TabularPandas
    frame = pd.DataFrame({'age': [20., np.nan, 40., 60.]})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        table = TabularPandas(frame, procs=[FillMissing], cont_names=['age'])
        new = table.new(frame)
        new.process()
    assert table.items.age.tolist()==new.items.age.tolist()==[20, 40, 40, 60]
    assert table.items.age_na.tolist()==[False, True, False, False] and frame.age.isna().sum()==1

def test_what_fastai_exports_can_be_written_and_read():
    from fastai.basics import Transform
    from fastai.data.transforms import parent_label
    transform = Transform(parent_label)
    for _ in range(2):
        transform = pickle.loads(pickle.dumps(transform))
        assert transform('reviews/pos/1.txt')=='pos'

def test_the_order_of_rows_is_sent_without_a_gpu(tmp_path, monkeypatch):
    "Where gloo carries it; where NCCL does, it is put on a GPU."
    from fastai.distributed import DistributedDL
    store = torch.distributed.FileStore(str(tmp_path/'store'), 1)
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        assert DistributedDL._broadcast(None, [2, 0, 1], 0)==[2, 0, 1]
        asked, tensor = [], torch.tensor
        monkeypatch.setattr(torch.distributed, 'get_backend', lambda: 'nccl')
        monkeypatch.setattr(torch, 'tensor', lambda t, dtype, device: asked.append(device) or tensor(t))
        assert DistributedDL._broadcast(None, [2, 0, 1], 0)==[2, 0, 1] and asked==['cuda']
    finally:
        torch.distributed.destroy_process_group()

# ------------------------------------------------------------------ fastai: pretrained text models

class Program:
    "Makes a folder when it is read by pickle."
    def __init__(self, folder): self.folder = folder
    def __reduce__(self): return os.mkdir, (str(self.folder),)

@pytest.fixture(scope='module')
def learn():
    from fastai.text.all import AWD_LSTM, TextDataLoaders, awd_lstm_lm_config, language_model_learner
    texts = pd.DataFrame({'text': ['a blue dress and a red skirt that I like a lot']*20})
    dls = TextDataLoaders.from_df(texts, text_col='text', is_lm=True, bs=2, seq_len=8)
    config = {**awd_lstm_lm_config, 'emb_sz': 4, 'n_hid': 6, 'n_layers': 1}
    return language_model_learner(dls, AWD_LSTM, config=config, pretrained=False)

@pytest.fixture
def saved(learn, tmp_path):
    "Weights and words of a pretrained model."
    torch.save(learn.model.state_dict(), tmp_path/'w.pth')
    (tmp_path/'w.pkl').write_bytes(pickle.dumps(list(learn.dls.vocab)))
    return tmp_path/'w.pth', tmp_path/'w.pkl'

def test_pretrained_weights_and_words_are_read(learn, saved):
    weights = learn.model[0].rnns[0].weight_hh_l0_raw
    before = weights.clone()
    weights.data.zero_()
    assert learn.load_pretrained(*saved) is learn and torch.equal(weights, before)

def test_a_program_in_the_weights_is_not_run(learn, saved, tmp_path, monkeypatch):
    "Without us it is; and the switch of PyTorch is off again afterwards."
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save({'model': Program(tmp_path/'ran')}, saved[0])
    with pytest.raises(pickle.UnpicklingError):
        learn.load_pretrained(*saved)
    assert not (tmp_path/'ran').exists() and 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ
    with pytest.raises(AttributeError):
        learn.load_pretrained.__wrapped__(learn, *saved)
    assert (tmp_path/'ran').exists()

def test_a_program_in_the_words_is_not_run(learn, saved, tmp_path):
    saved[1].write_bytes(pickle.dumps([Program(tmp_path/'ran')]))
    with pytest.raises(DataError, match='asks for .*mkdir, which was not run'):
        learn.load_pretrained(*saved)
    assert not (tmp_path/'ran').exists()

# ------------------------------------------------------------------ speed: spaCy, memory

def test_a_word_is_taken_apart_once_and_the_tokens_are_the_same():
    spacy = pytest.importorskip('spacy')
    from fastai.text.core import SpacyTokenizer, defaults
    plain = spacy.blank('en')
    for word in defaults.text_spec_tok:
        plain.tokenizer.add_special_case(word, [{spacy.symbols.ORTH: word}])
    texts = ["xxbos xxmaj it's (can't) http://a.b/c xxrep 3 ! don't!!  two\nlines  ", 'xxbos', '', ' ',
             "can't xxbos can't", 'xxbos a skirt. and another skirt.', 'xxbos a skirt.']
    expected, ours = [[o.text for o in doc] for doc in plain.pipe(texts)], SpacyTokenizer()
    assert [list(o) for o in pickle.loads(pickle.dumps(ours))(texts)]==expected
    tokenizer, looked_at = ours.pipe.__self__.tokenizer, []
    search = tokenizer.suffix_search
    tokenizer.suffix_search = lambda text: looked_at.append(text) or search(text)
    assert [list(next(ours([o]))) for o in texts]==expected
    assert looked_at.count('skirt.')==1

def test_memory_is_kept_where_glibc_is():
    "Large blocks that were freed are used again without a new page from the system."
    if platform.libc_ver()[0]!='glibc':
        pytest.skip('another C library')
    faults = int(printed('''
        import resource, torch
        from practicaldl.compat import keep_memory
        assert keep_memory()
        def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20): torch.ones(2**23)
        before = faults()
        for _ in range(50): torch.ones(2**23)
        print(faults()-before)'''))
    assert faults < 50*8192/2   # 32 MB are 8,192 pages
