"""Look every version of the lock up among known weaknesses: `make audit`, with pip-audit, which has to be installed in the Python that runs this.

pip-audit judges a list for one Python on one system. Our lock serves several, with other versions for some of them. So its lines are put into lists in
which each package stands once, without the conditions, and each list is looked up.

A package that could not be looked up is no clean bill: 0 says that everything was, and nothing is known; 1 that something is known; 2 that the answer is
not whole, for example because the index does not answer."""
import json, re, subprocess, sys, tempfile
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent/'constraints.txt'

def lists_of(lock):
    "The pins of a lock as lists in which no package comes twice."
    lists = []
    for line in lock.splitlines():
        pin = line.split('#')[0].split(';')[0].strip()
        if not pin: continue
        name, _, version = pin.partition('==')
        if not version: raise ValueError(f'{pin!r} is no pin')
        place = next((o for o in lists if o.get(name, version)==version), None)
        if place is None: lists.append(place := {})
        place[name] = version
    return lists

def look_up(pins, options):
    "What pip-audit knows of some pins: (name, version, weaknesses or None where it could not be looked up); and what it said."
    with tempfile.TemporaryDirectory() as d:
        wanted = Path(d)/'pins.txt'
        wanted.write_text(''.join(f'{name}=={version}\n' for name, version in pins.items()), encoding='utf-8')
        done = subprocess.run([sys.executable, '-m', 'pip_audit', '--no-deps', '--disable-pip', '--progress-spinner', 'off', '--format', 'json', '--requirement', str(wanted), *options],
                              capture_output=True, text=True, encoding='utf-8', errors='replace')
    try: found = {re.sub('[-_.]+', '-', o['name']).lower(): o for o in json.loads(done.stdout)['dependencies']}
    except (ValueError, LookupError): return [(*pin, None) for pin in pins.items()], (done.stderr.strip() or 'pip-audit said nothing').splitlines()[-1]
    answers = [(name, version, found.get(re.sub('[-_.]+', '-', name).lower(), {}).get('vulns')) for name, version in pins.items()]
    return answers, next((o['skip_reason'] for o in found.values() if 'skip_reason' in o), '')

def main(options=()):
    answers, reasons = [], []
    for pins in lists_of(LOCK.read_text(encoding='utf-8')):
        found, reason = look_up(pins, options)
        answers += [o for o in found if o not in answers]
        if reason: reasons.append(reason)
    weak, unknown = [o for o in answers if o[2]], [o for o in answers if o[2] is None]
    for name, version, vulns in weak:
        for v in vulns: print(f"{name} {version}: {v['id']}{' = '+', '.join(v['aliases']) if v.get('aliases') else ''}; mended in {', '.join(v.get('fix_versions') or []) or 'no version yet'}")
    print(f'{len(answers)-len(unknown)} of {len(answers)} versions in the lock were looked up; {len(weak)} of them have a known weakness.')
    if unknown: print(f"Note: this is no clean bill. Not looked up: {', '.join(f'{n} {v}' for n, v, _ in unknown[:5])}{' and others' if len(unknown) > 5 else ''}. The first reason: {reasons[0] if reasons else 'none given'}", file=sys.stderr)
    return 1 if weak else 2 if unknown else 0

if __name__=='__main__': sys.exit(main(sys.argv[1:]))
