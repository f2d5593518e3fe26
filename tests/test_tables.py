"A table of one's own, as spreadsheets write it."
import pytest

from practicaldl.errors import DataError
from practicaldl.tables import read_table

@pytest.mark.parametrize('text, encoding, said', [
    ('Stadt;Fläche\nKöln;405,2\nBonn;1.141,1\n', 'cp1252', 'semicolons between them, decimal commas, cp1252'),
    ('Stadt\tFläche\nKöln\t405.2\nBonn\t1141.1\n', 'utf-8', 'tabs between them, utf-8'),
    ('\ufeffStadt,Fläche\r\nKöln,405.2\r\nBonn,1141.1\r\n', 'utf-8', 'commas between them, utf-8'),
    ('Stadt;Fläche;\nKöln;405,2;\n;;\nBonn;1141,1;\n', 'utf-16', 'decimal commas, utf-16')])
def test_one_table_in_many_dresses(tmp_path, capsys, text, encoding, said):
    (tmp_path/'cities.csv').write_bytes(text.encode(encoding))
    df = read_table(tmp_path/'cities.csv')
    assert df.to_dict('list')=={'Stadt': ['Köln', 'Bonn'], 'Fläche': [405.2, 1141.1]}
    out = capsys.readouterr().out
    assert said in out and ('1 empty rows, 1 empty columns' in out)==(encoding=='utf-16')

def test_chinese_tables(tmp_path):
    (tmp_path/'a.csv').write_bytes('城市,面积\n北京,16410\n上海,6340\n'.encode('gbk'))
    assert list(read_table(tmp_path/'a.csv'))==['城市', '面积']
    (tmp_path/'b.csv').write_bytes('性别,年龄\n男,3\n女,4\n'.encode('gbk'))   # too short to guess
    assert list(read_table(tmp_path/'b.csv', encoding='gbk'))==['性别', '年龄']

def test_what_is_missing_or_odd_is_said(tmp_path, capsys):
    rows = ['age,job,salary'] + ['30,?,high', '31,cook,High', '32,,low', '33,cook,'] + ['34,cook,low']*9
    (tmp_path/'people.csv').write_text('\n'.join(rows))
    df = read_table(tmp_path/'people.csv', label='salary')
    out = capsys.readouterr().out
    assert len(df)==12 and "Left out: 1 of 13 rows, which have nothing in 'salary'." in out
    for line in ('Gaps: job 1, salary 1.', "job has 1 times '?'", 'differ only in capitals', "'high' 1"):
        assert line in out
    with pytest.raises(DataError, match="no column 'Salary'. Did you mean 'salary'"):
        read_table(tmp_path/'people.csv', label='Salary')

def test_a_decimal_point_stays_one(tmp_path):
    (tmp_path/'a.csv').write_text('code;price\n1.234;5.5\n2.345;6.5\n')
    assert read_table(tmp_path/'a.csv').price.tolist()==[5.5, 6.5]

@pytest.mark.parametrize('content, why', [
    (None, 'cannot be read .*Check the name'), (b'', 'is no table'), (b'<!DOCTYPE html>', 'web page'),
    (b'PK\x03\x04xlsx', 'Save it as CSV'), (b'a,b\n1,2\n1,2,3,4\n', 'as many columns')])
def test_what_is_no_table(tmp_path, content, why):
    if content is not None:
        (tmp_path/'a.csv').write_bytes(content)
    with pytest.raises(DataError, match=why):
        read_table(tmp_path/'a.csv')
