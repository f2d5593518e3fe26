"""The full edition without the internet: a local server plays fastai's file host, the Hugging Face hub, torchvision's host
and a picture search, with small archives of the right shape. The cells with which a chapter loads its data run on them.

The cells are taken out of the notebooks, by a piece of code that each must hold, up to the loaders and one batch. Statements
that train or measure are left out, and a function that trains only makes its loaders: what 40 pictures teach a network says
nothing. Of chapter 03, what follows its first learner takes pictures of the sample edition by name. Chapter 04 has no data set; of the others,
the loaders that are made from numbers alone (waves, spirals, rows of a table in memory) do not differ between the editions."""
import ast, hashlib, json, pickle, random, re, sys

import pytest
from conftest import ROOT, hub_answer, left_in, picture, png_of, tgz_of, weights_of

from practicaldl import data, images, twins

# ------------------------------------------------------------------ what the hosts hold

WORDS = 'the a film was good bad very dull and it is not of in plot actor scene I liked hated movie story but with this that too long short music'.split()

def text(seed, n=90):
    rng = random.Random(seed)
    return ' '.join(rng.choice(WORDS) for _ in range(n))+'.'

def jpg_of(image):
    import io
    made = io.BytesIO(); image.save(made, 'JPEG')
    return made.getvalue()

def pets():
    names = [f'{breed}_{i}' for breed in ('Abyssinian', 'Maine_Coon', 'beagle', 'great_pyrenees') for i in range(1, 16)]
    rows = ''.join(f'{n} 1 1 1\n' for n in names).encode()
    return {**{f'images/{n}.jpg': jpg_of(picture(i)) for i, n in enumerate(names)}, 'images/Abyssinian_1.mat': b'MATLAB', 'annotations/README': b'',
            'annotations/list.txt': b'#Image CLASS-ID\n'+rows, 'annotations/trainval.txt': rows, 'annotations/test.txt': rows, 'annotations/trimaps/Abyssinian_1.png': b''}

def camvid():
    import numpy as np
    from PIL import Image
    codes = [*(f'Class{i}' for i in range(30)), 'Void', 'Wall']
    mask = Image.fromarray(np.arange(32, dtype=np.uint8).repeat(384).reshape(96, 128))
    files = {'codes.txt': '\n'.join(codes).encode()}
    for i in range(10): files.update({f'images/0016E5_{i:05d}.png': png_of(picture(i, (128, 96))), f'labels/0016E5_{i:05d}_P.png': png_of(mask)})
    return files

def imdb():
    files = {f'{part}/{label}/{i}_{9 if label=="pos" else 2}.txt': text(f'{part}{label}{i}') for part, n in (('train', 40), ('test', 10)) for label in ('pos', 'neg') for i in range(n)}
    files.update({f'unsup/{i}_0.txt': text(f'unsup{i}') for i in range(40)})
    return {**{n: t.encode() for n, t in files.items()}, 'README': b'', 'imdb.vocab': b'the', 'train/labeledBow.feat': b'', 'tmp_lm/1.pkl': b''}

def adult():
    rng = random.Random(1)
    values = {'age': range(17, 90), 'workclass': (' Private', ' ?'), 'fnlwgt': range(10_000, 90_000), 'education': (' Masters', ' HS-grad'), 'education-num': ('9.0', '14.0', ''),
              'marital-status': (' Divorced', ' Never-married'), 'occupation': (' Sales', ' ?', ''), 'relationship': (' Unmarried', ' Wife'), 'race': (' White', ' Black'), 'sex': (' Male', ' Female'),
              'capital-gain': (0, 2174), 'capital-loss': (0, 1902), 'hours-per-week': range(20, 60), 'native-country': (' United-States', ' Cuba'), 'salary': ('<50k', '>=50k')}
    assert list(values)==list(twins.ADULT_COLUMNS)
    lines = [','.join(values)] + [','.join(str(rng.choice(list(o))) for o in values.values()) for _ in range(700)]
    return {'adult.csv': '\n'.join(lines).encode(), 'export.pkl': b'', 'models/mini_train.pth': b''}

def ratings():
    rng = random.Random(2)
    lines = ['userId,movieId,rating,timestamp'] + [f'{rng.randrange(1, 30)},{rng.randrange(1, 90)},{rng.randrange(1, 11)/2},{964982703+i}' for i in range(700)]
    return {'ratings.csv': '\n'.join(lines).encode()}   # fastai's archive has no titles, or may have none

def mnist():
    files = {f'{part}/{digit}/{i}.png': png_of(picture(i, (28, 28)).convert('L')) for part, n in (('train', 40), ('valid', 10)) for digit in '37' for i in range(n)}
    return {**files, 'labels.csv': ('name,label\n'+''.join(f'{n},{n.split("/")[1]}\n' for n in files)).encode()}

