"""How a twin comes into the cache, what can go wrong on the way, and how libraries are pointed there."""
import errno, json, os, shutil, subprocess, sys
from pathlib import Path

import pytest
from conftest import CLOSED, make_wheel
from practicaldl import cache, registry
from practicaldl.cache import (build_whole, dataset, full_folder, is_complete, leave_alone, twin_folder,
                               use_twins)
from practicaldl.edition import choose_edition
from practicaldl.errors import DataError

def left_in(folder):
    "What a failed try left behind, lock files aside."
    there = [p for p in folder.rglob('*') if p.is_file() and p.suffix!='.lock'] if folder.is_dir() else []
    return sorted(p.relative_to(folder).as_posix() for p in there)

def no_fetching(*args, **kwargs):
    raise AssertionError('something was fetched')

# ------------------------------------------------------------------ where things lie

def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv('PRACTICALDL_CACHE', ' ~/here ')
    assert cache.cache_dir()==Path('~/here').expanduser()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PRACTICALDL_CACHE', 'relative')
    assert cache.cache_dir()==tmp_path/'relative'

def test_no_home(monkeypatch):
    "As in a container whose account has no home folder."
    def homeless(path):
        raise RuntimeError('no home')
    monkeypatch.setattr(Path, 'expanduser', homeless)
    monkeypatch.setenv('PRACTICALDL_CACHE', '~/data')
    with pytest.raises(DataError, match='Set PRACTICALDL_CACHE'):
        cache.cache_dir()

# ------------------------------------------------------------------ from a wheel to a folder

def test_a_wheel_becomes_a_folder_and_is_not_fetched_again(tiny, cache, monkeypatch):
    folder = twin_folder('TINY')
    assert folder==cache/'sample'/'TINY' and (folder/'words.csv').read_text()=='word,score\nbird,1\n'
    monkeypatch.setattr(subprocess, 'Popen', no_fetching)
    assert twin_folder('tiny')==folder
    shutil.rmtree(folder)
    assert (twin_folder('TINY')/'words.csv').exists()   # the wheel is still there

def test_a_wheel_with_another_hash_is_thrown_away(tiny, cache, shelf):
    make_wheel(shelf, {'tiny_pictures/words.csv': b'word,score\nevil,1\n'})
    with pytest.raises(DataError, match='does not have the sha256'):
        twin_folder('TINY')
    assert left_in(cache)==[]

def test_no_network(tiny, cache, shelf, monkeypatch):
    "The sentence of a first start without a network: what, why, what to do, in one line."
    monkeypatch.delenv('PIP_NO_INDEX')
    monkeypatch.delenv('PIP_FIND_LINKS')
    monkeypatch.setenv('PIP_INDEX_URL', CLOSED)
    with pytest.raises(DataError) as e:
        twin_folder('TINY')
    said = str(e.value)
    assert 'tiny_pictures 1.0 (0 MB)' in said and 'the network cannot be reached' in said
    assert 'copy the cache' in said
    assert '\n' not in said and left_in(cache)==[]

@pytest.mark.parametrize('status', [403, 503])
def test_an_index_that_refuses(tiny, cache, shelf, monkeypatch, web, status):
    monkeypatch.delenv('PIP_NO_INDEX')
    monkeypatch.delenv('PIP_FIND_LINKS')
    monkeypatch.setenv('PIP_INDEX_URL', web.url)
    web.answer = lambda handler: handler.send(b'no', status=status)
    with pytest.raises(DataError, match=f'HTTP {status}|the network|No matching distribution'):
        twin_folder('TINY')

def test_a_builder_that_forgets_a_file_or_a_column(tiny, cache, monkeypatch):
    def forgets_file(dest, files):
        (dest/'other.csv').write_text('x')
    def forgets_column(dest, files):
        (dest/'words.csv').write_text('word\nbird\n')
    for build, words in ((forgets_file, 'nothing matches words.csv'), (forgets_column, 'no column score')):
        twin = registry.Twin('TINY', 'a', 'b', 'c', 'd', 'TINY', build, layout=tiny.layout,
                             columns=tiny.columns)
        monkeypatch.setitem(registry.TWINS, 'TINY', twin)
        with pytest.raises(DataError, match=words):
            twin_folder('TINY')
    assert left_in(cache)==[]

