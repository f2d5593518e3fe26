"""`python -m bench COMMAND …`, from the root of the project. `--help` after COMMAND says what it takes."""
import importlib, sys

from practicaldl.errors import CourseError

COMMANDS = ('sync', 'notebooks', 'refresh', 'compare', 'repeat', 'offline', 'measure', 'plain', 'clone',
            'versions', 'results', 'full', 'audit', 'sbom', 'pretrain', 'reading', 'scenes')

def main(words) -> int:
    if not words or words[0] not in COMMANDS:
        sys.exit(f"Name a command: python -m bench {'|'.join(COMMANDS)}")
    try:
        return importlib.import_module(f'bench.{words[0]}').main(words[1:])
    except CourseError as e:
        sys.exit(str(e))

if __name__=='__main__':
    sys.exit(main(sys.argv[1:]))
