"""Tools of the authors, run by `python -m bench`: they measure the course and compare its runs."""
import json, os, platform, re, subprocess, sys, venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The command of this checkout, whichever `practicaldl` the shell would find.
PRACTICALDL = [sys.executable, '-c', 'import sys; from practicaldl.cli import main; sys.exit(main())']

def tools() -> str:
    "The Python of build/tools: programs that look at the environment are no part of what they look at."
    place = ROOT/'build'/'tools'
    python = place/('Scripts/python.exe' if os.name=='nt' else 'bin/python')
    if not python.exists():
        venv.create(place, with_pip=True)
        subprocess.run([python, '-m', 'pip', 'install', '-q', 'pip-audit==2.10.1',
                        'cyclonedx-bom[json-validation]==7.5.0'], check=True)
    return str(python)

def machine() -> str:
    "This machine in words, as far as Python knows it."
    import psutil, torch
    model, info = platform.processor() or platform.machine(), Path('/proc/cpuinfo')
    if info.exists():
        model = re.findall(r'model name\s*:\s*(.+)', info.read_text(encoding='utf-8'))[0].strip()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    # Values depend on the instructions, and virtual machines call different processors by one name.
    instructions, gigabytes = torch.backends.cpu.get_cpu_capability(), psutil.virtual_memory().total/2**30
    return (f'{os.cpu_count()} processor cores ({model} with {instructions}, {gigabytes:.0f} GB), '
            f'{platform.system()}, {gpu}')

def ran(
    name:str,  # of a chapter
    out:Path   # a folder
) -> tuple:    # rows of results, and what went wrong: empty where nothing did
    "Run one chapter in a fresh process, on the sample edition."
    done = subprocess.run([*PRACTICALDL, 'run', name, '--edition', 'sample', '--out', str(out)], cwd=ROOT,
                          capture_output=True, text=True, encoding='utf-8')
    if done.returncode:
        return [], done.stderr.strip() or f'ended with {done.returncode}'
    return json.loads((out/'results.json').read_text(encoding='utf-8')), ''
