"""What chapter 06 exports: pooling, the model for pairs of phrases, groups of pairs, Pearson's r, the check of a submission."""
import json, math, subprocess, sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from torch import nn

from practicaldl.errors import CourseError
from practicaldl.nlp import PhraseMatcher, check_submission, corr, corr_d, mean_pool, pair_group


# ------------------------------------------------------------------ pooling and the model

def test_pooling_counts_only_what_the_mask_names():
    hidden = torch.tensor([[[1., 10.], [3., 30.], [9., 9.]], [[5., 5.], [7., 7.], [0., 2.]]])
    assert mean_pool(hidden, torch.tensor([[1, 1, 0], [0, 0, 1]])).tolist()==[[2, 20], [0, 2]]
    assert torch.equal(mean_pool(hidden, torch.tensor([[True, True, False], [False, False, True]])), mean_pool(hidden, torch.tensor([[1, 1, 0], [0, 0, 1]])))
    assert mean_pool(hidden, torch.zeros(2, 3)).tolist()==[[0, 0], [0, 0]]   # nothing to take the mean of

SEP, PAD = 3, 0

class Body(nn.Module):
    "A stand-in for a transformer: each token has a fixed vector, whatever its neighbours."
    def __init__(self, size=8):
        super().__init__()
        torch.manual_seed(0)
        self.config, self.table = SimpleNamespace(hidden_size=size), nn.Embedding(20, size)
    def forward(self, input_ids, attention_mask): return (self.table(input_ids),)

@pytest.fixture
def model(): return PhraseMatcher(Body(), SEP).eval()

def rows(*texts):
    "Numbers of tokens, filled up with padding, and the attention mask."
    longest = max(map(len, texts))
    ids = torch.tensor([[*t, *[PAD]*(longest-len(t))] for t in texts])
    return ids, torch.tensor([[1]*len(t)+[0]*(longest-len(t)) for t in texts])

CONTEXT_A_B = [1, 9, SEP, 5, 6, SEP, 7, SEP]   # a begin, the context, an anchor of two tokens, a target of one

def test_an_untrained_head_is_the_cosine(model):
    table = model.body.table.weight
    expected = torch.cosine_similarity(table[[5, 6]].mean(0), table[7], dim=0)
    out = model(*rows(CONTEXT_A_B))
    assert set(out)=={'logits'} and out['logits'].shape==(1, 1)
    torch.testing.assert_close(out['logits'][0,0], expected)

def test_the_same_phrase_twice_scores_one(model):
    torch.testing.assert_close(model(*rows([1, 9, SEP, 5, 6, SEP, 5, 6, SEP]))['logits'], torch.ones(1, 1))

def test_padding_changes_nothing(model):
    alone, beside = model(*rows(CONTEXT_A_B))['logits'], model(*rows(CONTEXT_A_B, [1, 9, SEP, 5, 6, 7, 8, SEP, 4, 4, SEP]))['logits']
    torch.testing.assert_close(alone[0], beside[0])

def test_after_training_the_context_counts(model):
    "The vector of the whole string has weights too; they only begin at zero."
    one, other = rows(CONTEXT_A_B), rows([1, 11, SEP, 5, 6, SEP, 7, SEP])
    torch.testing.assert_close(model(*one)['logits'], model(*other)['logits'])
    with torch.no_grad(): model.head.weight += 0.1
    assert (model(*one)['logits']-model(*other)['logits']).abs() > 1e-3

def test_the_loss_is_the_mean_squared_error_of_n_numbers(model):
    "Not of the n × n differences between a column and a row; whole numbers as labels are taken as they are meant."
    ids, mask = rows(CONTEXT_A_B, [1, 9, SEP, 4, SEP, 8, SEP])
    out = model(ids, mask, labels=torch.tensor([1, 0]))
    torch.testing.assert_close(out['loss'], ((out['logits'][:,0]-torch.tensor([1., 0.]))**2).mean())
    out['loss'].backward()
    assert all(p.grad is not None for p in model.parameters())

def test_training_makes_it_better():
    model = PhraseMatcher(Body(), SEP, dropout=0.)
    ids, mask = rows(CONTEXT_A_B, [1, 9, SEP, 4, SEP, 8, SEP], [1, 11, SEP, 4, SEP, 8, SEP])
    labels, opt, losses = torch.tensor([0.2, 0.9, 0.1]), torch.optim.AdamW(model.parameters(), lr=0.02), []
    for _ in range(60):
        loss = model(ids, mask, labels)['loss']
        opt.zero_grad(); loss.backward(); opt.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 < losses[0]   # the last two differ in the context alone

