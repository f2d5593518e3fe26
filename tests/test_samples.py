"""Every row of the registry beside what it builds: layout, columns, counts, and what each twin promises."""
import csv, gzip, hashlib, re
from collections import Counter
from pathlib import Path

import pytest
from practicaldl import samples
from practicaldl.cache import is_complete, twin_folder
from practicaldl.registry import TWINS, find_twin

pytestmark = pytest.mark.slow   # they read whole data sets

@pytest.fixture
def sample(usual_cache):
    "A twin, from the cache of the person who runs the tests."
    return twin_folder

def files(folder):
    return sorted(p for p in folder.rglob('*') if p.is_file())

def relative(folder):
    return [p.relative_to(folder).as_posix() for p in files(folder)]

def table(path):
    with open(path, encoding='utf-8', newline='') as f:
        return list(csv.DictReader(f))

def content(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files(folder)}

@pytest.mark.parametrize('name', TWINS)
def test_a_twin_has_the_layout_size_and_columns_of_its_row(sample, name):
    twin, folder = find_twin(name), sample(name)
    assert is_complete(twin) and sum(p.stat().st_size for p in files(folder)) <= twin.megabytes*1e6
    assert all(any(folder.glob(pattern)) for pattern in twin.layout)
    for file, columns in twin.columns.items():
        rows = table(folder/file)
        assert list(rows[0])==list(columns) and all(None not in r and None not in r.values() for r in rows)

def count(folder, name):
    "What the row counts, in the order in which it names it."
    broken = len(list(folder.glob('*/*_web.png')))
    return {'BIRDS': lambda: [len(relative(folder))-broken, broken],
            'PETS': lambda: [len(list(folder.glob('images/*.jpg')))],
            'CAMVID_TINY': lambda: [len(list(folder.glob('images/*')))],
            'IMDB': lambda: [len(list(folder.rglob('*.txt'))), len(list(folder.glob('t*/*/*.txt')))],
            'ADULT_SAMPLE': lambda: [len(table(folder/'adult.csv'))],
            'ML_SAMPLE': lambda: [len(table(folder/'ratings.csv')), len(table(folder/'movies.csv'))],
            'MNIST_SAMPLE': lambda: [len(list(folder.rglob('*.png')))],
            'MNIST': lambda: [len(list(folder.rglob('*.png')))],
            'US_PATENTS': lambda: [len(table(folder/'train.csv'))+len(table(folder/'test.csv'))]}[name]()

@pytest.mark.parametrize('name', ['BIRDS', 'PETS', 'CAMVID_TINY', 'IMDB', 'ADULT_SAMPLE', 'ML_SAMPLE',
                                  'MNIST_SAMPLE', 'MNIST', 'US_PATENTS'])
def test_the_numbers_in_the_row_are_the_numbers_in_the_folder(sample, name):
    said = [int(o.replace(',', '')) for o in re.findall(r'\d[\d,]*',
                                                        find_twin(name).sample.split(' with ')[0])]
    found = count(sample(name), name)
    assert [n for n in said if n in found]==found

@pytest.mark.parametrize('name', ['BIRDS', 'PETS', 'CAMVID_TINY', 'WT103_FWD'])
def test_building_twice_gives_the_same_bytes(tmp_path, name):
    for d in ('a', 'b'):
        (tmp_path/d).mkdir()
        find_twin(name).build(tmp_path/d, {})
    assert content(tmp_path/'a')==content(tmp_path/'b')

def test_digits_are_split_by_their_order(tmp_path):
    import numpy as np
    rng = np.random.default_rng(0)
    rows = [np.c_[rng.integers(0, 256, (450, 784)), np.full(450, digit)] for digit in (3, 5, 7)]
    with gzip.open(tmp_path/'mnist_5k.csv.gz', 'wt') as f:
        np.savetxt(f, np.concatenate(rows), fmt='%d', delimiter=',')
    (tmp_path/'a').mkdir()
    samples.build_mnist_sample(tmp_path/'a', {'mnist_5k.csv.gz': tmp_path/'mnist_5k.csv.gz'})
    assert Counter(p.rsplit('/', 1)[0] for p in relative(tmp_path/'a'))=={
        'labels.csv': 1, 'train/3': 400, 'valid/3': 50, 'train/7': 400, 'valid/7': 50}
    samples.build_mnist(tmp_path/'b', {'mnist_5k.csv.gz': tmp_path/'mnist_5k.csv.gz'})
    assert Counter(p.rsplit('/', 1)[0] for p in relative(tmp_path/'b'))=={
        f'{side}/{digit}': n for side, n in (('training', 400), ('testing', 50)) for digit in (3, 5, 7)}

def test_birds_have_three_broken_files_a_class_and_no_more(sample):
    "An empty one, a web page and half a picture, as a download brings them; the others open, 32 × 32."
    from fastai.vision.utils import verify_images
    from PIL import Image
    for folder in ('bird', 'plane'):
        paths = files(sample('BIRDS')/folder)
        broken = [p for p in paths if p.stem.endswith('_web')]
        assert sorted(verify_images(paths))==broken and len(broken)==3
        starts = sorted(p.read_bytes()[:9] for p in broken)
        assert starts[0]==b'' and starts[1]==b'<!doctype' and starts[2].startswith(b'\x89PNG')
        assert {Image.open(p).size for p in set(paths)-set(broken)}=={(32, 32)}

def test_no_picture_comes_twice(sample):
    for name, pattern in (('BIRDS', '*/*'), ('PETS', 'images/*')):
        paths = [p for p in sample(name).glob(pattern) if not p.stem.endswith('_web')]
        assert len({hashlib.sha256(p.read_bytes()).digest() for p in paths})==len(paths)

