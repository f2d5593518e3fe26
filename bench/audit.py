"""Look every version of the lock up among known weaknesses, by pip-audit.

pip-audit judges a list for one Python on one system. Our lock serves several, with other versions for some of
them. So its lines are put into lists in which each package stands once, and each list is looked up. A package
that cannot be looked up is no clean bill: with --strict, pip-audit ends with a fault there too."""
import subprocess, tempfile
from pathlib import Path

from bench import ROOT, tools

LOCK = ROOT/'constraints.txt'

def lists_of(lock):
    "The pins of a lock as lists in which no package comes twice."
    lists, pins = [], [line.split('#')[0].split(';')[0].strip() for line in lock.splitlines()]
    for pin in filter(None, pins):
        name, version = pin.split('==')
        place = next((o for o in lists if o.get(name, version)==version), None)
        if place is None:
            lists.append(place := {})
        place[name] = version
    return lists

def main(words) -> int:
    "0 where every version was looked up, and none has a known weakness."
    faults, command = 0, [tools(), '-m', 'pip_audit', '--strict', '--no-deps', '--disable-pip', *words]
    for pins in lists_of(LOCK.read_text(encoding='utf-8')):
        with tempfile.TemporaryDirectory() as d:
            wanted = Path(d)/'pins.txt'
            wanted.write_text(''.join(f'{o}=={version}\n' for o, version in pins.items()), encoding='utf-8')
            faults += bool(subprocess.run([*command, '--requirement', str(wanted)]).returncode)
    return bool(faults)