def test_a_phrase_that_was_cut_off_is_no_crash(model):
    assert model(*rows([1, 9, SEP, SEP], [1, 9, SEP]))['logits'].tolist()==[[0], [0]]

def test_the_dropout_can_be_set(): assert PhraseMatcher(Body(), SEP, dropout=0.25).dropout.p==0.25


# ------------------------------------------------------------------ groups of pairs

def test_both_orders_have_one_name():
    assert pair_group(['Tent', ' sea'], ['roof', 'LAKE'])==pair_group(['roof', 'lake'], ['tent', 'sea'])
    assert len(set(pair_group(['a', 'a', 'b'], ['b', 'c', 'c'])))==3

def test_pairs_may_be_anything_with_a_length():
    table = pd.DataFrame({'anchor': ['x', 'y'], 'target': ['y', 'x']}, index=[7, 3])
    assert pair_group(table.anchor, table.target)==pair_group(iter(['x', 'y']), ('y', 'x'))==['x | y', 'x | y'] and pair_group([], [])==[]

def test_a_pair_needs_two():
    with pytest.raises(CourseError, match='3 anchors and 1 targets'): pair_group(['a', 'b', 'c'], ['d'])

def test_a_split_by_groups_leaks_nothing():
    from sklearn.model_selection import GroupShuffleSplit
    words = [f'w{i}' for i in range(30)]
    anchors, targets = words+words[1:], words[1:]+words[:1]+words[:-1]   # most pairs in both orders
    groups = pair_group(anchors, targets)
    one, other = next(GroupShuffleSplit(1, test_size=0.3, random_state=0).split(anchors, groups=groups))
    assert not {frozenset((anchors[i], targets[i])) for i in one} & {frozenset((anchors[i], targets[i])) for i in other}


# ------------------------------------------------------------------ Pearson's r

def test_r_is_that_of_scipy():
    from scipy.stats import pearsonr
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    assert corr(x, x+y)==pytest.approx(pearsonr(x, x+y)[0], abs=1e-12) and type(corr(x, y)) is float

def test_r_knows_no_scale():
    x, y = np.random.default_rng(1).normal(size=(2, 20))
    assert corr(3*x+7, y)==pytest.approx(corr(x, y)) and corr(-x, y)==pytest.approx(-corr(x, y)) and corr(y, x)==pytest.approx(corr(x, y))

@pytest.mark.parametrize('x', [[1, 2, 4], np.array([[1.], [2.], [4.]]), torch.tensor([1., 2., 4.]), pd.Series([1, 2, 4], index=[5, 6, 7])])
def test_r_takes_rows_and_columns(x): assert corr(x, [2, 4, 8])==pytest.approx(1)

@pytest.mark.parametrize('x, y', [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.1, 0.1, 0.1]), ([2, 2], [2, 2])])
def test_a_constant_has_no_r(x, y, recwarn):
    assert math.isnan(corr(x, y)) and len(recwarn)==0

@pytest.mark.parametrize('x, y, why', [([1, 2, 3], [1, 2], 'same length'), ([1], [1], 'at least two'), ([], [], 'at least two'), ([1, math.nan], [1, 2], 'missing or infinite'),
                                       ([1, 2], [math.inf, 2], 'missing or infinite'), (np.ones((3, 2)), [1, 2, 3], r'\(3, 2\) and \(3,\)'), (1., 2., 'same length')])
def test_numbers_that_cannot_be_compared(x, y, why):
    with pytest.raises(CourseError, match=why): corr(x, y)

def test_the_dictionary_for_the_trainer():
    preds, labels = np.array([[0.1], [0.5], [0.2]], dtype=np.float32), np.array([0.2, 0.9, 0.3], dtype=np.float32)
    assert corr_d((preds, labels))=={'pearson': pytest.approx(corr(preds, labels))}

def test_the_trainer_takes_model_and_metric(tmp_path):
    "A whole training with the stand-in; the column `labels` is found by its name, the text column is left out."
    transformers = pytest.importorskip('transformers')
    from datasets import Dataset
    ids, mask = rows(CONTEXT_A_B, [1, 9, SEP, 4, 4, SEP, 8, SEP], [1, 11, SEP, 4, 6, SEP, 8, SEP])
    ds = Dataset.from_dict({'input': ['one', 'two', 'three'], 'input_ids': ids.tolist(), 'attention_mask': mask.tolist(), 'labels': [0.2, 0.9, 0.1]})
    args = transformers.TrainingArguments(str(tmp_path), num_train_epochs=2, eval_strategy='epoch', save_strategy='no', report_to='none', disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False)
    trainer = transformers.Trainer(PhraseMatcher(Body(), SEP), args, train_dataset=ds, eval_dataset=ds, compute_metrics=corr_d)
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    assert trainer.predict(ds.remove_columns('labels')).predictions.shape==(3, 1)
    assert [k for o in trainer.state.log_history for k in o if k=='eval_pearson']==['eval_pearson']*2


