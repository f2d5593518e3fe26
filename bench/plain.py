"""What a learner would write without us: each section of the course in plain fastai or transformers, with default settings, on the same data.

`python bench/plain.py birds` runs one section and prints one line of JSON: the measured value and the seconds since the libraries were imported.
Two things are ours, since without them there would be nothing to compare: the paths of the data, and `import practicaldl`, without which torchvision
and `FillMissing` do not work with every version. (It makes spaCy faster as well: plain code that reads texts takes a little less time here than it
would alone.) Weights that a model hub would give are read from the course's own data.
"""
import json, sys, tempfile, time
from pathlib import Path

from practicaldl.data import dataset


def lite0(pretrained=True):
    "EfficientNet-Lite0 as timm makes it, with the weights that the course uses."
    import timm
    from safetensors.torch import load_file
    model = timm.create_model('tf_efficientnet_lite0')
    if pretrained: model.load_state_dict(load_file(dataset('VISION_WEIGHTS', 'sample')/'model.safetensors'))
    return model


def fine_tune_pictures(dls):
    from fastai.vision.all import error_rate, vision_learner
    learn = vision_learner(dls, lite0, cut=-2, metrics=error_rate)
    learn.fine_tune(1)
    return learn.recorder.values[-1][-1]

def birds():
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, get_image_files, verify_images
    path = dataset('BIRDS')
    broken = set(verify_images(get_image_files(path)))
    files = [o for o in get_image_files(path).sorted() if o not in broken]
    dls = ImageDataLoaders.from_path_func(path, files, lambda o: o.parent.name, valid_pct=0.2, seed=42, item_tfms=Resize(224), batch_tfms=Normalize.from_stats([.5]*3, [.5]*3))
    return 1-fine_tune_pictures(dls)

def pets():
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, get_image_files
    files = get_image_files(dataset('PETS')/'images').sorted()
    dls = ImageDataLoaders.from_name_func('.', files, label_func=lambda name: name[0].isupper(), valid_pct=0.2, seed=42, item_tfms=Resize(224),
                                          batch_tfms=Normalize.from_stats([.5]*3, [.5]*3))
    return fine_tune_pictures(dls)

def pixels():
    from functools import partial
    import numpy as np
    from fastai.vision.all import SegmentationDataLoaders, foreground_acc, get_image_files, unet_learner
    from torchvision.models import resnet18
    path = dataset('CAMVID_TINY')
    codes = np.loadtxt(path/'codes.txt', dtype=str)
    dls = SegmentationDataLoaders.from_label_func(path, get_image_files(path/'images').sorted(), lambda o: path/'labels'/f'{o.stem}_P{o.suffix}', codes=codes,
                                                  valid_pct=0.2, seed=42, bs=8)
    learn = unet_learner(dls, resnet18, pretrained=False, metrics=partial(foreground_acc, bkg_idx=list(codes).index('Void')))
    learn.fine_tune(5)
    return learn.recorder.values[-1][-1]

def review_accuracy(folder, epochs):
    "fastai's AWD_LSTM in its usual size; without a network its weights cannot be had, so it starts from random numbers."
    from fastai.text.all import AWD_LSTM, TextDataLoaders, accuracy, text_classifier_learner
    dls = TextDataLoaders.from_folder(folder, valid='test')
    learn = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.5, metrics=accuracy, pretrained=False)
    learn.fine_tune(epochs, 1e-2)
    return learn.recorder.values[-1][-1]

def copied_reviews(folder, n=None):
    "The labelled reviews in a folder that fastai may write beside; of those to train on only `n`, where it is given."
    import shutil
    from practicaldl.ulmfit import balanced_sample
    source = dataset('IMDB')
    chosen = [*balanced_sample(source.glob('train/*/*.txt'), n), *source.glob('test/*/*.txt')] if n else [*source.glob('train/*/*.txt'), *source.glob('test/*/*.txt')]
    for path in chosen:
        target = folder/path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder

def reviews():
    with tempfile.TemporaryDirectory() as d: return review_accuracy(copied_reviews(Path(d)/'imdb'), 1)

def few_labels():
    with tempfile.TemporaryDirectory() as d: return review_accuracy(copied_reviews(Path(d)/'imdb', 800), 4)