def language_model():
    "The size of fastai's AWD_LSTM, with zeros for weights: they are quickly packed."
    import torch
    from fastai.text.models import AWD_LSTM, awd_lstm_lm_config, get_language_model
    words = ['xxunk', 'xxpad', 'xxbos', 'xxeos', 'xxfld', 'xxrep', 'xxwrep', 'xxup', 'xxmaj', *sorted({w.lower() for w in WORDS}), '.', ',']
    with torch.device('meta'): state = get_language_model(AWD_LSTM, len(words), awd_lstm_lm_config.copy()).state_dict()
    return {'lstm_fwd.pth': weights_of({name: torch.zeros(o.shape) for name, o in state.items()}), 'itos_wt103.pkl': pickle.dumps(words)}

def deberta(folder):
    import sentencepiece, torch
    from transformers import DebertaV2Config, DebertaV2Model
    (folder/'texts.txt').write_text('a roof keeps the rain out of the house\nthe tent has no roof but a pole\n'*50, encoding='utf-8')
    sentencepiece.SentencePieceTrainer.train(input=str(folder/'texts.txt'), model_prefix=str(folder/'spm'), vocab_size=40, hard_vocab_limit=False, minloglevel=2,
                                             pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece='[PAD]', bos_piece='[CLS]', eos_piece='[SEP]', unk_piece='[UNK]')
    config = DebertaV2Config(vocab_size=128, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, relative_attention=True, position_buckets=8,
                             norm_rel_ebd='layer_norm', share_att_key=True, pos_att_type='p2c|c2p', max_position_embeddings=64, type_vocab_size=0, position_biased_input=False)
    return {'config.json': json.dumps(config.to_dict()).encode(), 'tokenizer_config.json': b'{"do_lower_case": false, "vocab_type": "spm"}', 'spm.model': (folder/'spm.model').read_bytes(),
            'pytorch_model.bin': weights_of(DebertaV2Model(config).state_dict()), 'tf_model.h5': b'not asked for', 'README.md': b'not asked for'}

def patents():
    rng = random.Random(3)
    words = 'roof house tent pole rain'.split()
    rows = [f'{i:04x},{rng.choice(words)} {rng.choice(words)},{rng.choice(words)},H0{rng.randrange(4)},{rng.randrange(5)/4}' for i in range(40)]
    return {'train.csv': '\n'.join(['id,anchor,target,context,score', *rows]), 'test.csv': '\n'.join(['id,anchor,target,context', *(o.rsplit(',', 1)[0] for o in rows[:9])]),
            'sample_submission.csv': '\n'.join(['id,score', *(f'{o[:4]},0' for o in rows[:9])])}

TOPS = {'PETS': ('oxford-iiit-pet', pets), 'CAMVID_TINY': ('camvid_tiny', camvid), 'IMDB': ('imdb', imdb), 'ADULT_SAMPLE': ('adult_sample', adult),
        'ML_SAMPLE': ('movie_lens_sample', ratings), 'MNIST_SAMPLE': ('mnist_sample', mnist), 'WT103_FWD': ('wt103-fwd', language_model)}

@pytest.fixture(scope='module')
def stored(tmp_path_factory):
    "What the hosts hold: path to content; the repository of the hub; the name of torchvision's file."
    from torchvision.models import resnet18
    weights = weights_of(resnet18().state_dict())
    name = f'resnet18-{hashlib.sha256(weights).hexdigest()[:8]}.pth'
    archives = {f'/fastai/{top}.tgz': tgz_of(make(), top) for top, make in TOPS.values()}
    return {**archives, f'/torchvision/{name}': weights}, deberta(tmp_path_factory.mktemp('deberta')), name