def test_a_home_with_spaces_and_other_letters(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv('PRACTICALDL_CACHE', str(tmp_path/'家 with 100% spaces'/'课'))
    assert (twin_folder('TINY')/'words.csv').exists()
    use_twins()
    from fastai.data.external import fastai_path
    assert fastai_path('data')==tmp_path/'家 with 100% spaces'/'课'/'sample'/'fastai'/'data'

# ------------------------------------------------------------------ the disk

def test_the_cache_is_read_only(tiny, read_only, monkeypatch):
    monkeypatch.setenv('PRACTICALDL_CACHE', str(read_only/'cache'))
    with pytest.raises(DataError, match='is read-only.*PRACTICALDL_CACHE'):
        twin_folder('TINY')

def test_a_file_is_in_the_way(tiny, tmp_path, monkeypatch):
    (tmp_path/'file').write_text('x')
    monkeypatch.setenv('PRACTICALDL_CACHE', str(tmp_path/'file'))
    with pytest.raises(DataError, match='in the way'):
        twin_folder('TINY')

def test_too_little_room(cache):
    with pytest.raises(DataError, match='the disk is full'):
        build_whole(cache/'sample'/'BIG', lambda part: None, megabytes=1e9)

def test_the_disk_fills_up_while_writing(cache):
    def build(part):
        (part/'half.txt').write_text('half')
        raise OSError(errno.ENOSPC, 'No space left on device')
    with pytest.raises(DataError, match='the disk is full'):
        build_whole(cache/'sample'/'WORDS', build)
    assert left_in(cache)==[]

def test_a_disk_that_is_really_full(tiny, tmp_path):
    "pip meets a real full disk, in a mount that only this process sees."
    script = tmp_path/'full.py'
    script.write_text(
        "from practicaldl import registry\nfrom practicaldl.cache import twin_folder\n"
        f"wheel = registry.Wheel('tiny_pictures', '1.0', '{tiny.wheel.sha256}', 0.0)\n"
        "registry.TWINS['TINY'] = registry.Twin('TINY', 'a', 'b', 'c', 'd', 'TINY', print, wheel=wheel,\n"
        "                                       members=('x',), megabytes=0)\n"
        "twin_folder('TINY')\n", encoding='utf-8')
    place = tmp_path/'small'
    place.mkdir()
    mount = f'mount -t tmpfs -o size=64k none "{place}" && head -c 60000 /dev/zero > "{place}/x"'
    done = with_mount(mount, [sys.executable, str(script)], PRACTICALDL_CACHE=str(place/'cache'))
    assert 'DataError' in done.stderr and 'the disk is full' in done.stderr

# ------------------------------------------------------------------ whole or not at all

@pytest.mark.parametrize('how', ['a file is missing', 'a file is cut', 'the list is missing',
                                 'the list is nonsense', 'other version'])
def test_a_damaged_twin_is_built_again(tiny, cache, how):
    folder = twin_folder('TINY')
    listed = folder.with_name('TINY.files.json')
    if how=='a file is missing':
        (folder/'words.csv').unlink()
    elif how=='a file is cut':
        (folder/'words.csv').write_text('wo')
    elif how=='the list is missing':
        listed.unlink()
    elif how=='the list is nonsense':
        listed.write_text('[1]')
    else:
        listed.write_text(json.dumps({**json.loads(listed.read_text()), 'version': 7}))
    assert not is_complete(tiny)
    assert (twin_folder('TINY')/'words.csv').read_text()=='word,score\nbird,1\n' and is_complete(tiny)

def test_files_that_a_learner_adds_stay(tiny, cache):
    mine = twin_folder('TINY')/'mine.txt'
    mine.write_text('kept')
    twin_folder('TINY')
    assert mine.read_text()=='kept'

def test_a_failing_builder_keeps_the_old_set(cache):
    folder = build_whole(cache/'WORDS', lambda part: (part/'a.txt').write_text('old'))
    def fails(part):
        raise ValueError('a bug')
    with pytest.raises(ValueError, match='a bug'):
        build_whole(folder, fails, version=2)
    assert (folder/'a.txt').read_text()=='old'

SLOW = """
import sys, time
from pathlib import Path
from practicaldl.cache import build_whole, cache_dir
def build(part):
    (part/'a.txt').write_text('a')
    print('building', flush=True)
    time.sleep({seconds})
build_whole(cache_dir()/'sample'/'SLOW', build)
print('done', flush=True)
"""

def slow(seconds):
    return subprocess.Popen([sys.executable, '-c', SLOW.format(seconds=seconds)], stdout=subprocess.PIPE,
                            text=True)

def test_killed_in_mid_build(cache):
    "Nothing half-written is taken for a set, and what was left is swept away by the next try."
    process = slow(60)
    assert process.stdout.readline()=='building\n'
    process.kill()
    process.wait()
    assert not (cache/'sample'/'SLOW').exists() and left_in(cache)!=[]
    build_whole(cache/'sample'/'SLOW', lambda part: (part/'b.txt').write_text('b'))
    assert left_in(cache)==['sample/SLOW.files.json', 'sample/SLOW/b.txt']

def test_two_processes_build_once(cache):
    both = [slow(1), slow(1)]
    said = ''.join(p.communicate(timeout=60)[0] for p in both)
    assert said.count('building')==1 and said.count('done')==2 and 'waiting for it' in said

def test_what_a_killed_fetch_left_is_swept_away(tiny, cache):
    (cache/'wheels'/'tmpabc').mkdir(parents=True)
    (cache/'wheels'/'tmpdef').write_text('half a wheel')
    twin_folder('TINY')
    assert left_in(cache/'wheels')==['tiny_pictures-1.0.whl']

# ------------------------------------------------------------------ full edition

def test_the_library_fetches_the_real_set(tiny, cache, monkeypatch, tmp_path):
    (tmp_path/'real').mkdir()
    (tmp_path/'real'/'words.csv').write_text('word,score\nplane,2\n')
    twin = registry.Twin('TINY', 'a', 'b', 'c', 'd', 'TINY', print, lambda folder: tmp_path/'real',
                         layout=tiny.layout)
    monkeypatch.setitem(registry.TWINS, 'TINY', twin)
    assert full_folder('TINY')==tmp_path/'real' and left_in(cache)==[]

def test_a_twin_that_is_all_there_is(tiny, cache):
    assert full_folder('TINY')==twin_folder('TINY')

def test_every_call_of_a_library_is_one_that_it_has(monkeypatch, tmp_path):
    "Each real set is asked for with the name that its library knows; nothing is fetched."
    import fastai.data.external as external
    import huggingface_hub
    asked = []
    monkeypatch.setattr(external, 'untar_data', lambda url, c_key: asked.append((url, c_key)) or tmp_path)
    def snapshot_download(name, allow_patterns):
        asked.append((name, ''))
        return tmp_path
    monkeypatch.setattr(huggingface_hub, 'snapshot_download', snapshot_download)
    for twin in registry.TWINS.values():
        if twin.name not in ('BIRDS', 'US_PATENTS'):
            twin.fetch(tmp_path)
    assert len(asked)==len(registry.TWINS)-2 and (external.URLs.PETS, 'data') in asked
    assert (external.URLs.WT103_FWD, 'model') in asked
    for twin in registry.TWINS.values():   # the folder has the name that fastai gives it
        if twin.folder.startswith('fastai/'):
            assert Path(getattr(external.URLs, twin.name)).name.split('.')[0]==Path(twin.folder).name

@pytest.mark.parametrize('place', ['named', 'attached'])
def test_kaggle_data(usual_cache, monkeypatch, tmp_path, place):
    there = twin_folder('US_PATENTS')
    choose_edition('full')
    with pytest.raises(DataError, match='PRACTICALDL_US_PATENTS'):
        dataset('US_PATENTS')
    if place=='named':
        monkeypatch.setenv('PRACTICALDL_US_PATENTS', str(there))
    else:
        monkeypatch.setattr(registry, 'Path', lambda o: there.parent if o=='/kaggle/input' else Path(o))
        monkeypatch.setitem(registry.TWINS, 'US_PATENTS', registry.Twin(
            **{**vars(registry.TWINS['US_PATENTS']),
               'fetch': registry._by_kaggle('US_PATENTS', 'PRACTICALDL_US_PATENTS')}))
    assert dataset('US_PATENTS')==there

def test_birds_are_searched_for(usual_cache, monkeypatch, tmp_path):
    "Pictures that are all a login page are noticed; enough good ones become the set, for good."
    birds = twin_folder('BIRDS')
    (tmp_path/'page.png').write_text('<html>log in</html>')
    monkeypatch.setattr(registry, 'search_images', lambda term,
                        max_images: [(tmp_path/'page.png').as_uri()]*3)
    fetch = registry._by_search({'bird': 'bird photo'}, wanted=8)
    with pytest.raises(DataError, match="0 of 3 pictures of 'bird photo' came, and 2 are needed"):
        fetch(tmp_path/'full')
    assert not (tmp_path/'full').exists()
    urls = [p.as_uri() for p in sorted(birds.glob('bird/*.png'))[:4]]
    monkeypatch.setattr(registry, 'search_images', lambda term, max_images: urls)
    assert len(list((fetch(tmp_path/'full')/'bird').iterdir()))==4
    monkeypatch.setattr(registry, 'search_images', no_fetching)
    assert fetch(tmp_path/'full')==tmp_path/'full'

def test_what_a_library_fetches_is_not_a_dataset():
    with pytest.raises(DataError, match=r'untar_data\(URLs.WT103_FWD, c_key=.model.\)'):
        dataset('WT103_FWD')
    with pytest.raises(DataError, match=r"from_pretrained\('sentence-transformers/all-MiniLM-L6-v2'\)"):
        dataset('sentence-transformers/all-MiniLM-L6-v2')
    with pytest.raises(DataError, match="Did you mean 'US_PATENTS'"):
        dataset('patents')

# ------------------------------------------------------------------ pointing the libraries

@pytest.mark.slow
def test_libraries_answer_from_the_twins_and_are_left_alone_afterwards(usual_cache, monkeypatch):
    import timm
    from fastai.data.external import URLs, fastai_cfg, fastai_path, untar_data
    from huggingface_hub import constants
    from transformers import AutoTokenizer
    before = fastai_path('data'), constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE, os.environ['FASTAI_HOME']
    use_twins(registry.TWINS)
    assert fastai_path('archive').is_dir()   # else an older fastcore looks for the data elsewhere
    for twin in registry.TWINS.values():
        if twin.folder.startswith('fastai/'):
            key = 'model' if twin.name=='WT103_FWD' else 'data'
            assert untar_data(getattr(URLs, twin.name), c_key=key)==usual_cache/'sample'/twin.folder
    assert AutoTokenizer.from_pretrained('sentence-transformers/all-MiniLM-L6-v2').cls_token=='[CLS]'
    assert timm.create_model('tf_efficientnet_lite0', pretrained=True).num_classes==1000
    use_twins()   # once more: what was there at first is still known
    leave_alone()
    after = fastai_path('data'), constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE, os.environ['FASTAI_HOME']
    assert after==before and fastai_cfg().config_path==Path(before[3]).absolute()

READ_ONLY = """
import os
from practicaldl.course import start, dataset
from practicaldl.registry import TWINS
start('shared', needs=tuple(TWINS))
from fastai.data.external import URLs, untar_data
from transformers import AutoModel
import timm
assert (untar_data(URLs.MNIST_SAMPLE)/'train').exists() and (dataset('BIRDS')/'bird').exists()
AutoModel.from_pretrained('sentence-transformers/all-MiniLM-L6-v2')
timm.create_model('tf_efficientnet_lite0', pretrained=True)
try: open(os.path.join(os.environ['PRACTICALDL_CACHE'], 'sample', 'x'), 'w')
except OSError: print('read-only, and all there')
"""

def with_mount(mount, command, **env):
    "Run a command after a mount that only this process sees; skips where that is not to be had."
    try:
        done = subprocess.run(['unshare', '-rm', 'sh', '-c', f'{mount}; exec "$0" "$@"', *command],
                              capture_output=True, text=True, env={**os.environ, **env})
    except OSError:
        pytest.skip('there is no unshare here')
    if 'unshare:' in done.stderr or 'mount:' in done.stderr:
        pytest.skip(f'no mount of its own here: {done.stderr.strip()[:80]}')
    return done

@pytest.mark.slow
def test_a_shared_cache_that_may_only_be_read(usual_cache):
    "As on thirty laptops of a school: one folder, filled once, mounted for all."
    for name in registry.TWINS:
        twin_folder(name)
    mount = f'mount --bind "{usual_cache}" "{usual_cache}" && mount -o remount,ro,bind "{usual_cache}"'
    done = with_mount(mount, [sys.executable, '-c', READ_ONLY], PRACTICALDL_EDITION='sample')
    assert done.stdout.endswith('read-only, and all there\n'), done.stderr[-1500:]

HOME = """
from practicaldl.course import start
start('home', needs=('MNIST_SAMPLE', 'timm/tf_efficientnet_lite0.in1k'))
from fastai.vision.all import *
path = untar_data(URLs.MNIST_SAMPLE)
dls = ImageDataLoaders.from_folder(path, valid='valid', bs=16)
learn = vision_learner(dls, 'tf_efficientnet_lite0', train_bn=False, cbs=BnFreeze)
"""

@pytest.mark.slow
def test_nothing_comes_into_the_home_folder_but_our_cache(usual_cache, tmp_path):
    for name in ('MNIST_SAMPLE', 'timm/tf_efficientnet_lite0.in1k'):
        twin_folder(name)
    home = tmp_path/'home'
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if k not in ('FASTAI_HOME', 'HF_HOME', 'XDG_CACHE_HOME')}
    done = subprocess.run([sys.executable, '-c', HOME], cwd=tmp_path, capture_output=True, text=True,
                          env={**kept, 'HOME': str(home), 'USERPROFILE': str(home),
                               'PRACTICALDL_EDITION': 'sample'})
    assert done.returncode==0, done.stderr[-1500:]
    mine = [p.relative_to(home).as_posix() for p in home.rglob('*') if p.is_file()]
    assert [p for p in mine if 'matplotlib' not in p]==[]
