"""Write the software bill of materials to build/sbom.json, in the form of CycloneDX.

cyclonedx-bom lists the packages of this environment. We add what it cannot know: data and weights of the
sample edition, the wheels that they come from, and the files that are shipped."""
import hashlib, json, subprocess, sys

from bench import ROOT, tools
from practicaldl.registry import TWINS

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))"""

def component(kind, name, hashed='', **more):
    "An entry of the list; `kind:name` is how others refer to it."
    hashes = {'hashes': [{'alg': 'SHA-256', 'content': hashed}]} if hashed else {}
    own = {'bom-ref': f'{kind}:{name}', 'type': 'file' if kind=='file' else 'data', 'name': name}
    return {**own, **hashes, **more}

def data_components():
    "Components for wheels, twins and shipped files; and which of them is made from which."
    parts, made_from = {}, []
    for o in TWINS.values():
        kind = {'type': 'machine-learning-model'} if '/' in o.name or '/models/' in o.folder else {}
        twin = component('data', o.name, version=str(o.version), description=o.sample, **kind,
                         licenses=[{'license': {'name': o.licence}}],
                         externalReferences=[{'type': 'website', 'url': o.origin}])
        parts[twin['bom-ref']] = twin
        if w := o.wheel:
            purl = f'pkg:pypi/{w.project.replace("_", "-").lower()}@{w.version}'
            wheel = component('wheel', w.project, w.sha256, version=w.version, purl=purl)
            parts[wheel['bom-ref']] = wheel
            made_from.append({'ref': twin['bom-ref'], 'dependsOn': [wheel['bom-ref']]})
    files = [p for p in sorted((ROOT/'practicaldl'/'assets').iterdir()) if p.name!='README.md']
    shipped = [component('file', p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]
    return [*parts.values(), *shipped], made_from

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
    direct = [p['bom-ref'] for p in parts if not p['bom-ref'].startswith('wheel:')]
    tree['dependsOn'] = [*tree.get('dependsOn', []), *direct]
    for c in (*bom['components'], bom['metadata']['component']):
        if 'externalReferences' in c:
            c['externalReferences'] = [r for r in c['externalReferences'] if not r['url'].startswith('file:')]
    return bom

def main(words) -> int:
    python, out = tools(), ROOT/'build'/'sbom.json'
    command = [python, '-m', 'cyclonedx_py', 'environment', '--output-reproducible', '--sv', '1.6']
    made = subprocess.run([*command, '--no-validate', sys.executable], capture_output=True, text=True,
                          encoding='utf-8')
    if made.returncode:
        sys.exit(made.stderr)
    text = json.dumps(whole(json.loads(made.stdout)), indent=1, ensure_ascii=False)+'\n'
    if subprocess.run([python, '-c', VALIDATE], input=text, text=True, encoding='utf-8').returncode:
        sys.exit('The bill of materials does not fit the schema of CycloneDX.')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding='utf-8')
    print(f'The bill of materials is {out.relative_to(ROOT)}: {len(json.loads(text)["components"])} parts.')
    return 0
