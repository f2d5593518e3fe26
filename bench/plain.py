"""Why is it fast? `python -m bench plain` goes from a usual start with the libraries to what a chapter
does, one change after the other, each in a fresh process on the same data and from the same weights. Then
it runs the chapter itself, and tries what lies around it: one thread, memory given back, a busy core. The
result goes to docs/results.json, for the page "Why is it fast?".

`python -m bench plain films` does so for one section and keeps the others. Where a run fails, nothing is
written. `python -m bench.plain films '{"bs": 512}'` runs one step and prints a line of JSON: the measured
value, and the seconds since the libraries were imported.

Not every section is here. Chapter 01 begins with the defaults itself, 05 builds what a library has, and 07
puts rivals beside its own training; a U-Net by default starts from a ResNet whose weights the sample edition
does not have.
"""
import argparse, datetime, functools, importlib, json, os, shutil, subprocess, sys, tempfile, time
from contextlib import contextmanager
from pathlib import Path

from practicaldl import compat   # first: it sets what PyTorch reads when it is imported
from fastai.data.external import URLs, untar_data

from bench import ROOT, machine, ran
from bench import results as measured
from bench.measure import times_of
from practicaldl.course import dataset, start

OUT = ROOT/'build'/'plain'   # for the executed notebooks

def pets(size=224, bs=64, still=False, last=False):
    from fastai.callback.channelslast import ChannelsLast
    from fastai.vision.all import (BnFreeze, ImageDataLoaders, Resize, error_rate, get_image_files,
                                   vision_learner)
    files = get_image_files(untar_data(URLs.PETS)/'images').sorted()
    dls = ImageDataLoaders.from_name_func('.', files, lambda name: name[0].isupper(), valid_pct=0.2, seed=42,
                                          item_tfms=Resize(size), bs=bs)
    settings = dict(train_bn=False, cbs=[BnFreeze, *[ChannelsLast]*last]) if still else {}
    learn = vision_learner(dls, 'tf_efficientnet_lite0', metrics=error_rate, **settings)
    if still:
        learn.fit_one_cycle(2, 5e-3)
    else:
        learn.fine_tune(1)
    return learn.recorder.values[-1][-1]

def reviews(thorough=False, bs=64):
    from fastai.text.all import (AWD_LSTM, TextDataLoaders, accuracy, awd_lstm_clas_config,
                                 text_classifier_learner)
    from bench.pretrain import SIZE
    config = {**awd_lstm_clas_config, **SIZE}   # that of the weights
    with tempfile.TemporaryDirectory() as d:
        for part in ('train', 'test'):   # fastai writes its tokens beside the texts
            shutil.copytree(untar_data(URLs.IMDB)/part, Path(d)/'imdb'/part)
        dls = TextDataLoaders.from_folder(Path(d)/'imdb', valid='test', bs=bs)
        learn = text_classifier_learner(dls, AWD_LSTM, drop_mult=0.3 if thorough else 0.5, metrics=accuracy,
                                        config=config)
        if thorough:
            learn.unfreeze()
            learn.fit_one_cycle(2, 2e-2)
        else:
            learn.fine_tune(1, 1e-2)
    return learn.recorder.values[-1][-1]

def salaries(bs=64, rate=None):
    from fastai.tabular.all import (Categorify, FillMissing, Normalize, RandomSplitter, TabularDataLoaders,
                                    accuracy, pd, tabular_learner)
    path = untar_data(URLs.ADULT_SAMPLE)/'adult.csv'
    dls = TabularDataLoaders.from_csv(
        path, path='.', skipinitialspace=True, y_names='salary', bs=bs,
        valid_idx=RandomSplitter(seed=42)(pd.read_csv(path))[1],
        cat_names=['workclass', 'education', 'marital-status', 'occupation', 'relationship', 'race', 'sex',
                   'native-country'],
        cont_names=['age', 'fnlwgt', 'education-num', 'capital-gain', 'capital-loss', 'hours-per-week'],
        procs=[Categorify, FillMissing, Normalize])
    learn = tabular_learner(dls, metrics=accuracy)
    learn.fit_one_cycle(3, rate)
    return learn.recorder.values[-1][-1]

def films(bs=64, rate=None, wd=None):
    from fastai.collab import CollabDataLoaders, collab_learner
    ratings = untar_data(URLs.ML_SAMPLE)/'ratings.csv'
    dls = CollabDataLoaders.from_csv(ratings, user_name='userId', item_name='movieId', rating_name='rating',
                                     valid_pct=0.2, seed=42, bs=bs)
    learn = collab_learner(dls, n_factors=50, y_range=(0.5, 5.5))
    learn.fit_one_cycle(4, rate, wd=wd)
    return learn.recorder.values[-1][1]