# ------------------------------------------------------------------ a submission

SAMPLE = pd.DataFrame({'id': ['a', 'b', 'c'], 'score': [0, 0, 0]})
GOOD = SAMPLE.assign(score=[0.25, 0, 1.])

def test_a_good_submission_passes():
    assert check_submission(GOOD, SAMPLE) is None and check_submission(SAMPLE, SAMPLE) is None
    assert check_submission(GOOD.set_index(pd.Index([9, 8, 7])), SAMPLE) is None   # the index is not written

@pytest.mark.parametrize('wrong, why', [
    (GOOD.reset_index(), 'Was the index written'), (GOOD[['score', 'id']], 'columns'), (GOOD.rename(columns={'score': 'Score'}), 'columns'),
    (GOOD.iloc[:2], '2 rows, and should be 3'), (pd.concat([GOOD, GOOD]), '6 rows'), (GOOD.iloc[::-1], 'not in its order'), (GOOD.assign(id=['a', 'b', 'd']), 'not those of the sample'),
    (GOOD.assign(score=['[0.1]', '[0.2]', '[0.3]']), 'not numbers'), (GOOD.assign(score=[0.1, math.nan, 0.2]), '1 scores are missing'),
    (GOOD.assign(score=[0.1, -0.2, 1.5]), '2 scores lie outside 0–1, for example -0.2'), (GOOD.assign(score=[0.1, math.inf, 1.]), 'outside')])
def test_a_bad_submission_is_told_why(wrong, why):
    with pytest.raises(CourseError, match=why): check_submission(wrong, SAMPLE)

def test_a_table_of_one_column_written_as_text(tmp_path):
    "What comes back from a file into which lists were written."
    pd.DataFrame({'id': SAMPLE.id, 'score': [[0.1], [0.2], [0.3]]}).to_csv(tmp_path/'s.csv', index=False)
    with pytest.raises(CourseError, match='Was a list written'): check_submission(pd.read_csv(tmp_path/'s.csv'), SAMPLE)


# ------------------------------------------------------------------ the chapter

def test_the_chapter_asks_that_no_pair_is_on_both_sides():
    nb = json.loads((ROOT/'nbs'/'06_transformers.ipynb').read_text(encoding='utf-8'))
    code = '\n'.join(''.join(c['source']) for c in nb['cells'] if c['cell_type']=='code')
    assert 'assert leaked==[]' in code and 'GroupShuffleSplit' in code and "at_least=pick(sample=0.58" in code

def test_importing_the_package_does_not_import_torch():
    done = subprocess.run([sys.executable, '-c', "import sys, practicaldl; print('torch' in sys.modules)"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip())==(0, 'False'), done.stderr


# ------------------------------------------------------------------ the full edition's tokenizer

def test_a_tokenizer_that_is_stored_as_deberta_s_can_be_read(tmp_path):
    "deberta-v3 comes as a sentencepiece model without `tokenizer.json`; reading it needs sentencepiece and protobuf, which we therefore ask for."
    import json, sentencepiece
    from transformers import AutoTokenizer
    (tmp_path/'texts.txt').write_text('a roof keeps the rain out of the house\nthe tent has no roof but a pole\n'*50, encoding='utf-8')
    sentencepiece.SentencePieceTrainer.train(input=str(tmp_path/'texts.txt'), model_prefix=str(tmp_path/'spm'), vocab_size=40, hard_vocab_limit=False, minloglevel=2,
                                             pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece='[PAD]', bos_piece='[CLS]', eos_piece='[SEP]', unk_piece='[UNK]')
    (tmp_path/'config.json').write_text(json.dumps(dict(model_type='deberta-v2')), encoding='utf-8')
    (tmp_path/'tokenizer_config.json').write_text(json.dumps(dict(do_lower_case=False, vocab_type='spm')), encoding='utf-8')
    tokz = AutoTokenizer.from_pretrained(str(tmp_path))
    pieces = tokz.tokenize('the tent has a roof')
    assert ''.join(pieces).replace('▁', ' ').strip()=='the tent has a roof' and tokz.sep_token=='[SEP]'
    assert tokz('the roof').tokens()[0]=='[CLS]' and tokz('the roof').tokens()[-1]=='[SEP]'