@pytest.fixture
def hosts(web, stored, fresh_urllib, monkeypatch, tmp_path):
    "All hosts of the full edition, on this machine; PyTorch, fastai and the hub keep nothing from other tests."
    from fastai.data.external import URLs
    from fastdownload.core import path_stats
    from torchvision.models import ResNet18_Weights
    files, repository, resnet = stored
    def answer(handler):
        path = handler.path.split('?')[0]
        if hub_answer(handler, repository): return
        if path in files: return handler.send(files[path], kind='application/octet-stream')
        if path=='/openverse': return handler.send(json.dumps({'results': [{'url': f'{web.url}pictures/{len(web.asked)}_{i}.jpg'} for i in range(20)]}).encode())
        if path.startswith('/pictures/'): return handler.send(drawn[sum(map(ord, path)) % len(drawn)], kind='image/jpeg')
        handler.send(b'', 404)
    drawn = [jpg_of(picture(i)) for i in range(40)]
    web.answer = answer
    listed = {}
    for name, (top, _) in TOPS.items():
        url = f'{web.url}fastai/{top}.tgz'
        monkeypatch.setattr(URLs, name, url)
        if name!='WT103_FWD': listed[url] = (len(files[f'/fastai/{top}.tgz']), hashlib.md5(files[f'/fastai/{top}.tgz'][:2**20]).hexdigest())   # as fastai's list: these weights are not in it
    monkeypatch.setattr('fastdownload.core.read_checks', lambda module: listed)
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, 'url', f'{web.url}torchvision/{resnet}')
    (tmp_path/'patents').mkdir()
    for name, content in patents().items(): (tmp_path/'patents'/name).write_text(content, encoding='utf-8')
    for name, value in dict(HF_ENDPOINT=web.url, FASTAI_HOME=str(tmp_path/'fastai'), TORCH_HOME=str(tmp_path/'torch'), PRACTICALDL_US_PATENTS=str(tmp_path/'patents'),
                            PRACTICALDL_EDITION='full', PRACTICALDL_DEVICE='cpu').items(): monkeypatch.setenv(name, value)
    monkeypatch.setattr(images, 'PAUSE', 0)
    for name in ('ddgs', 'duckduckgo_search'): monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(images.PROVIDERS, 'openverse', lambda term, n: images.openverse(term, n, address=web.url+'openverse'))
    return web


# ------------------------------------------------------------------ the loaders

@pytest.mark.parametrize('name', data.REGISTRY)
def test_a_full_data_set_is_fetched_once(hosts, name, cache, capsys):
    "It has its layout, nothing but what the row says, and a second call asks nobody."
    from fnmatch import fnmatch
    row, folder = data.REGISTRY[name], data.dataset(name, 'full')
    asked = len(hosts.asked)
    assert data.dataset(name, 'full')==folder and len(hosts.asked)==asked
    if isinstance(row.full, data.Kaggle): return
    there = [p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file()]
    named = (*row.layout, *row.full_only, *(row.full.patterns if isinstance(row.full, data.Hub) else ()))
    assert data.is_complete(folder, row.version) and [o for o in there if not any(fnmatch(o, p) for p in named)]==[]
    assert [o for o in left_in(cache) if not o.startswith(f'full/{name}')]==[] and not (folder.parents[2]/'fastai').exists()

@pytest.mark.parametrize('more, why', [(0, 'the size and the hash that fastai lists'), (9, 'the size and the hash that fastai lists'), (-1, 'more came than the')])
def test_another_size_or_hash_than_fastai_lists(hosts, stored, cache, monkeypatch, more, why):
    listed = {f'{hosts.url}fastai/mnist_sample.tgz': (len(stored[0]['/fastai/mnist_sample.tgz'])+more, 'another')}
    monkeypatch.setattr('fastdownload.core.read_checks', lambda module: listed)
    with pytest.raises(data.DataError, match='mnist_sample.tgz was thrown away.*'+why): data.dataset('MNIST_SAMPLE', 'full')
    assert left_in(cache)==[]
    listed.clear()
    assert data.is_complete(data.dataset('MNIST_SAMPLE', 'full'))


# ------------------------------------------------------------------ the chapters

TRAIN_OR_MEASURE = {'fit', 'fit_one_cycle', 'fine_tune', 'train', 'record', 'get_preds', 'predict', 'validate'}

def statements(source):
    "The statements of a cell, without those that train or measure."
    calls = lambda o: {getattr(c.func, 'attr', getattr(c.func, 'id', '')) for c in ast.walk(o) if isinstance(c, ast.Call)}
    tree = ast.parse(re.sub(r'(?m)^%.*$', '', source))   # a line for IPython alone
    tree.body = [o for o in tree.body if isinstance(o, (ast.FunctionDef, ast.ClassDef)) or not calls(o) & TRAIN_OR_MEASURE]
    return tree