def phrases(bs=8, rate=5e-5, still=False, short=False, aside=False):
    import numpy as np, pandas as pd
    from datasets import Dataset
    from sklearn.model_selection import GroupShuffleSplit
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
    name = 'sentence-transformers/all-MiniLM-L6-v2'
    table, tokz = pd.read_csv(dataset('US_PATENTS')/'train.csv'), AutoTokenizer.from_pretrained(name)
    table['input'] = 'TEXT1: '+table.context+'; TEXT2: '+table.target+'; ANC1: '+table.anchor
    if short:
        columns = zip(table.context, table.anchor, table.target)
        table['input'] = [f' {tokz.sep_token} '.join(o) for o in columns]
    table['labels'] = table.score
    splitter = GroupShuffleSplit(test_size=0.2, random_state=42)
    pairs = [' | '.join(sorted(o)) for o in zip(table.anchor, table.target)]   # both orders are one pair
    rows, held = next(splitter.split(table, groups=pairs))
    if aside:
        splitter = GroupShuffleSplit(test_size=0.2, random_state=0)
        rows = rows[next(splitter.split(rows, groups=[pairs[i] for i in rows]))[0]]
    train, valid = (Dataset.from_pandas(table.iloc[o][['input', 'labels']], preserve_index=False)
                    .map(lambda o: tokz(o['input']), batched=True) for o in (rows, held))
    with tempfile.TemporaryDirectory() as d:
        args = TrainingArguments(d, per_device_train_batch_size=bs, learning_rate=rate, report_to='none',
                                 save_strategy='no', disable_tqdm=True)
        model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=1)
        model.get_input_embeddings().requires_grad_(not still)
        trainer = Trainer(model, args, train_dataset=train, eval_dataset=valid, processing_class=tokz)
        trainer.train()
        found = trainer.predict(valid).predictions[:, 0]
    return np.corrcoef(found, table.score.iloc[held])[0, 1]

# Section: what it does, the modules whose import is not counted, what it needs.
SECTIONS = {
    'pets': (pets, ['fastai.vision.all'], ['PETS', 'timm/tf_efficientnet_lite0.in1k']),
    'salaries': (salaries, ['fastai.tabular.all'], ['ADULT_SAMPLE']),
    'films': (films, ['fastai.collab'], ['ML_SAMPLE']),
    'reviews': (reviews, ['fastai.text.all', 'spacy'], ['IMDB', 'WT103_FWD']),
    'phrases': (phrases, ['datasets', 'sklearn.model_selection', 'transformers.trainer',
                          'transformers.models.bert.modeling_bert'],
                ['US_PATENTS', 'sentence-transformers/all-MiniLM-L6-v2']),
}
# Section: the chapter whose cells do the same (their metadata say so: {"practicaldl": {"section": "pets"}}),
# and the metric that it records.
CHAPTERS = {
    'pets':     ('02_intro', 'cats and dogs: error rate'),
    'salaries': ('02_intro', 'table: accuracy'),
    'films':    ('02_intro', 'films: mean squared error'),
    'reviews':  ('02_intro', 'reviews: accuracy'),
    'phrases':  ('06_transformers', 'Pearson r on held-back pairs'),
}
DEFAULTS, CHAPTER = 'a usual start', 'the chapter itself'
# From the defaults to the chapter: what changes, and the settings that it adds to those above it.
STEPS = {
    'pets': [(DEFAULTS, {}), ('pictures of 160 pixels instead of 224', dict(size=160)),
             ('the pretrained body kept still, one schedule with a larger learning rate', dict(still=True)),
             ('batches of 16 instead of 64', dict(bs=16)),
             ('channels side by side in memory (`ChannelsLast`)', dict(last=True))],
    'salaries': [(DEFAULTS, {}), ('batches of 512 instead of 64', dict(bs=512)),
                 ('ten times the learning rate', dict(rate=1e-2))],
    'films': [(DEFAULTS, {}), ('batches of 512 instead of 64', dict(bs=512)),
              ('larger learning rate and weight decay', dict(rate=5e-3, wd=0.1))],
    'reviews': [(DEFAULTS, {}), ('both epochs train all layers, with a larger learning rate and less dropout',
                                 dict(thorough=True)),
                ('batches of 32 instead of 64, for less memory', dict(bs=32))],
    'phrases': [(DEFAULTS, {}), ('batches of 32 instead of 8', dict(bs=32)),
                ('four times the learning rate', dict(rate=2e-4)),
                ('the vectors of the words are kept still', dict(still=True)),
                ('`[SEP]` between the columns, instead of "TEXT1: "', dict(short=True)),
                ('a fifth of the rows set aside', dict(aside=True))],
}
LONG = dict(GOMP_SPINCOUNT='300000')   # what libgomp does where nothing is set
# Around a step of a section: what is other there, and whether a process computes beside it.
AROUND = {
    'pets': [('one thread instead of two', dict(OMP_NUM_THREADS='1'), False),
             ('freed memory goes back to the system', dict(GIVE_BACK='1'), False)],
    'phrases': [('one thread instead of two', dict(OMP_NUM_THREADS='1'), False),
                ('waiting threads spin longer, as is the default', LONG, False),
                ('a process that computes beside it', {}, True),
                ('such a process, and one thread', dict(OMP_NUM_THREADS='1'), True),
                ('such a process, and spinning longer', LONG, True)],
}

