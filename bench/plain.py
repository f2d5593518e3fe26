"""Sections of the course with the defaults of fastai and transformers, on the same data and from the same
weights: what a learner would get who takes the library calls of a chapter and leaves out its settings.

`python -m bench.plain pets` runs one section and prints a line of JSON: the measured value, and the seconds
since the libraries were imported. The split is that of the chapter, since values on other rows could not be
compared.

Not every section is here. Chapter 01 begins with the defaults itself, 05 builds what a library has, and 07
puts rivals beside its own training; a U-Net by default starts from a ResNet whose weights the sample edition
does not have.
"""
import importlib, json, shutil, sys, tempfile, time
from pathlib import Path

from fastai.data.external import URLs, untar_data

from practicaldl.course import dataset, start

def pets():
    from fastai.vision.all import ImageDataLoaders, Resize, error_rate, get_image_files, vision_learner
    files = get_image_files(untar_data(URLs.PETS)/'images').sorted()
    dls = ImageDataLoaders.from_name_func('.', files, lambda name: name[0].isupper(), valid_pct=0.2, seed=42,
                                          item_tfms=Resize(224))
    learn = vision_learner(dls, 'tf_efficientnet_lite0', metrics=error_rate)
    learn.fine_tune(1)
    return learn.recorder.values[-1][-1]

def reviews():
    from fastai.text.all import (AWD_LSTM, TextDataLoaders, accuracy, awd_lstm_clas_config,
                                 text_classifier_learner)
    from bench.pretrain import SIZE
    config = {**awd_lstm_clas_config, **SIZE}   # that of the weights
    with tempfile.TemporaryDirectory() as d:
        for part in ('train', 'test'):   # fastai writes its tokens beside the texts
            shutil.copytree(untar_data(URLs.IMDB)/part, Path(d)/'imdb'/part)
        dls = TextDataLoaders.from_folder(Path(d)/'imdb', valid='test')
        learn = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.5, metrics=accuracy, config=config)
        learn.fine_tune(1, 1e-2)
    return learn.recorder.values[-1][-1]

def salaries():
    from fastai.tabular.all import (Categorify, FillMissing, Normalize, RandomSplitter, TabularDataLoaders,
                                    accuracy, pd, tabular_learner)
    path = untar_data(URLs.ADULT_SAMPLE)/'adult.csv'
    dls = TabularDataLoaders.from_csv(
        path, path='.', skipinitialspace=True, y_names='salary',
        valid_idx=RandomSplitter(seed=42)(pd.read_csv(path))[1],
        cat_names=['workclass', 'education', 'marital-status', 'occupation', 'relationship', 'race', 'sex',
                   'native-country'],
        cont_names=['age', 'fnlwgt', 'education-num', 'capital-gain', 'capital-loss', 'hours-per-week'],
        procs=[Categorify, FillMissing, Normalize])
    learn = tabular_learner(dls, metrics=accuracy)
    learn.fit_one_cycle(3)
    return learn.recorder.values[-1][-1]

def films():
    from fastai.collab import CollabDataLoaders, collab_learner
    ratings = untar_data(URLs.ML_SAMPLE)/'ratings.csv'
    dls = CollabDataLoaders.from_csv(ratings, user_name='userId', item_name='movieId', rating_name='rating',
                                     valid_pct=0.2, seed=42)
    learn = collab_learner(dls, n_factors=50, y_range=(0.5, 5.5))
    learn.fit_one_cycle(4)
    return learn.recorder.values[-1][1]

def phrases():
    import numpy as np, pandas as pd
    from datasets import Dataset
    from sklearn.model_selection import GroupShuffleSplit
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
    name = 'sentence-transformers/all-MiniLM-L6-v2'
    table, tokz = pd.read_csv(dataset('US_PATENTS')/'train.csv'), AutoTokenizer.from_pretrained(name)
    table['input'] = 'TEXT1: '+table.context+'; TEXT2: '+table.target+'; ANC1: '+table.anchor
    table['labels'] = table.score
    splitter = GroupShuffleSplit(test_size=0.2, random_state=42)
    pairs = [' | '.join(sorted(o)) for o in zip(table.anchor, table.target)]   # both orders are one pair
    parts = next(splitter.split(table, groups=pairs))
    train, valid = (Dataset.from_pandas(table.iloc[rows][['input', 'labels']], preserve_index=False)
                    .map(lambda o: tokz(o['input']), batched=True) for rows in parts)
    with tempfile.TemporaryDirectory() as d:
        args = TrainingArguments(d, report_to='none', save_strategy='no', disable_tqdm=True)
        model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=1)
        trainer = Trainer(model, args, train_dataset=train, eval_dataset=valid, processing_class=tokz)
        trainer.train()
        found = trainer.predict(valid).predictions[:, 0]
    return np.corrcoef(found, table.score.iloc[parts[1]])[0, 1]

# Section: what it does, the library whose import is not counted, what it needs.
SECTIONS = {
    'pets': (pets, 'fastai.vision.all', ['PETS', 'timm/tf_efficientnet_lite0.in1k']),
    'reviews': (reviews, 'fastai.text.all', ['IMDB', 'WT103_FWD']),
    'salaries': (salaries, 'fastai.tabular.all', ['ADULT_SAMPLE']),
    'films': (films, 'fastai.collab', ['ML_SAMPLE']),
    'phrases': (phrases, 'transformers', ['US_PATENTS', 'sentence-transformers/all-MiniLM-L6-v2']),
}

def main(section) -> dict:
    run, library, needs = SECTIONS[section]
    importlib.import_module(library)
    start(section, needs)
    began = time.perf_counter()
    value = float(run())
    return dict(value=float(f'{value:.6g}'), seconds=round(time.perf_counter()-began, 1))

if __name__=='__main__':
    if sys.argv[1:] not in [[o] for o in SECTIONS]:
        sys.exit(f'Name one section: {", ".join(SECTIONS)}.')
    print(json.dumps(main(sys.argv[1])))