def test_pets_are_told_by_the_first_letter(sample):
    names = {p.stem for p in files(sample('PETS')/'images')}
    assert Counter(n[0].isupper() for n in names)=={True: 1000, False: 1000}

def test_scenes_and_masks_belong_together(sample):
    import numpy as np
    from PIL import Image
    folder, used = sample('CAMVID_TINY'), set()
    codes = (folder/'codes.txt').read_text().split()
    assert len(set(codes))==32
    for p in files(folder/'images'):
        mask = Image.open(folder/'labels'/f'{p.stem}_P.png')
        assert mask.mode=='L' and mask.size==Image.open(p).size==(128, 96)
        used |= set(np.unique(np.asarray(mask)).tolist())
    assert {codes[i] for i in used}=={'Sky', 'Road', 'Building', 'Car', 'Tree', 'Pedestrian', 'Sidewalk',
                                      'Void'}

def test_stars_in_file_names_agree_with_the_labels(sample):
    stars = {}
    for name in relative(sample('IMDB')):
        part, star = re.fullmatch(r'(.+)/\d+_([1-5])\.txt', name).groups()
        stars.setdefault(part, Counter())[int(star)] += 1
    for part in ('train', 'test'):
        assert set(stars[f'{part}/neg'])=={1, 2} and set(stars[f'{part}/pos'])=={5}
        assert stars[f'{part}/neg'].total()==stars[f'{part}/pos'].total()
    assert set(stars['unsup']) >= {3, 4, 5}

def test_no_review_stands_on_both_sides(sample):
    "Whatever its title and its punctuation."
    sides = []
    for pattern in ('train/*/*.txt', 'test/*/*.txt', 'unsup/*.txt'):
        bodies = {p.read_text(encoding='utf-8').split('\n', 1)[-1] for p in sample('IMDB').glob(pattern)}
        sides.append({re.sub(r'\W+', ' ', o).strip().lower() for o in bodies} - {''})
    train, test, rest = sides
    assert train.isdisjoint(test) and rest.isdisjoint(test) and rest.isdisjoint(train) and len(test) > 850

def test_adult_is_written_as_fastai_writes_it(sample):
    "Words with a blank before them, and the two classes by the names that the full set uses."
    rows = table(sample('ADULT_SAMPLE')/'adult.csv')
    assert {r['salary'] for r in rows}=={'>=50k', '<50k'} and {r['sex'] for r in rows}=={' Male', ' Female'}
    assert all(r['workclass'].startswith(' ') and r['age'].isdigit() for r in rows)

def test_ratings_are_of_films_that_are_listed(sample):
    ratings, films = (table(sample('ML_SAMPLE')/f'{name}.csv') for name in ('ratings', 'movies'))
    assert {r['movieId'] for r in ratings}=={f['movieId'] for f in films} and len(films)==1682
    assert {float(r['rating']) for r in ratings}=={1, 2, 3, 4, 5}
    assert all(f['title'] and f['genres'] for f in films)

def test_digits_are_listed_with_their_labels(sample):
    listed = {r['name']: r['label'] for r in table(sample('MNIST_SAMPLE')/'labels.csv')}
    assert sorted(listed)==[o for o in relative(sample('MNIST_SAMPLE')) if o.endswith('.png')]
    assert all((Path(name).parent.name, label) in (('3', '0'), ('7', '1')) for name, label in listed.items())

def test_patents_leak_nothing(sample):
    "No pair of words stands on both sides, in either order or context; scores lie within 0 and 1."
    train, test = (table(sample('US_PATENTS')/f'{name}.csv') for name in ('train', 'test'))
    def pairs(rows):
        return {frozenset((r['anchor'], r['target'])) for r in rows}
    assert pairs(train).isdisjoint(pairs(test)) and all(0 <= float(r['score']) <= 1 for r in train)
    assert len({r['id'] for r in train+test})==len(train)+len(test)
    assert 0.07 < len(test)/len(train+test) < 0.14
    assert [r['id'] for r in table(sample('US_PATENTS')/'sample_submission.csv')]==[r['id'] for r in test]

def test_building_weights_draws_no_random_numbers(tmp_path):
    "A seed gives the same numbers whether the weights were in the cache or had to be built first."
    import timm, torch
    from safetensors import safe_open
    wanted = timm.create_model('tf_efficientnet_lite0').state_dict()
    source = tmp_path/'efficientnet-lite0-57934424.pth'
    torch.save({f'other name {i}': torch.full_like(o, i) for i, o in enumerate(wanted.values())}, source)
    before = torch.get_rng_state()
    (tmp_path/'repo').mkdir()
    samples.build_lite0(tmp_path/'repo', {source.name: source})
    assert torch.equal(torch.get_rng_state(), before)
    with safe_open(tmp_path/'repo'/'snapshots'/samples.COMMIT/'model.safetensors', 'pt') as f:
        assert all((f.get_tensor(name)==i).all() for i, name in enumerate(wanted))

def test_the_pretrained_networks_are_not_random(sample):
    import timm, torch
    from fastai.data.external import URLs, untar_data
    from practicaldl.cache import use_twins
    use_twins(['WT103_FWD', 'timm/tf_efficientnet_lite0.in1k'])
    twice = [timm.create_model('tf_efficientnet_lite0', pretrained=True).conv_stem.weight for _ in range(2)]
    assert torch.equal(*twice)
    weights = torch.load(untar_data(URLs.WT103_FWD, c_key='model')/'lstm_fwd.pth', weights_only=True)
    assert torch.equal(weights['0.encoder.weight'], weights['1.decoder.weight'])
    assert weights['0.encoder.weight'].std() > 0.01