def one(section:str, settings:dict) -> dict:
    "Run one step of a section in this process."
    run, modules, needs = SECTIONS[section]
    for name in modules:
        importlib.import_module(name)
    if os.environ.get('GIVE_BACK'):
        compat.keep_memory = lambda: None
    start(section, needs)
    began = time.perf_counter()
    value = float(run(**settings))
    return dict(value=float(f'{value:.6g}'), seconds=round(time.perf_counter()-began, 1))

@contextmanager
def computing(busy:bool):
    "A process that keeps one core busy, where it is asked for."
    process = subprocess.Popen([sys.executable, '-c', 'while True: pass']) if busy else None
    try:
        yield
    finally:
        if process:
            process.kill()
            process.wait()

def apart(section:str, settings:dict, env:dict={}, busy=False) -> dict:
    "What a step measures in a fresh process; ends the program where it fails."
    env = {**os.environ, 'PRACTICALDL_EDITION': 'sample', **env}
    command = [sys.executable, '-m', 'bench.plain', section, json.dumps(settings)]
    with computing(busy):
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, encoding='utf-8')
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1]
        sys.exit(f'Nothing was written: {section} with {settings} failed.\n{why}')
    return json.loads(done.stdout.strip().splitlines()[-1])

def told(row:dict) -> dict:
    print(f"{row['section']:<10} {row['seconds']:7.1f} s  {row['value']:.4g}  {row['what']}", flush=True)
    return row

def cells_of(notebook:Path, section:str) -> list:
    "The cells of a notebook that carry the name of a section."
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    return [c for c in cells if c['metadata'].get('practicaldl', {}).get('section')==section]

def seconds_of(
    notebook:Path,  # executed by `practicaldl run`
    section:str     # of `SECTIONS`
) -> float:
    "How long the cells of a section took."
    spans = [times_of(cell) for cell in cells_of(notebook, section)]
    return sum((ended-began).total_seconds() for began, ended in spans)

@functools.cache
def chapter_run(name:str) -> list:
    "Run a chapter once; its rows. Ends the program where it fails."
    rows, failure = ran(name, OUT/name)
    if failure:
        sys.exit(f'Nothing was written: {name} failed.\n{failure}')
    return rows

def in_the_chapter(section:str) -> dict:
    "A section in its chapter."
    name, metric = CHAPTERS[section]
    value = next(r['value'] for r in chapter_run(name) if r['metric']==metric)
    return dict(value=value, seconds=round(seconds_of(OUT/name/f'{name}.ipynb', section), 1))

def steps_of(section:str) -> list:
    "The rows of a section: each step with the settings of those above it, and the chapter."
    rows, settings = [], {}
    for what, added in STEPS[section]:
        settings.update(added)
        rows.append(told(dict(section=section, what=what, **apart(section, settings))))
    return [*rows, told(dict(section=section, what=CHAPTER, **in_the_chapter(section)))]

def around(section:str) -> list:
    "A step of a section once more with something else around it, and beside each the step as it was."
    steps = STEPS[section][:4] if section=='phrases' else STEPS[section]   # the page names the row
    settings, rows = dict(o for _, added in steps for o in added.items()), []
    for what, env, busy in AROUND.get(section, []):
        before = apart(section, settings)
        found = told(dict(section=section, what=what, **apart(section, settings, env, busy)))
        rows.append({**found, 'before': before['seconds']})
    return rows

def main(words) -> int:
    p = argparse.ArgumentParser('bench plain', description='From a usual start to a chapter.')
    p.add_argument('sections', nargs='*', help=f"all of them where none is named: {', '.join(SECTIONS)}")
    names = p.parse_args(words).sections or list(SECTIONS)
    if unknown := set(names)-set(SECTIONS):
        sys.exit(f"No section is called {', '.join(unknown)}. There are {', '.join(SECTIONS)}.")
    about = dict(machine=machine(), day=datetime.date.today().isoformat())
    found = {name: {**about, 'steps': steps_of(name), 'around': around(name)} for name in names}
    content = measured.kept()
    found = {**content['plain'], **found}
    measured.keep({**content, 'plain': {name: found[name] for name in SECTIONS if name in found}})
    print('Written: docs/results.json.')
    return 0

if __name__=='__main__':
    print(json.dumps(one(sys.argv[1], json.loads(sys.argv[2]))))