def salaries():
    from fastai.tabular.all import Categorify, FillMissing, Normalize, RandomSplitter, TabularDataLoaders, accuracy, pd, tabular_learner
    path = dataset('ADULT_SAMPLE')/'adult.csv'
    dls = TabularDataLoaders.from_csv(path, path='.', skipinitialspace=True, y_names='salary', valid_idx=RandomSplitter(seed=42)(pd.read_csv(path))[1],
                                      cat_names=['workclass', 'education', 'marital-status', 'occupation', 'relationship', 'race', 'sex', 'native-country'],
                                      cont_names=['age', 'fnlwgt', 'education-num', 'capital-gain', 'capital-loss', 'hours-per-week'],
                                      procs=[Categorify, FillMissing, Normalize])
    learn = tabular_learner(dls, metrics=accuracy)
    learn.fit_one_cycle(3)
    return learn.recorder.values[-1][-1]

def films():
    from fastai.collab import CollabDataLoaders, collab_learner
    dls = CollabDataLoaders.from_csv(dataset('ML_SAMPLE')/'ratings.csv', user_name='userId', item_name='movieId', rating_name='rating', valid_pct=0.2, seed=42)
    learn = collab_learner(dls, n_factors=50, y_range=(0.5, 5.5))
    learn.fit_one_cycle(4)
    return learn.recorder.values[-1][1]

def digits():
    from fastai.vision.all import F, ImageDataLoaders, accuracy, vision_learner
    from torchvision.models import resnet18
    dls = ImageDataLoaders.from_folder(dataset('MNIST_SAMPLE'))
    learn = vision_learner(dls, resnet18, pretrained=False, loss_func=F.cross_entropy, metrics=accuracy)
    learn.fit_one_cycle(10)
    return learn.recorder.values[-1][-1]

def phrases():
    import numpy as np, pandas as pd
    from datasets import Dataset
    from practicaldl.nlp import pair_group
    from sklearn.model_selection import GroupShuffleSplit
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
    weights = dataset('TRANSFORMER_WEIGHTS')
    table, tokz = pd.read_csv(dataset('US_PATENTS')/'train.csv'), AutoTokenizer.from_pretrained(weights)
    table['input'] = 'TEXT1: '+table.context+'; TEXT2: '+table.target+'; ANC1: '+table.anchor
    parts = next(GroupShuffleSplit(1, test_size=0.2, random_state=42).split(table, groups=pair_group(table.anchor, table.target)))
    train, valid = (Dataset.from_pandas(table.iloc[rows][['input', 'score']].rename(columns={'score': 'labels'}), preserve_index=False).map(lambda o: tokz(o['input']), batched=True)
                    for rows in parts)
    with tempfile.TemporaryDirectory() as d:
        args = TrainingArguments(d, report_to='none', save_strategy='no', disable_tqdm=True)
        trainer = Trainer(AutoModelForSequenceClassification.from_pretrained(weights, num_labels=1), args, train_dataset=train, eval_dataset=valid, processing_class=tokz)
        trainer.train()
        found = trainer.predict(valid).predictions[:, 0]
    return float(np.corrcoef(found, table.score.iloc[parts[1]])[0, 1])


SECTIONS = {f.__name__: f for f in (birds, pets, pixels, reviews, salaries, films, digits, phrases, few_labels)}
LIBRARIES = {'phrases': 'transformers', 'reviews': 'fastai.text.all', 'few_labels': 'fastai.text.all', 'salaries': 'fastai.tabular.all', 'films': 'fastai.collab'}

def main(name):
    import importlib
    importlib.import_module(LIBRARIES.get(name, 'fastai.vision.all'))   # the seconds are those of the section, not those of the imports
    from fastai.torch_core import set_seed
    from fastcore.basics import defaults
    defaults.cpus = 0   # in this process, as in the chapters: a script without a main guard cannot start workers on every system
    set_seed(42, reproducible=True)
    began = time.perf_counter()
    value = SECTIONS[name]()
    print(json.dumps(dict(name=name, value=float(f'{value:.6g}'), seconds=round(time.perf_counter()-began, 1))))

if __name__=='__main__':
    if len(sys.argv)!=2 or sys.argv[1] not in SECTIONS: sys.exit(f'Name one section: {", ".join(SECTIONS)}.')
    main(sys.argv[1])