# For each chapter: what the cells hold by which they are found, in the order of the chapter; the loaders that they make.
CHAPTERS = {
    '01_bird': (["start('01_bird'", "files = get_image_files(dataset('BIRDS'))", 'urls[0].credit()', "folder = work_folder('bird_or_plane')", "kept, path = {}, folder/'data'",
                 'fns = get_image_files(path).sorted()\nfns[:3]', 'failed = verify_images(fns)', 'failed.map(Path.unlink)', 'report = check_images(path)\n', 'birds = DataBlock(', 'dls = birds.dataloaders(path'], ['dls']),
    '02_intro': (["start('02_intro'", 'film_dls = CollabDataLoaders', 'def film_titles(', 'ratings, titles = ', "files = get_image_files(dataset('PETS')", 'def is_cat(', 'kept = files[::',
                  'pet_dls = ImageDataLoaders', 'pets = DataBlock(', 'test_eq(pet_dls.train_ds.items', "camvid = dataset('CAMVID_TINY')", 'pixel_dls = SegmentationDataLoaders', "reviews = work_folder('reviews')",
                  'review_dls = TextDataLoaders', 'load_language_model(review_learn)', "adult = dataset('ADULT_SAMPLE')", 'salary_dls = TabularDataLoaders'],
                 ['film_dls', 'pet_dls', 'same_dls', 'pixel_dls', 'review_dls', 'salary_dls']),
    '03_production': (["start('03_production'", "learn = train_classifier(folder/'birds'"], ['learn.dls']),
    '05_mnist': (["start('05_mnist'", "dls = ImageDataLoaders.from_folder(path", "print([p.name for p in path.ls()", "threes = (path/'train'/'3')", 'from practicaldl.errors import DataError', 'def load_digits(',
                  "train_x, train_y = load_digits(path, 'train')"], ['dls']),
    '06_transformers': (["start('06_transformers'", "path, tokz = dataset('US_PATENTS')", 'trainer = Trainer('], ['trainer.get_train_dataloader()']),
    '07_ulmfit': (["start('07_ulmfit'", 'wiki_dls = TextDataLoaders', 'from practicaldl.errors import CourseError', "reviews = work_folder('ulmfit')", 'cut = Tokenizer.from_folder(reviews)', 'def count_tokens(', 'counts = count_tokens(', 'vocab = make_vocab(counts',
                   'lm_block = DataBlock(', 'def balanced_sample(', "train_files, test_files = get_text_files(reviews/'train')", 'clas_dls = review_loaders()'], ['wiki_dls', 'lm_dls', 'clas_dls']),
    '08_scaling': (["start('08_scaling'", 'def train(path, out', 'model, _, dl = make_parts(path, 80'], ['dl']),
}

def cells(name):
    nb = json.loads((ROOT/'nbs'/f'{name}.ipynb').read_text(encoding='utf-8'))
    return [''.join(c['source'])+'\n' for c in nb['cells'] if c['cell_type']=='code']

@pytest.fixture
def desk(monkeypatch, tmp_path):
    "An empty folder to work in, and afterwards fastai's and Matplotlib's settings as they were."
    import torch, matplotlib.pyplot as plt
    from fastai.torch_core import default_device
    from fastcore.basics import defaults
    monkeypatch.setattr(defaults, 'cpus', defaults.cpus)
    monkeypatch.setenv('MPLBACKEND', 'Agg'); plt.switch_backend('Agg')
    place = tmp_path/'desk'; place.mkdir(); monkeypatch.chdir(place)
    threads = torch.get_num_threads()
    deterministic, use_cuda, fill = torch.are_deterministic_algorithms_enabled(), defaults.use_cuda if hasattr(defaults, 'use_cuda') else None, torch.utils.deterministic.fill_uninitialized_memory
    yield place
    plt.close('all')
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic); torch.utils.deterministic.fill_uninitialized_memory = fill
    defaults.use_cuda = use_cuda

@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', CHAPTERS)
def test_the_loading_cells_of_a_chapter_run_on_full_data(name, hosts, desk, capsys, monkeypatch):
    "Up to the loaders, and one batch out of each."
    from fastai.learner import Learner
    monkeypatch.setattr(Learner, 'fit', lambda *args, **kwargs: None)
    anchors, loaders = CHAPTERS[name]
    sources, space, at = cells(name), {'__name__': '__main__'}, -1
    for anchor in anchors:
        found = [i for i, o in enumerate(sources) if anchor in o]
        assert found and found[0] > at, f'{name} has no cell with "{anchor}" after cell {at}'
        at = found[0]
        exec(compile(statements(sources[at]), f'{name}, the cell with "{anchor}"', 'exec'), space)
    assert 'full edition' in capsys.readouterr().out
    for loader in loaders:
        dl = eval(loader, space)
        batch = next(iter(dl.train if hasattr(dl, 'train') else dl))
        assert len(batch) >= 2, loader

def test_chapter_04_needs_no_data():
    assert any("start('04_how_nets_learn')" in o for o in cells('04_how_nets_learn')) and not any('dataset(' in o for o in cells('04_how_nets_learn'))
    assert {p.stem for p in (ROOT/'nbs').glob('[0-9][0-9]_*.ipynb')}=={*CHAPTERS, '04_how_nets_learn'}
