"""The check that notebooks and modules agree, on a small copy of the project."""
import json, shutil, subprocess, sys

import check_sync
import pytest
from conftest import ROOT


@pytest.fixture(scope='module')
def synced(tmp_path_factory):
    "A project with two notebooks, exported and cleaned."
    root = tmp_path_factory.mktemp('synced')
    (root/'nbs'/'lib').mkdir(parents=True); (root/'practicaldl').mkdir()
    shutil.copyfile(ROOT/'settings.ini', root/'settings.ini'); shutil.copyfile(ROOT/'pyproject.toml', root/'pyproject.toml')
    shutil.copyfile(ROOT/'nbs'/'lib'/'errors.ipynb', root/'nbs'/'lib'/'errors.ipynb')
    shutil.copyfile(ROOT/'nbs'/'lib'/'models.ipynb', root/'nbs'/'lib'/'models.ipynb')
    (root/'practicaldl'/'__init__.py').write_text('__version__ = "0.0.1"\n')
    subprocess.run([sys.executable, '-c', check_sync.NBDEV], cwd=root, check=True, capture_output=True)
    return root

@pytest.fixture
def project(synced, tmp_path):
    return shutil.copytree(synced, tmp_path/'project')

def state(root): return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob('*') if p.is_file()}

def test_in_sync(project, capsys):
    assert check_sync.main(project)==0
    assert capsys.readouterr().out=='nbs/ and practicaldl/ agree; notebooks are clean.\n'

def test_an_edited_module_and_an_unclean_notebook(project, capsys):
    "Each gets a line, and neither file is touched."
    module, notebook = project/'practicaldl'/'errors.py', project/'nbs'/'lib'/'models.ipynb'
    module.write_text(module.read_text(encoding='utf-8')+'\nx = 1\n', encoding='utf-8')
    nb = json.loads(notebook.read_text(encoding='utf-8'))
    next(c for c in nb['cells'] if c['cell_type']=='code')['execution_count'] = 7
    notebook.write_text(json.dumps(nb), encoding='utf-8')
    before = state(project)
    assert check_sync.main(project)==1
    assert capsys.readouterr().out.splitlines()==['nbs/lib/models.ipynb is not clean: run nbdev_clean and commit',
                                                  'practicaldl/errors.py differs from nbs/lib/errors.ipynb: run nbdev_export and commit']
    assert state(project)==before

def test_missing_and_orphaned_modules(project, capsys):
    "A notebook whose module was never exported, and a module whose notebook is gone."
    (project/'practicaldl'/'errors.py').unlink(); (project/'nbs'/'lib'/'models.ipynb').unlink()
    assert check_sync.main(project)==1
    out = capsys.readouterr().out
    assert 'practicaldl/errors.py is missing, but nbs/lib/errors.ipynb makes it' in out
    assert 'practicaldl/models.py says that it is made from nbs/lib/models.ipynb, which does not exist' in out

def test_line_ends_of_windows_are_no_difference(project, capsys):
    module = project/'practicaldl'/'errors.py'
    module.write_bytes(module.read_bytes().replace(b'\r\n', b'\n').replace(b'\n', b'\r\n'))
    assert check_sync.main(project)==0, capsys.readouterr().out
