"""Really fetch every full data set, and open it as its chapter does: about 3 GB. A workflow does so weekly.

US_PATENTS is left out: Kaggle hands it to those who have joined the competition.
"""
import os, traceback

os.environ['PRACTICALDL_EDITION'] = 'full'
from fastai.collab import CollabDataLoaders
from fastai.tabular.all import TabularDataLoaders
from fastai.text.all import AWD_LSTM, L, TextDataLoaders, language_model_learner, pd
from fastai.vision.all import (ImageDataLoaders, Normalize, Resize, SegmentationDataLoaders, get_image_files,
                               np, vision_learner)
from practicaldl.cache import full_folder
from practicaldl.registry import TWINS

def birds(path):
    files = get_image_files(path)
    return ImageDataLoaders.from_path_func(path, files, lambda f: f.parent.name, item_tfms=Resize(64), bs=4)

def pets(path):
    files = get_image_files(path/'images')
    return ImageDataLoaders.from_name_func(path, files, str.istitle, item_tfms=Resize(64), bs=4)

def camvid(path):
    codes, scenes = np.loadtxt(path/'codes.txt', dtype=str), get_image_files(path/'images')
    return SegmentationDataLoaders.from_label_func(path, scenes,
                                                   lambda o: path/'labels'/f'{o.stem}_P{o.suffix}',
                                                   codes=codes, bs=4,
                                                   batch_tfms=Normalize.from_stats([.5]*3, [.5]*3))

def reviews(path):
    texts = [f.read_text(encoding='utf-8') for f in L((path/'train'/'pos').iterdir())[:40]]
    return TextDataLoaders.from_df(pd.DataFrame({'text': texts}), is_lm=True, bs=4)

def adult(path):
    return TabularDataLoaders.from_csv(path/'adult.csv', y_names='salary', cat_names=['sex'],
                                       cont_names=['age'], bs=4)

def films(path):
    return CollabDataLoaders.from_csv(path/'ratings.csv', user_name='userId', item_name='movieId',
                                      rating_name='rating', bs=4)

def digits(path):
    return ImageDataLoaders.from_folder(path, valid='valid', bs=4)

def all_digits(path):
    return ImageDataLoaders.from_folder(path, train='training', valid='testing', bs=4)

def language_model(path):
    learn = language_model_learner(reviews(full_folder('IMDB')), AWD_LSTM, pretrained=True)
    return learn.dls

def network(path):
    return vision_learner(birds(full_folder('BIRDS')), 'tf_efficientnet_lite0').dls

def transformer(path):
    from transformers import AutoModel, AutoTokenizer
    name = 'sentence-transformers/all-MiniLM-L6-v2'
    AutoModel.from_pretrained(name)(**AutoTokenizer.from_pretrained(name)(['a bird'], return_tensors='pt'))

OPEN = {'BIRDS': birds, 'PETS': pets, 'CAMVID_TINY': camvid, 'IMDB': reviews, 'ADULT_SAMPLE': adult,
        'ML_SAMPLE': films, 'MNIST_SAMPLE': digits, 'MNIST': all_digits, 'WT103_FWD': language_model,
        'timm/tf_efficientnet_lite0.in1k': network, 'sentence-transformers/all-MiniLM-L6-v2': transformer}

def main(words) -> int:
    failed = []
    for name in [twin.name for twin in TWINS.values() if twin.fetch and twin.name!='US_PATENTS']:
        try:
            folder = full_folder(name)
            loaders = OPEN[name](folder) if name in OPEN else None   # a new set is at least fetched
            if loaders is not None:
                loaders.one_batch()
            print(f'{name}: fetched and opened', flush=True)
        except Exception:   # each library raises its own; all of them are told before this ends
            traceback.print_exc()
            failed.append(name)
    print(f"FAILED {', '.join(failed)}" if failed else 'All full data sets are there.')
    return bool(failed)
